"""Extractors of I3D features: windows of 16 frames, evenly spaced over a clip, without overlap."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from emo_metrics.contract import Accumulator, Arrays, ClipInputs, Extractor, FrameArray, Piece, Unscored
from emo_metrics.networks.engines import ENGINES, TORCH, Engine
from emo_metrics.networks.fixed_batches import once_while_equal, window_starts
from emo_metrics.networks.i3d import CLASSES, SIDE, TENSORFLOW_EPSILON, load_i3d
from emo_metrics.networks.inference import exact_inference
from emo_metrics.networks.weight_files import require_sha256

STATE_DICT: Final = "i3d_pretrained_400.pt"
TORCHSCRIPT: Final = "i3d_torchscript.pt"
TORCHSCRIPT_SHA256: Final = "bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2"
WINDOW: Final = 16
WINDOWS_PER_CLIP: Final = 8


class _WindowExtractor(Extractor):
    """Logits of up to 8 windows of 16 consecutive frames of a clip: arrays ``features [k, 400]`` and ``start [k]``."""

    @abstractmethod
    def window_features(self, frames: FrameArray) -> NDArray[np.float32]:
        """``float32 [400]`` of one window ``uint8 RGB [16, H, W, 3]``; one window at a time, whatever else there is."""

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip.

        Raises:
            Unscored: ``too_short`` for fewer than 16 frames.
        """
        if clip.n_frames < WINDOW:
            raise Unscored("too_short", f"{clip.n_frames} frames; a window has {WINDOW}")
        return _Windows(self, window_starts(clip.n_frames, WINDOW, WINDOWS_PER_CLIP))


class _Windows(Accumulator):
    def __init__(self, extractor: _WindowExtractor, starts: list[int]) -> None:
        self._compute = once_while_equal(extractor.window_features)
        self._starts = starts
        self._open: list[FrameArray] = []
        self._features: list[NDArray[np.float32]] = []

    def update(self, piece: Piece) -> Arrays:
        for offset, frame in enumerate(piece.frames):
            self._take(piece.start + offset, frame)
        return {}

    def _take(self, index: int, frame: FrameArray) -> None:
        if len(self._features) == len(self._starts) or index < self._starts[len(self._features)]:
            return
        self._open.append(frame.copy())
        if len(self._open) == WINDOW:
            self._features.append(self._compute(np.stack(self._open)))
            self._open = []

    def finish(self) -> Arrays:
        return {"features": np.stack(self._features), "start": np.array(self._starts, dtype=np.int64)}


def prepare_i3d(frames: FrameArray) -> torch.Tensor:
    """Squashed to 224 x 224 bilinearly without antialiasing, then 2 x / 255 − 1.

    Args:
        frames: ``uint8 RGB [t, H, W, 3]``.

    Returns:
        ``float32 [1, 3, t, 224, 224]``.
    """
    x = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float()
    x = F.interpolate(x, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return (2.0 * x.transpose(0, 1)[None] / 255.0 - 1.0).contiguous()


class I3dCd(_WindowExtractor):
    """Our I3D with the file that VideoGPT, TATS and cd-fvd share."""

    name: ClassVar[str] = "i3d/cd@1"
    weights: ClassVar[tuple[str, ...]] = (STATE_DICT,)
    engines: ClassVar[frozenset[str]] = ENGINES

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu", engine: Engine = TORCH) -> None:
        super().__init__(weights, device=device)
        self._network = load_i3d(weights[STATE_DICT], device, engine=engine)

    def window_features(self, frames: FrameArray) -> NDArray[np.float32]:
        """Logits of one window."""
        with exact_inference():
            return np.asarray(self._network(prepare_i3d(frames).to(self.device))[0].cpu().numpy(), dtype=np.float32)


class I3dStyleganV(_WindowExtractor):
    """The network of StyleGAN-V: its TorchScript file, or the same TF-Hub weights in our I3D.

    Args:
        weights: The file under the name ``i3d_torchscript.pt``. A safetensors file holds the tensors of the TF-Hub
            network; any other is TorchScript with its own resize, opened only when its bytes are the pinned ones.
        device: Of the network.
        sha256: Digest that a TorchScript file must have.
        engine: What computes our I3D; TorchScript computes itself.
    """

    name: ClassVar[str] = "i3d/styleganv@1"
    weights: ClassVar[tuple[str, ...]] = (TORCHSCRIPT,)
    engines: ClassVar[frozenset[str]] = ENGINES

    def __init__(
        self,
        weights: Mapping[str, Path],
        *,
        device: str = "cpu",
        sha256: str = TORCHSCRIPT_SHA256,
        engine: Engine = TORCH,
    ) -> None:
        super().__init__(weights, device=device)
        path = weights[TORCHSCRIPT]
        tensors = path.suffix == ".safetensors"
        self._compute = self._with_tensors(path, engine) if tensors else self._with_script(path, sha256)

    def _with_tensors(self, path: Path, engine: Engine) -> Callable[[FrameArray], torch.Tensor]:
        network = load_i3d(path, self.device, epsilon=TENSORFLOW_EPSILON, engine=engine)
        return lambda frames: network(prepare_i3d(frames).to(self.device))

    def _with_script(self, path: Path, sha256: str) -> Callable[[FrameArray], torch.Tensor]:
        # A TorchScript file is a program: it runs only when it is exactly the published one.
        network = torch.jit.load(str(require_sha256(path, sha256)), map_location=self.device).eval()  # type: ignore[no-untyped-call]

        def compute(frames: FrameArray) -> torch.Tensor:
            x = torch.from_numpy(np.ascontiguousarray(frames)).permute(3, 0, 1, 2)[None].float().to(self.device)
            result: torch.Tensor = network(x, rescale=True, resize=True, return_features=True)
            return result

        return compute

    def window_features(self, frames: FrameArray) -> NDArray[np.float32]:
        """Logits of one window."""
        with exact_inference():
            result = self._compute(frames)
        features = np.asarray(result.cpu().numpy(), dtype=np.float32).reshape(-1)
        if features.shape != (CLASSES,):
            raise ValueError(f"{TORCHSCRIPT}: expected {CLASSES} features of a window, found {features.shape}")
        return features
