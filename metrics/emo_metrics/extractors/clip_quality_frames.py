"""The extractor ``clip-iqa/frames@1``: CLIP-IQA of some frames of a clip, with a CLIP folder of the user's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Accumulator, Arrays, ClipInputs, Extractor, Piece
from emo_metrics.networks.clip_quality import PARTS, ClipQuality, check_folder

CLIP_QUALITY: Final = "clip-iqa/frames@1"
FOLDER: Final = "clip-iqa"
"""Name of the CLIP folder inside a weights folder."""
FRAMES_PER_CLIP: Final = 16


class ClipQualityFrames(Extractor):
    """CLIP-IQA ("quality") of up to 16 evenly spaced frames.

    Arrays: ``score`` float64 [k] in [0, 1]; ``frame`` int64 [k], which frames.
    """

    name: ClassVar[str] = CLIP_QUALITY
    weights: ClassVar[tuple[str, ...]] = tuple(f"{FOLDER}/{part}" for part in PARTS)

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        super().__init__(weights, device=device)
        self.model = ClipQuality(_only_folder(weights), device=device)

    @classmethod
    def check(cls, weights: Mapping[str, Path]) -> None:
        """Looks at the configurations and at the head of the tensors."""
        check_folder(_only_folder(weights))

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        places = np.unique(np.linspace(0, clip.n_frames - 1, min(FRAMES_PER_CLIP, clip.n_frames)).round().astype(int))
        return _Scores(self.model, places)


def _only_folder(weights: Mapping[str, Path]) -> Path:
    folders = {path.parent for path in weights.values()}
    if len(folders) != 1:
        raise ValueError(f"the files of {FOLDER} lie in {len(folders)} folders: {sorted(map(str, folders))}")
    return folders.pop()


class _Scores(Accumulator):
    def __init__(self, model: ClipQuality, places: NDArray[np.int64]) -> None:
        self._model = model
        self._places = places
        self._scores: list[float] = []

    def update(self, piece: Piece) -> Arrays:
        inside = (self._places >= piece.start) & (self._places < piece.start + len(piece.frames))
        # One frame at a time, so that no number depends on a batch.
        self._scores += [self._model.score(piece.frames[place - piece.start]) for place in self._places[inside]]
        return {}

    def finish(self) -> Arrays:
        return {"score": np.array(self._scores), "frame": np.asarray(self._places, dtype=np.int64)}
