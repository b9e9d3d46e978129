"""Motion frames that the network made itself, so that it learns to put right what it gets wrong.

In training, motion frames are real; from a video's second clip on they are the network's own, and its faults add up
from clip to clip. To see such frames in training, the frames before a clip are covered with noise, not so much that
the pose is lost, and the network takes it away again in a few steps: the same people in the same places, with the marks
that its own pictures have. (Noise alone, `noisy_motion`, looks like nothing the network would draw.)
"""

from __future__ import annotations

import torch
from torch import Tensor

from emo_models.emo.conditions import Gates
from emo_models.emo.model import EMOModel
from emo_models.emo.schedulers import NoiseSchedule
from emo_models.emo.training.batches import EarlierFrames

LEAST, MOST = 0.5, 0.9
"""Between which shares of the schedule the time is drawn from which the network draws the frames anew."""
STEPS = 2


@torch.no_grad()
def own_motion_frames(
    model: EMOModel,
    earlier: EarlierFrames,
    schedule: NoiseSchedule,
    *,
    reference: Tensor,
    mask: Tensor,
    gates: Gates,
    generator: torch.Generator,
) -> Tensor:
    """Motion frames ``[b, n, c, h, w]`` as the network draws them: `STEPS` of DDIM from noisy real frames.

    Args:
        model: As it is at this step of the training.
        earlier: The frames to draw.
        schedule: The noise schedule.
        reference: Latents of the reference image, ``[b, c, h, w]``.
        mask: Face region, ``[b, 1, H, W]``.
        gates: Which samples have reference and audio.
        generator: Decides times and noise, on the CPU.
    """
    device = reference.device
    motion = earlier.motion.to(device)
    audio = None if earlier.audio is None else earlier.audio.to(device)
    clean = model.to_diffused(earlier.latents.to(device), reference)
    share = LEAST + (MOST - LEAST) * torch.rand(len(clean), generator=generator)
    noise = torch.randn(clean.shape, generator=generator).to(device)
    seen = Gates(reference=gates.reference, audio=gates.audio)
    for step in range(STEPS):
        times = (share * (STEPS - step) / STEPS * schedule.config.train_steps).long().to(device)
        noisy = schedule.add_noise(clean, noise, times)
        prediction = model(noisy, times, reference=reference, motion=motion, audio=audio, mask=mask, gates=seen).float()
        clean = schedule.clean(noisy, prediction, times)
        noise = schedule.noise(noisy, prediction, times)
    return model.from_diffused(clean[:, -motion.shape[1] :], reference)
