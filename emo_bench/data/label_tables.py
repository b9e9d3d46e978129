"""Labels of clips from a table: CSV with a column of ids, or the list of segments that EchoMimicV2 published (EMTD).

EMTD's list (github.com/antgroup/echomimic_v2, folder EMTD_dataset) has the columns ``URL``, ``Start Timecode`` and
``End Timecode``; its script ``slice_video.py`` names the clip of row k ``kkk_VIDEO.mp4``, where VIDEO is the id in the
address and rows count from 0.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emo_bench.data.manifest import MAX_BYTES
from emo_bench.data.naming import IMAGE_EXTENSIONS, name_key, nfc
from emo_bench.data.talkvid import ClipLabels, read_labels, text_of
from emo_bench.media.containers import AUDIO_EXTENSIONS, VIDEO_EXTENSIONS
from emo_core.errors import DataError

EMTD_COLUMNS = ("URL", "Start Timecode", "End Timecode")
ID_COLUMNS = ("id", "file", "clip", "video")
IDENTITY_COLUMNS = ("identity", "person", "speaker")
OWN_META = frozenset(
    {
        "audio_offset_frames",
        "driver",
        "driver_frames",
        "driver_licence",
        "driver_person",
        "enlarged",
        "fps",
        "identity_by",
        "interval_seconds",
        "labels",
        "labels_key",
        "labels_sha256",
        "motion",
        "notes",
        "portrait",
        "portrait_lip_gap",
        "portrait_sha256",
        "reenacted",
        "shortened",
        "size",
        "split_by",
    }
)
"""Keys of ``meta`` that this program writes and reads itself; as facts of a table they would be taken for its own."""
_ADDRESS = re.compile(r"[?&]v=([A-Za-z0-9_-]{11})(?![A-Za-z0-9_-])")


def read_label_file(path: Path) -> dict[str, ClipLabels]:
    """Labels by id, in the form in which ids are compared: of a table, or else of TalkVid's JSON.

    Raises:
        DataError: when the file has neither form, or an id twice.
    """
    if path.suffix.lower() not in (".csv", ".txt"):
        return read_labels(path)
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise DataError(f"no labels in {path}", expected=f"a table of at most {MAX_BYTES} bytes")
    columns, rows = _columns_and_rows(path)
    found: dict[str, ClipLabels] = {}
    for number, row in enumerate(rows):
        if None in row or None in row.values():
            raise DataError(
                f"{path}: row {number + 2} has another number of columns than the first",
                expected=f"{len(columns)}: {', '.join(columns)}",
            )
        cells = {key: value.strip() for key, value in row.items()}
        of_emtd = set(EMTD_COLUMNS) <= set(columns)
        name, labels = _segment(cells, number, path) if of_emtd else _row(cells, columns, path)
        if not name:
            raise DataError(f"{path}: row {number + 2} has no id", expected="the name of a clip")
        if name_key(name) in found:
            raise DataError(f"{path}: row {number + 2} repeats an id", found=name)
        found[name_key(name)] = labels
    if not found:
        raise DataError(f"{path} is an empty table", expected="a first line of column names, then a line a clip")
    return found


def _columns_and_rows(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    # Not splitlines(): titles hold U+2028 and the like. Strict: an open quote would swallow the clips after it.
    reader = csv.DictReader(io.StringIO(text_of(path), newline=""), strict=True)
    try:
        columns = [str(name).strip() for name in reader.fieldnames or ()]
        _check_columns(columns, path)
        reader.fieldnames = columns
        return columns, list(reader)
    except csv.Error as error:
        raise DataError(
            f"{path}: line {reader.reader.line_num} is no CSV",
            expected="quotes that are closed, doubled within a cell",
            found=str(error),
        ) from None


def _check_columns(columns: list[str], path: Path) -> None:
    lower = [name.lower() for name in columns]
    twice = sorted({name for name in lower if lower.count(name) > 1})
    if twice:
        raise DataError(
            f"{path} has columns of one name",
            expected="each once",
            found=", ".join(name or "(empty)" for name in twice),
        )
    own = sorted(name for name in columns if name in OWN_META)
    if own:
        raise DataError(
            f"{path} has columns whose names manifests use for facts of their own",
            expected="other names",
            found=", ".join(own),
            fix=f"rename or remove them: {own[0]} -> my_{own[0]}",
        )


def _segment(cells: Mapping[str, str], number: int, path: Path) -> tuple[str, ClipLabels]:
    """Name and labels of a row of EMTD's list; who speaks is not said, so the video stands for the person."""
    video = _ADDRESS.search(cells["URL"])
    if video is None:
        raise DataError(f"{path}: row {number + 2} has no video", expected="https://…/watch?v=…", found=cells["URL"])
    meta = {"source": video[1], "start": cells["Start Timecode"], "end": cells["End Timecode"]}
    return f"{number:03d}_{video[1]}", ClipLabels(f"emtd-{video[1]}", meta)


def _row(cells: Mapping[str, str], columns: list[str], path: Path) -> tuple[str, ClipLabels]:
    """Name and labels of a row of any table: a column of ids or file names, perhaps one of people, the rest is meta."""
    lower = {name.lower(): name for name in columns}
    own = next((lower[name] for name in ID_COLUMNS if name in lower), None)
    if own is None:
        raise DataError(
            f"{path} has no column of ids",
            expected=f"one of {', '.join(ID_COLUMNS)}, or EMTD's {', '.join(EMTD_COLUMNS)}",
            found=", ".join(columns) or "no first line",
        )
    person = next((lower[name] for name in IDENTITY_COLUMNS if name in lower), None)
    meta = {key: value for key, value in cells.items() if key not in (own, person) and value}
    name = cells[own].replace("\\", "/").rpartition("/")[2]
    ending = name[name.rfind(".") :].lower()  # 'anna.v2' has none, and is not anna
    stem = name[: -len(ending)] if ending in (*VIDEO_EXTENSIONS, *AUDIO_EXTENSIONS, *IMAGE_EXTENSIONS) else name
    return stem, ClipLabels(nfc(cells[person]) if person else "", meta)
