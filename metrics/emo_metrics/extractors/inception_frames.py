"""Extractors of Inception features: one network, three published ways to prepare a frame."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from emo_metrics.contract import Accumulator, Arrays, ClipInputs, Extractor, FrameArray, Piece
from emo_metrics.networks.engines import ENGINES, TORCH, Engine
from emo_metrics.networks.fixed_batches import FixedBatches, evenly_spaced
from emo_metrics.networks.image_resize import prepare_clean, prepare_pytorch_fid, prepare_torch_fidelity
from emo_metrics.networks.inception_fid import load_inception
from emo_metrics.networks.inference import exact_inference

WEIGHTS: Final = "pt_inception-2015-12-05-6726825d.pth"
FRAMES_PER_CLIP: Final = 32
BATCH: Final = 8
Prepare = Callable[[FrameArray], torch.Tensor]


class SampledFrames(Accumulator):
    """Features of evenly spaced frames of a clip, as arrays ``features [k, d]`` and ``frame [k]`` (their indices)."""

    def __init__(self, clip: ClipInputs, compute: Callable[[FrameArray], NDArray[np.float32]]) -> None:
        self._frames = evenly_spaced(clip.n_frames, FRAMES_PER_CLIP)
        self._wanted = set(self._frames.tolist())
        self._batches = FixedBatches(BATCH, compute)

    def update(self, piece: Piece) -> Arrays:
        """Takes the sampled frames of a piece."""
        for offset, frame in enumerate(piece.frames):
            if piece.start + offset in self._wanted:
                self._batches.add(frame)
        return {}

    def finish(self) -> Arrays:
        """The features of the clip."""
        return {"features": self._batches.finish(), "frame": self._frames}


def compute_features(network: nn.Module, prepare: Prepare, frames: FrameArray, device: str) -> NDArray[np.float32]:
    """Features ``float32 [n, d]`` of frames ``uint8 [n, H, W, 3]``."""
    with exact_inference():
        return np.asarray(network(prepare(frames).to(device)).cpu().numpy(), dtype=np.float32)


class _Inception(Extractor):
    """Pooled features of up to 32 evenly spaced whole frames of each clip."""

    weights: ClassVar[tuple[str, ...]] = (WEIGHTS,)
    engines: ClassVar[frozenset[str]] = ENGINES

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu", engine: Engine = TORCH) -> None:
        super().__init__(weights, device=device)
        self._network = load_inception(weights[WEIGHTS], device, engine=engine)

    @abstractmethod
    def prepare(self, frames: FrameArray) -> torch.Tensor:
        """Frames ``uint8 RGB [n, H, W, 3]`` to what the network takes, ``float32 [n, 3, 299, 299]``."""

    def features(self, frames: FrameArray) -> NDArray[np.float32]:
        """``float32 [n, 2048]`` of frames ``uint8 RGB [n, H, W, 3]``."""
        return compute_features(self._network, self.prepare, frames, self.device)

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        return SampledFrames(clip, self.features)


class InceptionPytorchFid(_Inception):
    """Prepared as pytorch-fid does."""

    name: ClassVar[str] = "inception/pytorch-fid@1"

    def prepare(self, frames: FrameArray) -> torch.Tensor:
        """See ``prepare_pytorch_fid``."""
        return prepare_pytorch_fid(frames)


class InceptionTorchFidelity(_Inception):
    """Prepared as torch-fidelity and the TensorFlow original do."""

    name: ClassVar[str] = "inception/torch-fidelity@1"

    def prepare(self, frames: FrameArray) -> torch.Tensor:
        """See ``prepare_torch_fidelity``."""
        return prepare_torch_fidelity(frames)


class InceptionClean(_Inception):
    """Prepared as clean-fid does."""

    name: ClassVar[str] = "inception/clean@1"

    def prepare(self, frames: FrameArray) -> torch.Tensor:
        """See ``prepare_clean``."""
        return prepare_clean(frames)
