"""How one of Wav2Lip's networks is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from emo_core.frozen import Frozen
from emo_models.baselines.wav2lip.config import SYNC_FRAMES


class TrainOptions(Frozen):
    """How a network is trained; defaults are the paper's where it names a value."""

    steps: int = Field(ge=1, description="Optimizer steps")
    batch_size: int = Field(default=16, ge=1, description="Windows per step")
    learning_rate: float = Field(default=1e-4, gt=0, description="Of Adam")
    final_rate: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="The learning rate falls linearly to this fraction; 1 is published",
    )
    window_frames: int = Field(
        default=SYNC_FRAMES,
        ge=1,
        description="Frames of a window; 5 is published and needed by the losses of expert and discriminator",
    )
    sync_weight: float = Field(default=0.0, ge=0, le=1, description="Weight of the expert's loss; published 0.03")
    sync_from: int = Field(default=0, ge=0, description="Step from which the expert's loss is used")
    quality_weight: float = Field(
        default=0.0, ge=0, le=1, description="Weight of the discriminator's loss; published 0.07, or 0 without it"
    )
    lower_weight: float = Field(
        default=0.0, ge=0, description="Extra weight of the lower half in the reconstruction loss; published 0"
    )
    mirror: bool = Field(default=False, description="Mirror half of the examples; published training does not")
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="bfloat16 where the processor has instructions for it"
    )
    seed: int = Field(default=0, ge=0, description="Seed of initial weights and examples")

    @model_validator(mode="after")
    def _can_be_trained(self) -> TrainOptions:
        if self.reconstruction_weight < 0:
            raise ValueError("expected sync_weight + quality_weight <= 1")
        if (self.sync_weight or self.quality_weight) and self.window_frames != SYNC_FRAMES:
            raise ValueError(f"expected window_frames {SYNC_FRAMES} where expert or discriminator judge")
        return self

    @property
    def reconstruction_weight(self) -> float:
        """What is left for the reconstruction loss."""
        return 1.0 - self.sync_weight - self.quality_weight

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        return self.learning_rate * (1.0 - (1.0 - self.final_rate) * min(1.0, step / self.steps))
