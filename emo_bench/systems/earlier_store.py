"""Clips of the first layout of the store: one Matroska file with frames and audio beside each record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from emo_bench.media.recipe import LosslessFrames
from emo_core.errors import DecodeError
from emo_core.hashing import digest_of, sha256_file

if TYPE_CHECKING:
    from emo_bench.systems.clip_store import ClipStore, StoredClip


def is_earlier(record: Path) -> bool:
    """Whether a record is one of the first layout."""
    try:
        values = json.loads(record.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(values, dict) and "file_sha256" in values


def adopt(store: ClipStore, key: str) -> StoredClip | None:
    """Moves a clip of the first layout into the present one without encoding anything; None when there is none.

    Frames and samples stay what they are, so what a network made is not made again.
    """
    from emo_bench.media.lossless import open_clip
    from emo_bench.systems.clip_store import Sidecar

    record = store.path(key)
    values, old = _values(record), record.with_suffix(".mkv")
    if values is None or values["key"] != key:
        return None
    try:
        if sha256_file(old) != values["file_sha256"]:
            return None
        audio = open_clip(old).audio
        name = f"{values['file_sha256']}.mkv"
        samples = store.put_audio(audio)
        store.objects.adopt(old, sha256=values["file_sha256"])
    except (FileNotFoundError, KeyError, DecodeError):
        return None  # damaged, or another process was first
    kept = {field: values[field] for field in Sidecar.model_fields if field in values and field != "digest"}
    told = {**kept, "layout": 2, "audio": samples, "audio_rate": audio.rate}
    frames = LosslessFrames(name=name).model_dump(mode="json")
    return store.write(Sidecar.model_validate_json(json.dumps({**told, "frames": frames}), strict=True))


def _values(record: Path) -> dict[str, str] | None:
    try:
        values = json.loads(record.read_bytes())
        if not isinstance(values, dict) or "file_sha256" not in values or "digest" not in values:
            return None
        told = {name: value for name, value in values.items() if name not in ("digest", "seconds")}
        return values if values["digest"] == digest_of(told) else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None
