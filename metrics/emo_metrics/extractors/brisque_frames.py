"""The extractor ``brisque/frames@1``: BRISQUE of some frames of a clip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Accumulator, Arrays, ClipInputs, Extractor, FrameArray, Piece, Unscored
from emo_metrics.networks.weight_files import read_tensors
from emo_metrics.signals.natural_scenes import FEATURES, scene_statistics

BRISQUE: Final = "brisque/frames@1"
MACHINE: Final = "brisque-live-svr.safetensors"
RANGE: Final = "brisque-live-range.safetensors"
FRAMES_PER_CLIP: Final = 16
GREY: Final = np.array([0.2125, 0.7154, 0.0721])
"""Weights of red, green and blue."""


class BrisqueModel:
    """Support vector regression (radial basis functions) from 36 statistics of natural scenes to an opinion score.

    Args:
        machine: ``coefficients [s]``, ``vectors [s, 36]``, ``gamma [1]``, ``rho [1]``.
        limits: ``min_ [36]`` and ``max_ [36]`` of the statistics that it was trained on.

    Raises:
        ValueError: when the files hold something else.
    """

    def __init__(self, machine: Path, limits: Path) -> None:
        held = {name: value.double().numpy() for name, value in read_tensors(machine).items()}
        span = {name: value.double().numpy() for name, value in read_tensors(limits).items()}
        if set(held) != {"coefficients", "vectors", "gamma", "rho"} or held["vectors"].shape[1:] != (FEATURES,):
            raise ValueError(f"{machine.name} is no regression on {FEATURES} features: {sorted(held)}")
        if set(span) != {"min_", "max_"} or any(value.shape != (FEATURES,) for value in span.values()):
            raise ValueError(f"{limits.name} is no range of {FEATURES} features: {sorted(span)}")
        self._machine, self._span = held, span

    def score(self, frame: FrameArray) -> float:
        """The score of a frame ``uint8 RGB [H, W, 3]``; about 0 for pristine images, 100 for the worst.

        Raises:
            ValueError: when the frame is uniform or smaller than 16 pixels.
        """
        low, high = self._span["min_"], self._span["max_"]
        x = 2.0 * (scene_statistics(frame.astype(np.float64) @ GREY / 255.0) - low) / (high - low) - 1.0
        apart = np.square(self._machine["vectors"] - x).sum(axis=1)
        kernel = np.exp(-float(self._machine["gamma"][0]) * apart)
        return float(self._machine["coefficients"] @ kernel - self._machine["rho"][0])


class BrisqueFrames(Extractor):
    """BRISQUE of up to 16 evenly spaced frames, at the clip's own size.

    Arrays: ``score`` float64 [k], NaN for a uniform frame; ``frame`` int64 [k], which frames.
    """

    name: ClassVar[str] = BRISQUE
    weights: ClassVar[tuple[str, ...]] = (MACHINE, RANGE)

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        super().__init__(weights, device=device)
        self.model = BrisqueModel(weights[MACHINE], weights[RANGE])

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip.

        Raises:
            Unscored: ``undefined`` below 16 pixels.
        """
        if min(clip.height, clip.width) < 16:
            raise Unscored("undefined", f"{clip.width}x{clip.height} pixels; BRISQUE needs at least 16")
        places = np.unique(np.linspace(0, clip.n_frames - 1, min(FRAMES_PER_CLIP, clip.n_frames)).round().astype(int))
        return _Scores(self.model, places)


class _Scores(Accumulator):
    def __init__(self, model: BrisqueModel, places: NDArray[np.int64]) -> None:
        self._model = model
        self._places = places
        self._scores: list[float] = []

    def update(self, piece: Piece) -> Arrays:
        inside = (self._places >= piece.start) & (self._places < piece.start + len(piece.frames))
        for place in self._places[inside]:
            try:
                self._scores.append(self._model.score(piece.frames[place - piece.start]))
            except ValueError:
                self._scores.append(float("nan"))
        return {}

    def finish(self) -> Arrays:
        return {"score": np.array(self._scores), "frame": np.asarray(self._places, dtype=np.int64)}
