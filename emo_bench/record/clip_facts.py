"""What figures need to know of the clips beyond the record: drawing style and where the face stays."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from emo_bench.record.limits import MAX_TEXT_BYTES, read_bytes
from emo_core.atomic import write_json

FACTS_FILE = "clips.json"
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """Facts of one clip.

    Attributes:
        clip: Id of the clip.
        style: Kind of portrait (``photo``, ``painting`` …); empty when unknown.
        face_box: Union of the face over the real clip: left, top, right, bottom as fractions of the frame; or None.
    """

    clip: str
    style: str = ""
    face_box: Box | None = None


def box_as_fractions(box: Box | None, width: int, height: int) -> Box | None:
    """A box in pixels as fractions of a frame of that size, cut at its borders; None when nothing is left."""
    if box is None or width < 1 or height < 1 or not all(map(math.isfinite, box)):
        return None
    left, right = (min(max(box[side] / width, 0.0), 1.0) for side in (0, 2))
    top, bottom = (min(max(box[side] / height, 0.0), 1.0) for side in (1, 3))
    return (left, top, right, bottom) if left < right and top < bottom else None


def write_clip_facts(folder: Path, facts: Iterable[ClipFacts]) -> Path:
    """Writes ``clips.json`` into a run folder."""
    path = folder / FACTS_FILE
    write_json(path, [{"clip": item.clip, "style": item.style, "face_box": item.face_box} for item in facts])
    return path


def read_clip_facts(path: Path) -> Iterator[ClipFacts]:
    """Reads ``clips.json``; a box that is none is left out."""
    for entry in json.loads(read_bytes(path, MAX_TEXT_BYTES)):
        box = entry.get("face_box")
        numbers = tuple(float(number) for number in box) if box is not None else ()
        whole = (numbers[0], numbers[1], numbers[2], numbers[3]) if len(numbers) == 4 else None
        yield ClipFacts(str(entry["clip"]), str(entry.get("style") or ""), box_as_fractions(whole, 1, 1))
