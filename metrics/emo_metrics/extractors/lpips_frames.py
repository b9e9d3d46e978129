"""The extractors behind LPIPS: perceptual distance between generated and true frames of the same index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray

from emo_metrics.contract import (
    Accumulator,
    Arrays,
    ClipInputs,
    Extractor,
    FrameArray,
    Need,
    Piece,
    Unscored,
)
from emo_metrics.networks.engines import ENGINES, TORCH, Engine
from emo_metrics.networks.fixed_batches import evenly_spaced
from emo_metrics.networks.inference import exact_inference
from emo_metrics.networks.lpips_trunks import Trunk, load_lpips

FRAMES_PER_CLIP: Final = 32


class _LpipsFrames(Extractor):
    """Distances of up to 32 evenly spaced pairs of frames: arrays ``distance`` float64 [k] and ``frame`` int64 [k]."""

    needs: ClassVar[frozenset[Need]] = frozenset({Need.GROUND_TRUTH})
    engines: ClassVar[frozenset[str]] = ENGINES
    trunk: ClassVar[Trunk]

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu", engine: Engine = TORCH) -> None:
        super().__init__(weights, device=device)
        (file,) = self.weights
        self._network = load_lpips(self.trunk, weights[file], device, engine=engine)

    def distance(self, generated: FrameArray, truth: FrameArray) -> float:
        """Distance of one pair of frames ``uint8 RGB [H, W, 3]`` of equal size; exactly 0 for equal frames."""
        if np.array_equal(generated, truth):  # as in the ground truth's own row; the network says 0 too
            return 0.0
        with exact_inference():
            a, b = (_prepared(frame).to(self.device) for frame in (generated, truth))
            return float(self._network(a, b)[0])

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        return _Pairs(self, evenly_spaced(clip.n_frames, FRAMES_PER_CLIP))


def _prepared(frame: FrameArray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None].float() / 127.5 - 1.0


class _Pairs(Accumulator):
    def __init__(self, extractor: _LpipsFrames, frames: NDArray[np.int64]) -> None:
        self._extractor = extractor
        self._frames = frames
        self._wanted = set(frames.tolist())
        self._distances: list[float] = []

    def update(self, piece: Piece) -> Arrays:
        if piece.ground_truth is None:
            raise Unscored("not_applicable", "there is no ground truth to compare with")
        if piece.ground_truth.shape != piece.frames.shape:
            raise Unscored("undefined", f"frames {piece.frames.shape}, ground truth {piece.ground_truth.shape}")
        for offset, (ours, theirs) in enumerate(zip(piece.frames, piece.ground_truth, strict=True)):
            if piece.start + offset in self._wanted:
                self._distances.append(self._extractor.distance(ours, theirs))
        return {}

    def finish(self) -> Arrays:
        return {"distance": np.array(self._distances, dtype=np.float64), "frame": self._frames}


class LpipsAlexFrames(_LpipsFrames):
    """On AlexNet."""

    name: ClassVar[str] = "lpips-frames/alex@0.1"
    weights: ClassVar[tuple[str, ...]] = ("alexnet-owt-7be5be79.pth",)
    trunk: ClassVar[Trunk] = "alex"


class LpipsVggFrames(_LpipsFrames):
    """On VGG16."""

    name: ClassVar[str] = "lpips-frames/vgg@0.1"
    weights: ClassVar[tuple[str, ...]] = ("vgg16-397923af.pth",)
    trunk: ClassVar[Trunk] = "vgg"
