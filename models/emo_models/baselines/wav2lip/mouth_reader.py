"""Reads the mouth opening from faces, trained on data that knows it: how lip motion is measured without a detector."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from emo_models.baselines.wav2lip.faces import FrameArray
from emo_models.baselines.wav2lip.windows import TrainingClip

_SIZE = 48


class MouthReader(nn.Module):
    """A small network from a lower half face to one number."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 64, 64)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.read = nn.Linear(64 * 2 * 3, 1)

    def forward(self, mouths: Tensor) -> Tensor:
        """``float [B, 3, 24, 48]`` in [0, 1] -> ``[B]``, in units of the training data."""
        opening: Tensor = self.read(self.features(mouths).flatten(1))
        return opening.squeeze(1)

    @torch.inference_mode()
    def openings(self, faces: FrameArray) -> NDArray[np.float64]:
        """Mouth opening of each of ``uint8 RGB [T, S, S, 3]`` faces."""
        self.eval()
        pieces = [self(lower_half_input(faces[i : i + 256])).double().numpy() for i in range(0, len(faces), 256)]
        return np.concatenate(pieces)


def lower_half_input(faces: FrameArray) -> Tensor:
    """Lower halves, resized by area: ``uint8 RGB [T, S, S, 3]`` -> ``float [T, 3, 24, 48]`` in [0, 1]."""
    lower = np.ascontiguousarray(faces[:, faces.shape[1] // 2 :].transpose(0, 3, 1, 2))
    return F.interpolate(torch.from_numpy(lower).float() / 255.0, size=(_SIZE // 2, _SIZE), mode="area")


def train_mouth_reader(
    clips: Sequence[TrainingClip], *, steps: int = 1500, batch_size: int = 64, seed: int = 0
) -> MouthReader:
    """Trains a reader on clips with known openings.

    Raises:
        ValueError: when a clip has no known opening.
    """
    if any(clip.opening is None for clip in clips):
        raise ValueError("expected clips with known mouth openings")
    faces = torch.cat([lower_half_input(clip.faces) for clip in clips])
    truth = torch.from_numpy(np.concatenate([clip.opening for clip in clips if clip.opening is not None])).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        reader = MouthReader()
    optimiser = torch.optim.Adam(reader.parameters(), lr=2e-3)
    random = np.random.Generator(np.random.PCG64(seed))
    for step in range(steps):
        chosen = torch.from_numpy(random.integers(len(faces), size=batch_size))
        mouths = faces[chosen]
        if random.integers(2):
            mouths = mouths.flip(3)
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - step / steps)
        loss = F.smooth_l1_loss(reader(mouths) * 10, truth[chosen] * 10)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return reader.eval()


def correlation(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Pearson's correlation in float64; NaN when one of them does not vary.

    >>> correlation(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.5])) > 0.99
    True
    """
    a = np.asarray(first, dtype=np.float64) - np.mean(first, dtype=np.float64)
    b = np.asarray(second, dtype=np.float64) - np.mean(second, dtype=np.float64)
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / scale) if scale > 0 else float("nan")
