"""What is kept of every frame of a prepared clip: what EMO's training needs, and what the metrics would see."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from emo_metrics.contract import Arrays, Extractor

FACE = "face/mediapipe-landmarker@1"
SOUND = "audio/loudness-pitch@1"


@dataclass(frozen=True)
class Measures:
    """The extractors that labels come from.

    Attributes:
        face: ``face/mediapipe-landmarker@1``.
        sound: ``audio/loudness-pitch@1``.
        digests: Names and digests of everything that their values depend on.
    """

    face: Extractor
    sound: Extractor
    digests: tuple[str | None, ...]

    @classmethod
    def load(cls, weights: tuple[Path, ...]) -> Measures:
        """Finds the weights.

        Args:
            weights: Folders of weight files, before the usual ones.

        Raises:
            WeightsError: a file is missing or another one.
        """
        from emo_bench.extract.catalogue import extractors, load_catalogues
        from emo_bench.extract.weights import WeightsFinder, weights_table

        load_catalogues()
        finder = WeightsFinder(folders=weights)
        kind = extractors.get(FACE)
        face = kind({name: finder.require(name) for name in kind.weights})
        digests = [weights_table()[name].sha256 for name in kind.weights]
        return cls(face, extractors.get(SOUND)({}), (*digests, FACE, SOUND))


def clip_labels(
    face: Arrays, audio: Arrays, mel: NDArray[np.float32], *, whole_frame: int
) -> dict[str, NDArray[np.generic]]:
    """Arrays of `emo_bench.data.labels.SCHEMA`.

    Args:
        face: Of ``face/mediapipe-landmarker@1`` on the clip's own frames; at least one frame with a face.
        audio: Of ``audio/loudness-pitch@1``.
        mel: ``float32 [M, 80]``.
        whole_frame: The value of ``found_by`` for a face that was found without cropping.
    """
    found = np.asarray(face["found"], dtype=bool)
    by = np.asarray(face["found_by"])
    translation = np.asarray(face["translation"], dtype=np.float64)
    angles = np.asarray(face["pose_degrees"], dtype=np.float64)
    velocity = head_velocity(np.asarray(face["rotation"], dtype=np.float64), by == whole_frame)
    return {
        "box": _between(np.asarray(face["box"]), found),
        "landmarks68": _between(np.asarray(face["points68"]), found),
        "pose": _between(np.concatenate([angles, translation], axis=1), found),
        "head_velocity": _between(velocity[:, None], np.isfinite(velocity))[:, 0],
        "found": found.astype(np.uint8),
        "n_faces": np.asarray(face["n_faces"], dtype=np.int16),
        "loudness_db": np.asarray(audio["loudness_db"], dtype=np.float32),
        "pitch_hz": np.asarray(audio["pitch_hz"], dtype=np.float32),
        "log_mel": mel,
    }


def head_velocity(rotation: NDArray[np.float64], whole: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Angle from each frame to the next in degrees, ``[T]``; the first frame repeats the second.

    NaN where a frame has no face, or where one was found in the whole frame and the other in a crop: a crop is another
    camera (as in the protocol ``head-velocity/mediapipe@1``).

    Args:
        rotation: ``[T, 3, 3]``.
        whole: ``[T]``, found in the whole frame.
    """
    from emo_metrics.faces.rotation import angle_between

    if len(rotation) < 2:
        return np.zeros(len(rotation))
    steps = angle_between(rotation[1:], rotation[:-1])
    steps = np.where(whole[1:] == whole[:-1], steps, np.nan)
    return np.concatenate([steps[:1], steps])


def _between(values: NDArray[np.generic], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Unknown rows on straight lines between the known ones, held at the ends; zeros when none is known."""
    table = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    at = np.flatnonzero(known)
    if len(at) == 0:
        return np.zeros(np.shape(values), np.float32)
    rows = np.arange(len(table))
    filled = np.stack([np.interp(rows, at, column[at]) for column in table.T], axis=1)
    return filled.reshape(np.shape(values)).astype(np.float32)
