"""Small real objects that the tests of EMO share."""

from __future__ import annotations

import numpy as np
import torch

from emo_models.emo.building import build_model, preset_named
from emo_models.emo.extensions.portrait_refiner import PortraitRefiner
from emo_models.emo.model import EMOModel
from emo_models.training.clips import TrainingClip

TINY = preset_named("tiny")
SMALL_REFINER = {"width": 16, "match_width": 8, "blocks": 1, "fine_width": 8, "fine_blocks": 1}


def awake_model(seed: int = 0, **changes: dict[str, object]) -> EMOModel:
    """A tiny model in eval mode whose zero-initialised branches have been given random weights."""
    model = build_model(TINY, seed=seed, **changes)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model.eval()


def awake_refiner(seed: int = 0) -> PortraitRefiner:
    """A small refiner in eval mode that changes what it is given."""
    torch.manual_seed(seed)
    refiner = PortraitRefiner(**SMALL_REFINER)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in refiner.parameters():
            if not parameter.any():
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return refiner.eval()


def random_inputs(batch: int = 2, seed: int = 0) -> dict[str, torch.Tensor]:
    """Every input of a tiny model."""
    g = torch.Generator().manual_seed(seed)
    return {
        "latents": torch.randn(batch, 4, 4, 8, 8, generator=g),
        "timesteps": torch.full((batch,), 500),
        "reference": torch.randn(batch, 4, 8, 8, generator=g),
        "motion": torch.randn(batch, 2, 4, 8, 8, generator=g),
        "audio": torch.randn(batch, 6, 1, 16, generator=g),
        "mask": torch.ones(batch, 1, 64, 64),
        "speed": torch.rand(batch, 6, generator=g),
    }


def speech_like(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise with a syllable rhythm, 16 kHz."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * 16_000)) / 16_000
    return (rng.normal(size=len(time)) * 0.1 * (1 + np.sin(2 * np.pi * 4 * time))).astype(np.float32)


class MovingSquares:
    """Three 64 px clips whose "mouth" opens with the loudness of their sound, and whose "eyes" blink once."""

    def __init__(self, clips: int = 3, frames: int = 20) -> None:
        self.records = [self._record(index, frames) for index in range(clips)]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int, /) -> TrainingClip:
        return self.records[index]

    def _record(self, index: int, count: int) -> TrainingClip:
        rng = np.random.default_rng(index)
        opening = rng.random(count).astype(np.float32)
        # One blink of two frames, early in the first clip and later in the others.
        closed = np.isin(np.arange(count), (4 * index + 4, 4 * index + 5))
        frames = np.full((count, 64, 64, 3), 60 + 40 * (index % 4), np.uint8)
        for t in range(count):
            frames[t, 10:56, 14:50] = 180
            if not closed[t]:
                frames[t, 22:27, 20:28] = frames[t, 22:27, 36:44] = 20
            half = 1 + round(6 * float(opening[t]))
            frames[t, 45 - half : 45 + half, 24:40] = (150, 20, 40)
        sound = rng.normal(size=(count, 640)) * opening[:, None] * 0.3

        def boxes(*box: float) -> np.ndarray:
            return np.tile(np.float32(box), (count, 1))

        return TrainingClip(
            id=str(index),
            frames=frames,
            audio=sound.reshape(-1).astype(np.float32),
            mouth_boxes=boxes(22, 37, 42, 53),
            eye_boxes=boxes(18, 20, 46, 29),
            face_boxes=boxes(12, 8, 52, 58),
            head_speed=rng.random(count).astype(np.float32),
            reference_index=0,
            mouth_opening=opening,
            eye_closure=closed.astype(np.float32),
            style="photo" if index else "anime",
        )
