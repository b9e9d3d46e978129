"""Self-forcing: motion frames that the network generated itself, so that it learns to correct its own errors.

In training, motion frames are real; from a video's second clip on they are the network's own, and its faults add up
from clip to clip. To see such frames in training, real frames are covered with noise, not so much that the pose is
lost, and the network takes it away again in a few steps: the same people in the same places, with the marks that its
own frames have. (Noise alone, `noisy_motion`, looks like nothing the network would generate.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from emo_models.emo.conditions import ConditionMask, SegmentConditions
from emo_models.emo.extensions.guidance import Guidance
from emo_models.emo.model import EMOModel
from emo_models.emo.schedulers import NoiseSchedule

if TYPE_CHECKING:
    from emo_models.emo.training.batches import EarlierFrames

LEAST, MOST = 0.5, 0.9
"""Between which shares of the schedule the time lies from which the network generates motion frames."""
STEPS = 2


@torch.no_grad()
def generated_motion_frames(
    model: EMOModel,
    earlier: EarlierFrames,
    schedule: NoiseSchedule,
    *,
    reference: Tensor,
    mask: Tensor,
    condition_mask: ConditionMask,
    generator: torch.Generator,
) -> Tensor:
    """Motion frames ``[b, n, c, h, w]`` as the network generates them: `STEPS` of DDIM from noisy real frames.

    Args:
        model: As it is at this step of the training.
        earlier: The frames to generate, on the model's device.
        schedule: The noise schedule.
        reference: Latents of the reference image, ``[b, c, h, w]``.
        mask: Face region, ``[b, 1, H, W]``.
        condition_mask: Which samples have reference and audio.
        generator: Decides times and noise, on the CPU.
    """
    motion = earlier.motion
    conditions = model.prepare(
        reference=reference,
        motion=motion,
        audio=earlier.audio,
        mask=mask,
        eyelids=earlier.eyelids,
        condition_mask=ConditionMask(reference=condition_mask.reference, audio=condition_mask.audio),
    )
    share = LEAST + (MOST - LEAST) * torch.rand(len(motion), generator=generator)
    generated = regenerate(
        model, earlier.latents, conditions, schedule, reference=reference, share=share, generator=generator
    )
    return generated[:, -motion.shape[1] :]


@torch.no_grad()
def regenerate(
    model: EMOModel,
    latents: Tensor,
    conditions: SegmentConditions,
    schedule: NoiseSchedule,
    *,
    reference: Tensor,
    share: Tensor,
    generator: torch.Generator,
    steps: int = STEPS,
    guidance: Guidance | None = None,
) -> Tensor:
    """Real frames generated again by the network, ``[b, f, c, h, w]``: covered with noise, and DDIM back from there.

    Args:
        model: The network.
        latents: The frames, ``[b, f, c, h, w]``.
        conditions: As `EMOModel.prepare` gives them.
        schedule: The noise schedule.
        reference: Latents of the reference image, ``[b, c, h, w]``.
        share: How far along the noise schedule each clip is covered, ``[b]`` in (0, 1].
        generator: Decides the noise, on the CPU.
        steps: Denoising steps.
        guidance: None by default.
    """
    clean = model.to_residual(latents, reference)
    noise = torch.randn(clean.shape, generator=generator).to(clean.device)
    guidance = guidance or Guidance()
    passes = len(guidance.passes)
    together = conditions.for_passes(guidance.passes)
    last = schedule.config.train_steps - 1
    for step in range(steps):
        times = (share * (steps - step) / steps * schedule.config.train_steps).long().clamp_max(last).to(clean.device)
        noisy = schedule.add_noise(clean, noise, times)
        stacked = model.backbone(noisy.repeat(passes, 1, 1, 1, 1), times.repeat(passes), together)
        prediction = guidance.combine(stacked).float()
        clean = schedule.clean(noisy, prediction, times)
        noise = schedule.noise(noisy, prediction, times)
    return model.from_residual(clean, reference)
