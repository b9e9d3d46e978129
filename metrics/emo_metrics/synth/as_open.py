"""Presents features of the synth family under the names of the open family.

So the protocols of both families share every line of their computation and differ in the network alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Arrays, ClipFeatures, Family, ProtocolSpec
from emo_metrics.faces.finder import FoundBy
from emo_metrics.faces.gaps import FACE as OPEN_FACE
from emo_metrics.faces.landmark_sets import BLENDSHAPE_NAMES
from emo_metrics.synth.face import EXPRESSION_NAMES, FACE, IDENTITY

OPEN_IDENTITY: Final = "identity/mobilefacenet@1"
_SAME_MEANING: Final = {
    "jawOpen": "jaw_open",
    "mouthPucker": "mouth_pucker",
    "mouthFunnel": "mouth_funnel",
    "mouthSmileLeft": "smile_left",
    "mouthSmileRight": "smile_right",
    "browInnerUp": "brow_inner_up",
    "browOuterUpLeft": "brow_outer_up_left",
    "browOuterUpRight": "brow_outer_up_right",
    "browDownLeft": "brow_down_left",
    "browDownRight": "brow_down_right",
    "eyeBlinkLeft": "blink_left",
    "eyeBlinkRight": "blink_right",
    "eyeWideLeft": "eye_wide_left",
    "eyeWideRight": "eye_wide_right",
    "eyeSquintLeft": "eye_squint_left",
    "eyeSquintRight": "eye_squint_right",
}
"""MediaPipe's name -> HDTF-Synth's; the others stay 0."""


def as_open(clip: ClipFeatures) -> ClipFeatures:
    """The same clip with the arrays of ``face/synth@1`` and ``identity/synth@1`` where open protocols look for theirs.

    Args:
        clip: Features with ``face/synth@1``.
    """
    arrays: dict[str, Arrays] = dict(clip.arrays)
    face = clip.arrays[FACE]
    found = np.asarray(face["found"], dtype=bool)
    arrays[OPEN_FACE] = {
        "found": found,
        "points68": np.asarray(face["points68"]),
        "rotation": rotations(np.asarray(face["pose"], dtype=np.float64)),
        "blendshapes": blendshapes(np.asarray(face["expression"], dtype=np.float64)),
        # The network always looks at the whole frame.
        "found_by": np.full(len(found), FoundBy.WHOLE_FRAME),
    }
    if IDENTITY in arrays:
        arrays[OPEN_IDENTITY] = arrays[IDENTITY]
    return replace(clip, arrays=arrays)


def as_open_or_none(clip: ClipFeatures | None) -> ClipFeatures | None:
    """``as_open`` of what may be missing."""
    return None if clip is None else as_open(clip)


def rotations(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices of HDTF-Synth's angles, in the axes of ``faces.rotation``.

    Args:
        pose: ``[n, 3]``: yaw to the image's right, pitch down, roll clockwise, in degrees.

    Returns:
        ``float64 [n, 3, 3]``.
    """
    yaw, pitch, roll = np.radians(pose).T
    pitch, roll = -pitch, -roll
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)

    def matrix(*rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(rows, axis=-1).reshape(-1, 3, 3)

    about_y = matrix(np.cos(yaw), zero, np.sin(yaw), zero, one, zero, -np.sin(yaw), zero, np.cos(yaw))
    about_x = matrix(one, zero, zero, zero, np.cos(pitch), np.sin(pitch), zero, -np.sin(pitch), np.cos(pitch))
    about_z = matrix(np.cos(roll), -np.sin(roll), zero, np.sin(roll), np.cos(roll), zero, zero, zero, one)
    return about_y @ about_x @ about_z


def blendshapes(expression: NDArray[np.float64]) -> NDArray[np.float64]:
    """The expression ``[n, 26]`` in MediaPipe's columns ``[n, 52]``; what has no counterpart is 0."""
    result = np.zeros((len(expression), len(BLENDSHAPE_NAMES)))
    for theirs, ours in _SAME_MEANING.items():
        result[:, BLENDSHAPE_NAMES.index(theirs)] = expression[:, EXPRESSION_NAMES.index(ours)]
    return result


def synth_spec(spec: ProtocolSpec, name: str, extractors: tuple[str, ...], *, blind_to: frozenset[str]) -> ProtocolSpec:
    """An open protocol's declaration for the synth networks."""
    title = f"{spec.title.split(' (')[0]} (HDTF-Synth network)"
    source = "docs/protocols/synth.md"
    own = replace(spec, name=name, title=title, family=Family.SYNTH, extractors=extractors, blind_to=blind_to)
    return replace(own, source=source, page="synth")
