"""A very small network that estimates the mouth opening from an image, to check whether a model follows speech.

It is trained on real renders with known truth and is a diagnostic of training, not a metric: its own error on unseen
identities is always reported beside what it says.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from emo_models.initial_weights import initial_weights
from emo_models.training.clips import TrainingClips, chooser, every_clip, step_generator

CROP = 48
"""Side of what the reader sees, in pixels."""


class MouthReader(nn.Module):
    """Crop around the mouth -> opening, in the unit of its training labels divided by their deviation."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 24, 5, stride=2, padding=2),
            nn.SiLU(),
            nn.Conv2d(24, 48, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(48, 64, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(64 * (CROP // 8) ** 2, 64),
            nn.SiLU(),
            nn.Linear(64, 1),
        )

    def forward(self, crops: Tensor) -> Tensor:
        """``uint8 [b, CROP, CROP, 3]`` -> ``[b]``."""
        x = crops.movedim(-1, 1).float().div(127.5).sub(1)
        # Skin tone and light are no part of the question.
        x = (x - x.mean((2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True).clamp_min(0.05)
        out: Tensor = self.net(x)[:, 0]
        return out


def mouth_crops(frames: NDArray[np.uint8], middle: NDArray[np.floating]) -> Tensor:
    """Crops of ``CROP`` pixels around ``middle [t, 2]`` (x, y), edges repeated; ``uint8 [t, CROP, CROP, 3]``."""
    half = CROP // 2
    padded = np.pad(np.asarray(frames), ((0, 0), (half, half), (half, half), (0, 0)), mode="edge")
    height, width = frames.shape[1:3]
    x = np.clip(np.round(middle[:, 0]), 0, width).astype(int)
    y = np.clip(np.round(middle[:, 1]), 0, height).astype(int)
    return torch.from_numpy(np.stack([padded[i, y[i] : y[i] + CROP, x[i] : x[i] + CROP] for i in range(len(frames))]))


def box_middle(boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Middle points ``[t, 2]`` of boxes ``[t, 4]``."""
    return np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2], 1).astype(np.float64)


def train_mouth_reader(
    clips: TrainingClips, *, steps: int = 600, batch: int = 48, jitter: float = 7.0, seed: int = 0
) -> MouthReader:
    """Trains on real frames; crops move by up to ``jitter`` pixels, because a generated head may stand elsewhere."""
    with initial_weights(seed):
        reader = MouthReader().train()
    known = [truth for truth in (clips[i].mouth_opening for i in range(len(clips))) if truth is not None]
    if not known:
        raise ValueError("expected clips with a known mouth opening, found none")
    scale = float(np.concatenate(known).std()) or 1.0
    choose = chooser([clip.weight for clip in every_clip(clips)])
    optimizer = torch.optim.AdamW(reader.parameters(), lr=2e-3, weight_decay=1e-3)
    for step in range(steps):
        rng = step_generator(seed, "mouth-reader", step)
        crops, labels = [], []
        for _ in range(batch // 4):
            clip = clips[choose(rng)]
            chosen = rng.integers(0, len(clip.frames), 4)
            middle = box_middle(clip.mouth_boxes[chosen]) + rng.uniform(-jitter, jitter, (4, 2))
            crops.append(mouth_crops(np.asarray(clip.frames[chosen]), middle))
            assert clip.mouth_opening is not None  # noqa: S101 - narrows the type
            labels.append(clip.mouth_opening[chosen] / scale)
        loss = F.smooth_l1_loss(reader(torch.cat(crops)), torch.from_numpy(np.concatenate(labels)).float())
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (1 - step / steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
        optimizer.step()
    return reader.eval()


@torch.no_grad()
def read_opening(reader: MouthReader, frames: NDArray[np.uint8], middle: NDArray[np.floating]) -> NDArray[np.float64]:
    """Opening per frame; ``middle [t, 2]`` or ``[1, 2]`` says where to look."""
    where = np.broadcast_to(middle, (len(frames), 2))
    opening: NDArray[np.float64] = reader(mouth_crops(frames, where)).double().numpy()
    return opening


def correlation(left: NDArray[np.floating], right: NDArray[np.floating]) -> float:
    """Pearson correlation; 0 when either does not move at all."""
    a, b = left - left.mean(), right - right.mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / norm) if norm > 1e-12 else 0.0


def lag_curve(
    generated: Sequence[NDArray[np.floating]], truth: Sequence[NDArray[np.floating]], *, reach: int = 10
) -> dict[int, float]:
    """Mean correlation over clips at lags -reach..reach; positive means that the generated mouth is late."""
    curve = {}
    for lag in range(-reach, reach + 1):
        values = []
        for made, real in zip(generated, truth, strict=True):
            shifted = made[max(lag, 0) : len(made) + min(lag, 0)]
            fixed = real[max(-lag, 0) : len(real) + min(-lag, 0)]
            if len(shifted) > 2:
                values.append(correlation(shifted, fixed))
        curve[lag] = float(np.mean(values)) if values else 0.0
    return curve
