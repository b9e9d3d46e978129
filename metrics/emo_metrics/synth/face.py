"""The extractors ``face/synth@1`` and ``identity/synth@1``: what a drawn face does on every frame, and whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray

from emo_metrics.contract import Accumulator, Arrays, ClipInputs, Extractor, FrameArray, Need, Piece
from emo_metrics.synth.face_network import (
    CROP_SIDE,
    FRAME_SIDE,
    FaceLocator,
    FaceReader,
    crops,
    points_to_frame,
)
from emo_metrics.synth.layers import to_square
from emo_metrics.synth.pins import PINS
from emo_metrics.synth.shipped import load_shipped

FACE: Final = "face/synth@1"
IDENTITY: Final = "identity/synth@1"
FILE: Final = "face.safetensors"
BATCH: Final = 16
EXPRESSION_NAMES: Final[tuple[str, ...]] = (
    *("jaw_open", "lips_pressed", "mouth_pucker", "mouth_funnel", "mouth_stretch", "smile_left", "smile_right"),
    *("mouth_frown", "lip_tuck", "upper_lip_up", "lower_lip_down", "tongue_up", "brow_inner_up"),
    *("brow_outer_up_left", "brow_outer_up_right", "brow_down_left", "brow_down_right", "blink_left", "blink_right"),
    *("eye_wide_left", "eye_wide_right", "eye_squint_left", "eye_squint_right", "cheek_raise", "look_x", "look_y"),
)
"""Columns of ``expression``: those of HDTF-Synth's truth, in its order."""


class FaceNetworks:
    """Locator and reader together, in batches of a fixed size so that the way frames arrive cannot change a number."""

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._locator = load_shipped(FaceLocator(), FILE, device=device, part="locator.")
        self._reader = load_shipped(FaceReader(), FILE, device=device, part="reader.")

    def read(self, frames: FrameArray) -> dict[str, NDArray[np.generic]]:
        """Rows for frames ``uint8 RGB [n, H, W, 3]``; the arrays of ``FaceSynth``, with an ``embedding``."""
        parts = []
        for start in range(0, len(frames), BATCH):
            part = frames[start : start + BATCH]
            filled = np.concatenate([part, np.repeat(part[-1:], BATCH - len(part), axis=0)])
            rows = self._read_batch(filled)
            parts.append({name: array[: len(part)] for name, array in rows.items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _read_batch(self, frames: FrameArray) -> dict[str, NDArray[np.generic]]:
        height, width = frames.shape[1:3]
        with torch.inference_mode():
            x = to_square(frames, FRAME_SIDE, self._device)
            place, presence = self._locator(x)
            reading = self._reader(crops(x, place, side=CROP_SIDE))
            points = points_to_frame(reading.points, place)
            pose = reading.pose * 10
            pose[:, 2] += torch.rad2deg(place[:, 3])
        rows = {
            "points68": points * torch.tensor([width, height], device=points.device),
            "expression": reading.expression,
            "pose": pose,
            "mouth": reading.mouth,
            "placement": place,
            "embedding": reading.identity,
        }
        found = (presence > 0).cpu().numpy()
        arrays = {name: value.float().cpu().numpy() for name, value in rows.items()}
        for value in arrays.values():
            value[~found] = np.nan
        return {"found": found, **arrays}


class FaceSynth(Extractor):
    """What the face does on every frame; frames are squashed to 128 x 128 by torch's antialiased bilinear filter.

    Arrays, one row a frame, NaN where no face was found: ``found`` bool [n]; ``points68`` float32 [n, 68, 2] in pixels
    of the frame; ``expression`` float32 [n, 26] (columns ``EXPRESSION_NAMES``); ``pose`` float32 [n, 3], yaw, pitch,
    roll in degrees with the signs of HDTF-Synth (right, down, clockwise in the picture positive); ``mouth`` float32
    [n, 3], opening and width in head units, rounding in [0, 1]; ``placement`` float32 [n, 4], the upright square around
    the face in shares of the frame; ``embedding`` float32 [n, 64], unit rows.
    """

    name: ClassVar[str] = FACE
    shipped: ClassVar[Mapping[str, str]] = {FILE: PINS.get(FILE, "")}

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        super().__init__(weights, device=device)
        self._networks = FaceNetworks(device)

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        return _FaceRows(self._networks)


class _FaceRows(Accumulator):
    """Rows as soon as frames arrive; nothing is kept."""

    def __init__(self, networks: FaceNetworks) -> None:
        self._networks = networks

    def update(self, piece: Piece) -> Arrays:
        return self._networks.read(piece.frames)

    def finish(self) -> Arrays:
        return {}


class IdentitySynth(Extractor):
    """Identity of every frame and of the reference image.

    Arrays: ``embedding`` float32 [n, 64] and ``reference_embedding`` float32 [1, 64], unit rows, NaN without a face.
    """

    name: ClassVar[str] = IDENTITY
    requires: ClassVar[tuple[str, ...]] = (FACE,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.REFERENCE_IMAGE})
    shipped: ClassVar[Mapping[str, str]] = {FILE: PINS.get(FILE, "")}

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        super().__init__(weights, device=device)
        self._networks = FaceNetworks(device)

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        return _IdentityRows(self._networks, clip.reference_image)


class _IdentityRows(Accumulator):
    def __init__(self, networks: FaceNetworks, reference: FrameArray) -> None:
        self._networks = networks
        self._reference = reference

    def update(self, piece: Piece) -> Arrays:
        return {"embedding": piece.upstream[FACE]["embedding"]}

    def finish(self) -> Arrays:
        return {"reference_embedding": self._networks.read(self._reference[None])["embedding"]}
