"""Locator and reader together: the synth networks' analysis of the face in a frame."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from emo_metrics.contract import FrameArray
from emo_metrics.networks.inference import exact_inference
from emo_metrics.synth.face_network import (
    CROP_SIDE,
    FRAME_SIDE,
    FaceLocator,
    FaceReader,
    crops,
    points_to_frame,
)
from emo_metrics.synth.layers import to_square
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
        with exact_inference():
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
