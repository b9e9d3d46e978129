"""The proof that a run was repeated: it names both records by their digests, and is stored beside the second run.

A proof alone shows nothing, since anyone can write one: `emo_bench.reproduce.confirm` goes through the numbers of both
runs again. The digests say which two runs those are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from emo_bench.record.limits import read_bytes
from emo_bench.record.schema import RecordModel
from emo_bench.record.seal import plain_digest
from emo_bench.record.store import read_record, record_path
from emo_core.atomic import write_json
from emo_core.errors import RecordError
from emo_core.hashing import sha256_file
from emo_core.version import __version__

PROOF_FILE = "proof.json"
AGAIN_FOLDER = "run"
MAX_PROOF_BYTES = 1 << 16


class Proved(RecordModel):
    """A record that a proof is about."""

    file: str = Field(description="SHA-256 of its record.json")
    seal: str = Field(description="The digest that it names as its own")


class Proof(RecordModel):
    """That a record was made again and came out equal."""

    schema_version: Literal[1] = 1
    outcome: Literal["exact", "equal"]
    tolerance: float = Field(ge=0, description="Relative difference that counted as equal")
    record: Proved = Field(description="The record")
    again: Proved = Field(description="What was made of it; lies in the folder 'run' beside the proof")
    emo_bench: str = Field(description="Version that made it again")
    seal: str = Field(default="", description="SHA-256 over all other fields")

    def own_digest(self) -> str:
        """What ``seal`` must be, over the fields that the file holds."""
        return plain_digest(self.model_dump(mode="json", exclude={"seal"}, exclude_unset=True))


def write_proof(folder: Path, record: Path, again: Path, *, exact: bool, tolerance: float) -> Path:
    """Writes ``proof.json`` beside the run that was made again.

    Args:
        folder: Of the reproduction.
        record: The record that was made again.
        again: The new run, below ``folder``.
        exact: Whether all numbers are equal to the bit.
        tolerance: Relative difference that counted as equal.
    """
    proof = Proof(
        outcome="exact" if exact else "equal",
        tolerance=tolerance,
        record=_proved(record),
        again=_proved(again),
        emo_bench=__version__,
    ).spelled_out()
    write_json(folder / PROOF_FILE, {**proof.model_dump(mode="json"), "seal": proof.own_digest()})
    return folder / PROOF_FILE


def read_proof(path: Path) -> Proof:
    """Reads a proof.

    Raises:
        RecordError: when it is damaged, of another version, or not what was written.
    """
    try:
        proof = Proof.model_validate_json(read_bytes(path, MAX_PROOF_BYTES))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RecordError(
            f"{path.name} is not a proof of this version", expected="version 1", found=f"{place}: {first['msg']}"
        ) from None
    if proof.seal != proof.own_digest():
        raise RecordError(f"{path.name} was changed after it was written", expected="the digest that it names")
    return proof


def _proved(path: Path) -> Proved:
    seal = read_record(path).seal
    return Proved(file=sha256_file(record_path(path)), seal=seal.record if seal is not None else "")
