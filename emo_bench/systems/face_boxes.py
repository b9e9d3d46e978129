"""The harness's face finder as a plain function, for systems that need a face box which the data set does not know."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from emo_bench.extract.weights import WeightsFinder
from emo_bench.media.types import FrameArray

if TYPE_CHECKING:
    from emo_metrics.faces.finder import FaceFinder

FaceLocator = Callable[[FrameArray], "tuple[float, float, float, float] | None"]
"""Finds the face in one ``uint8 RGB [H, W, 3]``: left, top, right, bottom in pixels, or None."""


def face_locator(weights: WeightsFinder) -> FaceLocator:
    """Makes a locator from the pinned files of the face analysis (docs/weights: MediaPipe landmarker and YuNet).

    It follows a face from call to call: the last box is looked at again when the whole frame shows nothing. So each
    clip needs one of its own, or its face would depend on the clip before; they share the networks.

    Raises:
        WeightsError: when a file is missing or has other bytes.
    """
    import numpy as np

    from emo_metrics.faces.finder import FACE_FILES

    finder = _finder(tuple((name, weights.require(name)) for name in FACE_FILES))
    last = None

    def locate(frame: FrameArray) -> tuple[float, float, float, float] | None:
        nonlocal last
        face = finder.find(np.ascontiguousarray(frame), last).face
        if face is None:
            return None
        last = face.box
        left, top, right, bottom = (float(value) for value in face.box)
        return left, top, right, bottom

    return locate


@cache
def _finder(files: tuple[tuple[str, Path], ...]) -> FaceFinder:
    """The networks behind all locators of this process; what they see of a frame depends on that frame alone."""
    from emo_metrics.faces.finder import make_finder

    return make_finder(dict(files))
