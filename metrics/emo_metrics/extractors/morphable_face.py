"""The extractor ``expression/3ddfa-v2@1``: coefficients of a 3D morphable face for every frame (3DDFA_V2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Accumulator, Arrays, ClipInputs, Extractor, FrameArray, Piece
from emo_metrics.faces.alignment import square_crop
from emo_metrics.faces.gaps import FACE

NETWORK_FILE: Final = "3ddfa_v2_mb05_120x120.pth"
SCALE_FILE: Final = "3ddfa_v2_param_mean_std_62d.json"
INPUT_SIDE: Final = 120
PARTS: Final[Mapping[str, slice]] = {"pose": slice(0, 12), "shape": slice(12, 52), "expression": slice(52, 62)}


def crop_square(points68: NDArray[np.floating]) -> tuple[int, int, int]:
    """The square that 3DDFA_V2 cuts out around known landmarks.

    Its centre is that of the points' bounds, its side the diagonal of the square over their longer side.

    Args:
        points68: ``[68, 2]`` in pixels.

    Returns:
        Left, top and side in whole pixels.
    """
    points = np.asarray(points68, dtype=np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    centre = (low + high) / 2
    side = np.sqrt(2.0) * float((high - low).max())
    left, top = (round(float(v)) for v in centre - side / 2)
    return left, top, max(1, round(side))


class MorphableFaceNetwork:
    """3DDFA_V2's regressor with its scaling.

    Args:
        network: Path of the state dict.
        scale: Path of the means and deviations of the 62 parameters.
        device: Where torch computes.
    """

    def __init__(self, network: Path, scale: Path, *, device: str = "cpu") -> None:
        import torch

        from emo_metrics.networks.mobilenet_v1 import MobileNetV1

        stored: Any = torch.load(network, map_location="cpu", weights_only=True)["state_dict"]
        model = MobileNetV1()
        model.load_state_dict({key.removeprefix("module."): value for key, value in stored.items()}, strict=True)
        self._model = model.eval().to(device)
        self._device = device
        statistics = json.loads(scale.read_text(encoding="utf-8"))
        self._mean = np.asarray(statistics["mean"], dtype=np.float64)
        self._std = np.asarray(statistics["std"], dtype=np.float64)

    def parameters(self, frame: FrameArray, points68: NDArray[np.floating]) -> NDArray[np.float64]:
        """The 62 parameters of one face: 12 of pose, 40 of shape, 10 of expression, as ``float64 [62]``.

        Args:
            frame: ``uint8 RGB [H, W, 3]``.
            points68: ``[68, 2]`` in pixels.
        """
        import cv2
        import torch

        from emo_metrics.networks.inference import exact_inference

        crop = square_crop(frame, *crop_square(points68))
        small = cv2.resize(crop, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_LINEAR)
        # the network was trained on OpenCV's channel order
        tensor = (small[..., ::-1].astype(np.float32).transpose(2, 0, 1)[np.newaxis] - 127.5) / 128.0
        with exact_inference():
            raw = self._model(torch.from_numpy(np.ascontiguousarray(tensor)).to(self._device))
        return np.asarray(raw[0].double().cpu().numpy() * self._std + self._mean)


class MorphableFace(Extractor):
    """Morphable-face coefficients of the clip's face, one face at a time so that no number depends on a batch.

    Arrays, NaN where no face was found: ``pose`` float32 [n, 12] (a 3x4 matrix row by row, in the units of the
    120-pixel crop), ``shape`` [n, 40], ``expression`` [n, 10].
    """

    name: ClassVar[str] = "expression/3ddfa-v2@1"
    weights: ClassVar[tuple[str, ...]] = (NETWORK_FILE, SCALE_FILE)
    requires: ClassVar[tuple[str, ...]] = (FACE,)

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        super().__init__(weights, device=device)
        self._network = MorphableFaceNetwork(weights[NETWORK_FILE], weights[SCALE_FILE], device=device)

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        return _Coefficients(self._network)


class _Coefficients(Accumulator):
    def __init__(self, network: MorphableFaceNetwork) -> None:
        self._network = network

    def update(self, piece: Piece) -> Arrays:
        faces = piece.upstream[FACE]
        rows = np.full((len(piece.frames), 62), np.nan, dtype=np.float32)
        for index in np.flatnonzero(faces["found"]):
            rows[index] = self._network.parameters(piece.frames[index], faces["points68"][index].astype(np.float32))
        return {name: rows[:, part] for name, part in PARTS.items()}

    def finish(self) -> Arrays:
        return {}
