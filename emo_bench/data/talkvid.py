"""Who speaks which language in TalkVid's clips: its published JSON as identities and ``meta`` of a manifest.

The form is that of the data set's own page (github.com/FreedomIntelligence/TalkVid, section "Data Format"): objects
with ``id`` and ``info``; the clips' files are named by the id. TalkVid-Bench is a selection of such clips.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emo_bench.data.carry_over import set_by
from emo_bench.data.manifest import MAX_BYTES, ManifestEntry
from emo_bench.data.naming import listed, name_key
from emo_core.errors import DataError

KEYS = {
    "Gender": "gender",
    "Language": "language",
    "Age Group": "age",
    "Ethnicity": "ethnicity",
    "Video Category": "category",
}
"""Key of ``info`` -> key of ``meta``."""


@dataclass(frozen=True)
class ClipLabels:
    """What the data set says of a clip.

    Attributes:
        identity: Its ``Person ID``, or empty.
        meta: Gender, language and so on, where they are given.
    """

    identity: str
    meta: Mapping[str, str]


def read_labels(path: Path) -> dict[str, ClipLabels]:
    """Labels by id, in the form in which ids are compared.

    Args:
        path: A JSON list of objects, or one object a line.

    Raises:
        DataError: when the file has another form, or an id twice.
    """
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise DataError(f"no labels in {path}", expected=f"a JSON file of at most {MAX_BYTES} bytes")
    text = text_of(path)
    try:
        whole = text.lstrip().startswith("[")
        rows = json.loads(text) if whole else [json.loads(line) for line in text.split("\n") if line.strip()]
    except ValueError as error:
        raise DataError(f"{path} is not JSON", expected="a list of objects, or one a line", found=str(error)) from None
    found: dict[str, ClipLabels] = {}
    for number, row in enumerate(rows, start=1):
        info = row.get("info") if isinstance(row, dict) else None
        if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not isinstance(info, dict):
            raise DataError(f"{path}: entry {number} has another form", expected="an object with 'id' and 'info'")
        if name_key(row["id"]) in found:
            raise DataError(f"{path}: entry {number} repeats an id", found=row["id"])
        found[name_key(row["id"])] = _labels(info)
    return found


def text_of(path: Path) -> str:
    """The text of a file of labels.

    Raises:
        DataError: when it is not UTF-8; with replaced letters two people could become one.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text", expected="UTF-8", found=str(error), fix="save it as UTF-8 and try again"
        ) from None


def _labels(info: Mapping[str, Any]) -> ClipLabels:
    person = info.get("Person ID")
    meta = {to: str(info[key]) for key, to in KEYS.items() if isinstance(info.get(key), (str, int))}
    return ClipLabels(f"talkvid-{person}" if isinstance(person, (str, int)) and str(person) else "", meta)


def labelled(
    entries: Iterable[ManifestEntry], labels: Mapping[str, ClipLabels]
) -> tuple[list[ManifestEntry], list[str]]:
    """The clips with identities and ``meta``, and the ids of those without labels, which stay as they are.

    Raises:
        DataError: when no clip has labels, or labels without a folder fit clips of several folders.
    """
    entries = list(entries)
    own = {name_key(entry.id) for entry in entries}
    fitting: dict[str, list[str]] = {}
    for entry in entries:
        if name_key(entry.id) not in labels:
            fitting.setdefault(name_key(entry.id.rsplit("__", 1)[-1]), []).append(entry.id)
    for name, ids in fitting.items():
        if name in labels and len(ids) > 1:
            raise DataError(
                f"the labels of {name!r} fit {len(ids)} clips",
                expected="names that tell them apart: folders joined to the file's name by '__', as in ids of clips",
                found=listed(ids),
            )
    changed: list[ManifestEntry] = []
    without: list[str] = []
    for entry in entries:
        found, last = labels.get(name_key(entry.id)), name_key(entry.id.rsplit("__", 1)[-1])
        if found is None and last not in own:  # those are another clip's
            found = labels.get(last)
        if found is None:
            without.append(entry.id)
            changed.append(entry)
            continue
        new = entry.model_copy(update={"meta": {**entry.meta, **found.meta}})
        changed.append(set_by(new, "identity", found.identity, "a file of labels") if found.identity else new)
    if changed and len(without) == len(changed):
        raise DataError(
            "no clip has labels", expected="files named by the ids of the labels", found=", ".join(without[:5])
        )
    return changed, without
