"""The records below a folder: which count, which are left out and why, and which were made again."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from emo_bench.record.proof import AGAIN_FOLDER, PROOF_FILE, Proof, read_proof
from emo_bench.record.run_data import load_run
from emo_bench.record.schema import RunRecord
from emo_bench.record.seal import damage
from emo_bench.record.store import RECORD_FILE, read_record
from emo_bench.reproduce.confirm import Confirmation, confirmation_of
from emo_core.errors import ConfigError, RecordError
from emo_core.hashing import sha256_file

Why = Literal["unreadable", "altered", "unsealed", "cancelled", "empty", "repeated", "proof"]
KINDS: Mapping[Why, str] = {
    "unreadable": "cannot be read, or is of another version",
    "altered": "not as it was written: digests do not match",
    "unsealed": "without digests, so changes would go unnoticed",
    "cancelled": "of a run that was cancelled",
    "empty": "without any value",
    "repeated": "the same record as another one",
    "proof": "a proof of reproduction that shows nothing",
}
SKIPPED_FOLDERS = frozenset({"store", "previews", "report", "report-common", "figures"})
"""Folders of a run in which no records lie."""


@dataclass(frozen=True)
class Exclusion:
    """Something that was found and does not count.

    Attributes:
        place: Relative to the folder.
        why: Its kind.
        reason: In a sentence.
    """

    place: str
    why: Why
    reason: str


@dataclass(frozen=True, eq=False)
class Entry:
    """A record that counts.

    Attributes:
        place: Its folder, relative to the folder of records.
        file_sha256: Of its file.
        record: The record.
        missing: Files that it lists and that were not copied along.
        reproduced: How it was made again: ``exact`` to the bit, ``equal`` within the tolerance; empty when it was not.
    """

    place: str
    file_sha256: str
    record: RunRecord
    missing: tuple[str, ...] = ()
    reproduced: Literal["", "exact", "equal"] = ""

    @property
    def id(self) -> str:
        """Short, unique among records that differ; names the record's page."""
        return self.file_sha256[:16]


@dataclass(frozen=True, eq=False)
class Collection:
    """What lies below a folder, in an order that depends on the files alone."""

    entries: tuple[Entry, ...]
    exclusions: tuple[Exclusion, ...]


def collect(folder: Path) -> Collection:
    """Reads all records below a folder.

    A record in the folder ``run`` beside a ``proof.json`` is evidence for another record, not one of its own.

    Raises:
        ConfigError: when the folder is missing or holds no ``record.json`` at all.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}", expected="a folder with run folders in it")
    records, proofs = _found(folder)
    if not records:
        raise ConfigError(
            f"there are no records below {folder}",
            expected=f"run folders, each with its {RECORD_FILE}",
            fix="copy the folders that `emo-bench run` wrote (record.json and clips.parquet are enough)",
        )
    entries: dict[str, Entry] = {}
    exclusions: list[Exclusion] = []
    seen: dict[str, str] = {}
    for path in records:
        place = path.parent.relative_to(folder).as_posix()
        read = _read(path, place, folder)
        if isinstance(read, Exclusion):
            exclusions.append(read)
        elif other := seen.get(_identity(read)):
            exclusions.append(Exclusion(place, "repeated", f"equal to {other}"))
        else:
            seen[_identity(read)] = place
            entries[read.file_sha256] = read
    for path in proofs:
        found = _confirmed(path, folder, entries)
        if isinstance(found, Exclusion):
            exclusions.append(found)
        else:
            entries[found.file_sha256] = found
    return Collection(tuple(entries.values()), tuple(exclusions))


def _found(folder: Path) -> tuple[list[Path], list[Path]]:
    """Records that stand for themselves, and proofs; neither below links."""
    records, proofs = [], []
    for name, folders, files in os.walk(folder):
        here = Path(name)
        folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS and not f.startswith("."))
        if PROOF_FILE in files:
            proofs.append(here / PROOF_FILE)
            folders[:] = [f for f in folders if f != AGAIN_FOLDER]
        if RECORD_FILE in files:
            records.append(here / RECORD_FILE)
    return sorted(records), sorted(proofs)


def _without_place(text: str, folder: Path) -> str:
    """A reason as the published pages may show it: paths in it begin at the folder of records."""
    for start in (folder, folder.resolve()):
        text = re.sub(rf"(?<![\w./-]){re.escape(f'{start}{os.sep}')}", "", text)
    return text


def _read(path: Path, place: str, folder: Path) -> Entry | Exclusion:
    try:
        record = read_record(path)
    except RecordError as error:
        text = error.message.replace(str(path), RECORD_FILE)
        found = f": {error.found}" if error.found else ""
        return Exclusion(place, "unreadable", _without_place(f"{text}{found}", folder))
    if record.seal is None:
        return Exclusion(place, "unsealed", "the record has no seal; run the suite again with this version")
    if damaged := list(damage(record, path.parent)):
        return Exclusion(place, "altered", " ".join(damaged))
    if record.status == "cancelled":
        return Exclusion(place, "cancelled", "the run was cancelled before its end")
    if not any(protocol.status == "ok" for protocol in record.protocols) or not record.values:
        return Exclusion(place, "empty", "no protocol could be computed")
    missing = tuple(name for name in sorted(record.seal.files) if not (path.parent / name).is_file())
    return Entry(place, sha256_file(path), record, missing)


def _identity(entry: Entry) -> str:
    seal = entry.record.seal
    return seal.record if seal is not None else entry.file_sha256


def _confirmed(path: Path, folder: Path, entries: Mapping[str, Entry]) -> Entry | Exclusion:
    place = path.parent.relative_to(folder).as_posix()
    again = path.parent / AGAIN_FOLDER
    try:
        proof = read_proof(path)
        entry = entries.get(proof.record.file)
        if entry is None:
            return Exclusion(place, "proof", "the record that it is about is not among those that count")
        found = _compared(proof, folder / entry.place, again)
    except (RecordError, OSError) as error:
        text = error.message if isinstance(error, RecordError) else str(error)
        return Exclusion(place, "proof", _without_place(text, folder))
    return Exclusion(place, "proof", found.doubt) if found.doubt else _with_badge(entry, exact=found.exact)


def _compared(proof: Proof, original: Path, again: Path) -> Confirmation:
    if not (again / RECORD_FILE).is_file():
        return Confirmation(doubt=f"the run that it names is missing from its folder ({AGAIN_FOLDER}/)")
    return confirmation_of(proof, load_run(original), load_run(again), after_file=sha256_file(again / RECORD_FILE))


def _with_badge(entry: Entry, *, exact: bool) -> Entry:
    return replace(entry, reproduced="exact" if exact or entry.reproduced == "exact" else "equal")


def counts_by_kind(exclusions: tuple[Exclusion, ...]) -> Iterator[tuple[Why, int]]:
    """How many of each kind, in the order of ``KINDS``; kinds without any are left out."""
    for kind in KINDS:
        if count := sum(exclusion.why == kind for exclusion in exclusions):
            yield kind, count
