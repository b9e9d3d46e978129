"""A speech encoder is replaced: audio layers with the map folded in do what they did on the old features."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from emo_scenes import MovingSquares, awake_model

from emo_models.emo.audio_layers import AudioLayers
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.training.speech_handover import feature_map, fold_into


class Mixed:
    """The features of another encoder, mixed linearly."""

    layers = 1

    def __init__(self, encoder: LogMelEncoder, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.encoder, self.width = encoder, encoder.width
        self.matrix = torch.randn(self.width, self.width, generator=generator) / self.width**0.5
        self.offset = torch.randn(self.width, generator=generator)

    def window(self, samples: np.ndarray, first: int, last: int) -> torch.Tensor:
        return self.encoder.window(samples, first, last) @ self.matrix + self.offset


def encoder() -> LogMelEncoder:
    return LogMelEncoder(fps=25.0, bands=8, steps=2)


def test_the_map_is_found_and_the_audio_layers_do_as_before() -> None:
    new = encoder()
    old = Mixed(new)
    matrix, offset, left = feature_map(new, old, MovingSquares(), ridge=1e-9)
    assert left < 1e-6
    layers: AudioLayers = awake_model().audio_layers
    clip = MovingSquares()[0]
    m = layers.window
    with torch.no_grad():
        wanted = layers(old.window(clip.audio, -m, 10 + m)[None])
        fold_into(layers, matrix, offset)
        found = layers(new.window(clip.audio, -m, 10 + m)[None])
    torch.testing.assert_close(found, wanted, atol=2e-4, rtol=0)


def test_encoders_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="one width"):
        feature_map(encoder(), LogMelEncoder(fps=25.0, bands=4, steps=2), MovingSquares())
