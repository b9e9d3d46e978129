"""Labels: per-frame annotations of a prepared set, under one schema for all kinds of sets.

HDTF-Synth writes them beside each clip as its truth, `data prepare` as what it measured. Training reads both here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emo_bench.data.manifest import Manifest, ManifestEntry
from emo_core.atomic import write_bytes
from emo_core.errors import DataError
from emo_core.hashing import sha256_bytes

Labels = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Label:
    """One array of the schema.

    Attributes:
        text: Meaning and unit.
        shape: Of a frame's row; ``None`` for arrays that do not go by frame.
        required: Whether training cannot do without it.
        gaps: Whether NaN stands for frames without a value; elsewhere it would go into losses and correlations.
    """

    text: str
    shape: tuple[int, ...] | None = ()
    required: bool = False
    gaps: bool = False


SCHEMA: Mapping[str, Label] = {
    "box": Label("left, top, right, bottom of the face in pixels of the clip, f32 [T, 4]", (4,), True),
    "landmarks68": Label("x, y in pixels of the clip, iBUG order, f32 [T, 68, 2]", (68, 2), True),
    "pose": Label("yaw, pitch, roll in degrees; x, y, z in centimetres, f32 [T, 6]", (6,), True),
    "head_velocity": Label("rotation since the frame before, degrees per frame, f32 [T]; frame 0 repeats frame 1"),
    "mouth_opening": Label("gap between the lips, 1 is half the head's height, f32 [T]"),
    "blink": Label("how far each eye is closed, 0 to 1, f32 [T, 2]", (2,)),
    "found": Label("1 where a face was found; the other frames hold values between their neighbours', u8 [T]"),
    "n_faces": Label("faces seen, i16 [T]"),
    "loudness_db": Label("root mean square over 50 ms, decibels of full scale, f32 [T]", gaps=True),
    "pitch_hz": Label("fundamental frequency, NaN where nothing is voiced, f32 [T]", gaps=True),
    "log_mel": Label("80 mel bands every 10 ms at 16 kHz, natural logarithm, f32 [M, 80]", None, gaps=True),
}
"""Sets may hold more; of these names they hold this."""


def labels_path(entry: ManifestEntry) -> str | None:
    """Where a clip's labels lie, relative to the manifest; ``None`` when it has none."""
    found = entry.meta.get("labels") or entry.truth
    return str(found) if found else None


def read_labels(manifest: Manifest, entry: ManifestEntry) -> Labels:
    """The per-frame arrays of a clip, ``[T, ...]`` each; arrays that do not go by frame are left out.

    Raises:
        DataError: The clip has no labels, or they are not what `SCHEMA` says.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    place = labels_path(entry)
    if place is None:
        raise DataError(
            f"clip {entry.id} has no labels",
            expected="a set with labels: of `emo-bench data make`, `data prepare folder`, or `data label`",
            fix=f"emo-bench data label {manifest.root / 'manifest.jsonl'} --weights WEIGHTS",
        )
    path = manifest.path(place)
    try:
        stored: Labels = dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise DataError(f"the labels of clip {entry.id} cannot be read: {path}", found=str(error)) from None
    missing = [name for name, label in SCHEMA.items() if label.required and name not in stored]
    if missing:
        raise DataError(f"the labels of clip {entry.id} lack {', '.join(missing)}", found=", ".join(sorted(stored)))
    count = len(stored["box"])
    # Of names that the schema does not know, those with a row per frame.
    kept = {
        name: value
        for name, value in stored.items()
        if (SCHEMA[name].shape is not None if name in SCHEMA else value.shape[:1] == (count,))
    }
    for name, value in kept.items():
        wanted = (count, *(SCHEMA[name].shape or ())) if name in SCHEMA else value.shape
        if value.shape != wanted:
            raise DataError(
                f"label {name} of clip {entry.id}", expected=f"shape {wanted}", found=f"shape {value.shape}"
            )
        if name in SCHEMA and not SCHEMA[name].gaps and not np.isfinite(value).all():
            raise DataError(f"label {name} of clip {entry.id}", expected="finite numbers", found="NaN or infinity")
    return kept


def write_labels(path: Path, labels: Mapping[str, NDArray[np.generic]]) -> str:
    """Writes labels as safetensors, the same bytes for the same values; returns their SHA-256."""
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(labels[name]) for name in sorted(labels)}
    # One entry only: the order of several would change from run to run.
    data = save(arrays, metadata={"labels": "; ".join(f"{name}: {SCHEMA[name].text}" for name in arrays)})
    write_bytes(path, data)
    return sha256_bytes(data)


def mouth_opening(points: NDArray[np.floating]) -> NDArray[np.float32]:
    """Gap between the inner lips in units of half the head's height, ``float32 [T]``, from landmarks ``[T, 68, 2]``.

    That half is taken as the distance from the bridge of the nose to the chin; HDTF-Synth has the same unit.
    """
    gap = np.linalg.norm(points[:, 61:64] - points[:, [67, 66, 65]], axis=2).mean(1)
    height = np.linalg.norm(points[:, 27] - points[:, 8], axis=1)
    return np.asarray(gap / np.maximum(height, 1e-6), np.float32)
