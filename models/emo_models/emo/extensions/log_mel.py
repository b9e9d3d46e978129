"""Log-mel columns per video frame: a speech encoder without weights. An extension; the paper has wav2vec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emo_models.emo.audio import RATE, frame_count, write_encoder_config


class LogMelEncoder:
    """Log-mel columns of each frame; no weights, for audio layers that are trained from scratch.

    Args:
        fps: Frames per second.
        bands: Mel bands.
        steps: Columns per frame, evenly spaced over it.
        window_seconds: Length of the analysis window.
        vtlp_factor: Vocal tract length perturbation, for training: all frequencies times this; above 1, a shorter
            vocal tract.
    """

    layers = 1

    def __init__(
        self,
        *,
        fps: float = 25.0,
        bands: int = 48,
        steps: int = 4,
        window_seconds: float = 0.025,
        vtlp_factor: float = 1.0,
    ) -> None:
        self.fps, self.bands, self.steps, self.window_seconds = fps, bands, steps, window_seconds
        self.vtlp_factor = vtlp_factor
        self.width = bands * steps
        self.size = round(window_seconds * RATE)
        self.fft = 512
        self.filters = torch.from_numpy(mel_filters(bands, self.fft, vtlp_factor=vtlp_factor))

    def window(self, samples: NDArray[np.float32], first: int, last: int) -> Tensor:
        """See `AudioEncoder.window`; about -3 for silence, 1 for loud speech."""
        count = max(frame_count(len(samples), fps=self.fps), 1)
        frames = np.clip(np.arange(first, last), 0, count - 1)
        middle = (frames[:, None] + (np.arange(self.steps) + 0.5) / self.steps) / self.fps * RATE
        start = np.round(middle).astype(np.int64).reshape(-1) - self.size // 2
        index = start[:, None] + np.arange(self.size)
        inside = (index >= 0) & (index < len(samples))
        pieces = np.where(inside, samples[np.clip(index, 0, max(len(samples) - 1, 0))] if len(samples) else 0.0, 0.0)
        wave = torch.from_numpy(pieces.astype(np.float32)) * torch.hann_window(self.size)
        power = torch.fft.rfft(wave, n=self.fft).abs().square()
        mel = torch.log10(torch.clamp(power @ self.filters, min=1e-5))
        return (mel / 2 - 0.5).view(last - first, 1, self.width)

    def with_vtlp(self, factor: float) -> LogMelEncoder:
        """The same, with all frequencies times ``factor``."""
        return LogMelEncoder(**{**self.settings, "vtlp_factor": self.vtlp_factor * factor})

    def save(self, folder: Path) -> None:
        """See `AudioEncoder.save`."""
        write_encoder_config(folder, {**self.settings, "kind": "log-mel"})

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments it was built with."""
        names = ("fps", "bands", "steps", "window_seconds", "vtlp_factor")
        return {name: getattr(self, name) for name in names}


def mel_filters(
    bands: int, fft: int, *, low: float = 50.0, high: float = 7600.0, vtlp_factor: float = 1.0
) -> NDArray[np.float32]:
    """Triangular filters with unit sum on the HTK mel scale, ``float32 [fft / 2 + 1, bands]``.

    A band listens at its frequency divided by ``vtlp_factor``, as far as there are such frequencies.
    """

    def to_mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        return 2595.0 * np.log10(1.0 + hertz / 700.0)

    ends = to_mel(np.array([low, high]))
    edges_mel = np.linspace(float(ends[0]), float(ends[1]), bands + 2)
    edges = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    # There is nothing above half the rate; edges that would lie there still have to rise.
    edges = np.minimum(edges / vtlp_factor, RATE / 2 - len(edges) + np.arange(len(edges)))
    bins = np.linspace(0, RATE / 2, fft // 2 + 1)[:, None]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(np.minimum(rise, fall), 0.0)
    # A band narrower than one bin still needs the bin nearest to its centre.
    empty = triangles.sum(0) == 0
    triangles[np.abs(bins - edges[1:-1]).argmin(0)[empty], np.flatnonzero(empty)] = 1.0
    filters: NDArray[np.float32] = (triangles / triangles.sum(0)).astype(np.float32)
    return filters
