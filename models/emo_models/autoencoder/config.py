"""Settings of the small autoencoder's training."""

from __future__ import annotations

from pydantic import Field

from emo_core.frozen import Frozen


class AutoencoderTraining(Frozen):
    """How the small autoencoder is trained."""

    steps: int = Field(default=3000, ge=0, description="Optimizer steps")
    batch: int = Field(default=32, ge=1, description="Crops per step")
    crop: int = Field(
        default=64,
        ge=16,
        multiple_of=8,
        description="Side of a crop in pixels; the network is convolutional, so crops of faces teach most per second",
    )
    face_share: float = Field(default=0.65, ge=0, le=1, description="Share of crops placed on eyes or mouth")
    lr: float = Field(
        default=2e-3, gt=0, description="Peak learning rate; rises over 'warmup' steps, then falls linearly to zero"
    )
    warmup: int = Field(default=50, ge=0, description="Steps")
    edge_weight: float = Field(default=1.0, ge=0, description="Weight of the L1 of differences between neighbours")
    part_weight: float = Field(default=3.0, ge=0, description="Extra weight of pixels in eye and mouth boxes")
    latent_noise: float = Field(
        default=0.1, ge=0, description="Standard deviation of the noise on the unit-variance latents"
    )
    decoder_steps: int = Field(
        default=0, ge=0, description="Steps after those in which only the decoder learns, so that latents stay"
    )
    decoder_noise: float = Field(
        default=0.5,
        ge=0,
        description="Highest standard deviation of the noise in those steps, chosen per crop. Latents from a diffusion "
        "model are off by about this much; a decoder that has never seen such shows them as coloured noise",
    )
    ema: float = Field(default=0.995, ge=0, lt=1, description="Decay of the averaged weights")
    bf16: bool = Field(default=True, description="Compute in bfloat16 where the processor has instructions for it")
    seed: int = Field(default=0, ge=0, description="Seed of all randomness")
    checkpoint_every: int = Field(default=200, ge=1, description="Steps between checkpoints")
