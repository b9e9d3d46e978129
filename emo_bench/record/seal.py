"""A record and the files beside it are one thing: digests of all files in the record, a digest over the record.

The seal finds damage, mixed-up files and hand-made changes. It is not a signature: anyone who recomputes it can forge
it. What depends on the inputs only is sealed apart from times, host and places, so that equal runs have equal seals.
The digests are over the fields that a file holds, so that a record stays valid when later versions add optional ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from emo_bench.record.clip_facts import FACTS_FILE
from emo_bench.record.rows import CLIPS_FILE
from emo_bench.record.schema import FileEntry, RunRecord, Seal
from emo_bench.record.set_samples import SAMPLES_FILE
from emo_bench.record.unit_times import JOURNAL_FILE
from emo_core.hashing import digest_of, sha256_bytes, sha256_file

SERIES_FILE = "series.parquet"
PREVIEW_FOLDER = "previews"
NEUTRAL = ("execution", "output", "store", "weights")
"""Keys of a suite that never change a number; they are not part of the digest of the config."""

CIRCUMSTANCES = ("execution", "output", "store")
"""Keys of a suite that say where and how the work was done."""


def config_digest(config: Mapping[str, Any]) -> str:
    """Digest of a suite's values without those that never change a number."""
    values = {key: value for key, value in config.items() if key not in NEUTRAL}
    if isinstance(values.get("systems"), list):  # what is kept on disk changes no number
        values["systems"] = [
            {key: value for key, value in system.items() if key != "store"} if isinstance(system, dict) else system
            for system in values["systems"]
        ]
    return digest_of(values)


def sealed(record: RunRecord, folder: Path) -> RunRecord:
    """The record with the digests of all files of its run that lie in ``folder`` now, and of itself."""
    record = record.spelled_out()
    journal = folder / JOURNAL_FILE
    timings = record.timings.model_copy(update={"journal": _entry(journal) if journal.is_file() else None})
    files = {name: _entry(folder / name) for name in _names(folder)}
    record = record.model_copy(update={"timings": timings, "seal": Seal(files=files, record="")})
    timings = timings.model_copy(update={"seal": _times_digest(record)})
    return record.model_copy(update={"timings": timings, "seal": Seal(files=files, record=_record_digest(record))})


def damage(record: RunRecord, folder: Path) -> Iterator[str]:
    """What in a sealed run is not as it was written, in sentences; nothing for a record without a seal.

    A file that was not copied along is no damage: what it would have shown is missing, and whoever reads it says so.
    """
    if record.seal is None:
        return
    try:
        digests = _record_digest(record), _times_digest(record), config_digest(record.config)
    except (ValueError, RecursionError):
        yield "The record holds numbers that are none, so it was changed after it was written."
        return
    if digests[0] != record.seal.record:
        yield "The record does not have the digest that it names, so it was changed after it was written."
    if digests[1] != record.timings.seal:
        yield "The times, the host or the given suite of the record were changed after it was written."
    if digests[2] != record.digests.config:
        yield "The config of the record does not have the digest that it names, so one of them was changed."
    for name, entry in sorted(record.seal.files.items()):
        if problem := _file_problem(folder, name, entry):
            yield problem
    if record.timings.journal is not None and (problem := _file_problem(folder, JOURNAL_FILE, record.timings.journal)):
        yield problem
    known = {*record.seal.files, *([JOURNAL_FILE] if record.timings.journal is not None else [])}
    for name in (*_names(folder), JOURNAL_FILE):
        if name not in known and (folder / name).is_file():
            yield f"{name} is not a file of this run: the record does not list it."


def _file_problem(folder: Path, name: str, entry: FileEntry) -> str:
    if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute() or not name.isprintable():
        return f"The record lists {name[:80]!r}, which is not the name of a file of a run."
    path = folder / name
    if not path.is_file():
        return ""
    # The size comes first: nobody hashes a sparse file of terabytes.
    if path.stat().st_size != entry.bytes or sha256_file(path) != entry.sha256:
        return f"{name} is not the file that the record lists: it was changed, or belongs to another run."
    return ""


def _names(folder: Path) -> list[str]:
    previews = [f"{PREVIEW_FOLDER}/{path.name}" for path in (folder / PREVIEW_FOLDER).glob("*.mp4")]
    names = [CLIPS_FILE, SERIES_FILE, FACTS_FILE, SAMPLES_FILE, f"{PREVIEW_FOLDER}/index.json", *previews]
    return sorted(name for name in names if (folder / name).is_file())


def _entry(path: Path) -> FileEntry:
    return FileEntry(sha256=sha256_file(path), bytes=path.stat().st_size)


def _record_digest(record: RunRecord) -> str:
    """Over all that equal runs have in common: neither when, where nor by how many processes the work was done."""
    left_out: dict[str, Any] = {
        "timings": True,
        "provenance": {"host"},
        "seal": {"record"},
        "config_given": True,
        "overrides": True,
    }
    left_out["config"] = set(CIRCUMSTANCES)
    return plain_digest(record.model_dump(mode="json", exclude=left_out, exclude_unset=True))


def plain_digest(values: Any) -> str:
    """``digest_of`` for what is JSON already (text keys, no tuples of other types): the same, three times as fast."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return sha256_bytes(text.encode())


def _times_digest(record: RunRecord) -> str:
    """Over the rest."""
    circumstances = {key: record.config.get(key) for key in CIRCUMSTANCES}
    timings = record.timings.model_dump(mode="json", exclude={"seal"}, exclude_unset=True)
    return digest_of([timings, record.provenance.host, record.config_given, record.overrides, circumstances])
