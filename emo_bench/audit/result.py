"""What an audit found, as frozen models and as files."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from emo_bench.record.schema import (
    AnchorCheck,
    Digests,
    FailureEntry,
    IntervalEntry,
    ProtocolEntry,
    Provenance,
    RecordModel,
    Timings,
)
from emo_core.atomic import write_text
from emo_core.errors import RecordError

AUDIT_FILE = "audit.json"
FILES = (AUDIT_FILE, "audit.csv", "audit.md", "audit.png", "audit.pdf")
Verdict = Literal["pass", "fail", "tie", "cannot", "no_value"]
Baseline = Literal["ground-truth", "reencoded"]


class DistortionEntry(RecordModel):
    """A corruption as it was run."""

    name: str
    title: str
    unit: str
    levels: tuple[float, ...] = Field(description="From the mildest to the worst")
    version: int


class Step(RecordModel):
    """One value of a protocol at one level of a corruption, against nothing."""

    level: float
    value: float | None = Field(description="Mean over the clips, or the value of the set")
    n: int = Field(description="Clips that the comparison rests on")
    worse_by: float | None = Field(description="How much worse than nothing; below 0 when it came out better")
    interval: IntervalEntry | None = Field(default=None, description="Of worse_by")
    told: bool = Field(description="Whether the entire interval is on the worse side")


class Reversal(RecordModel):
    """Two levels that stand in the wrong order."""

    milder: float
    stronger: float
    interval: IntervalEntry = Field(description="How much worse the stronger one is; below 0 as a whole")


class Finding(RecordModel):
    """One value of a protocol on one corruption."""

    protocol: str
    key: str
    label: str
    primary: bool
    distortion: str
    verdict: Verdict
    reason: str
    smallest_told: float | None = Field(
        default=None, description="The mildest level from which on every level is detected"
    )
    reacts: bool = Field(default=False, description="Whether any level is detected, declared blind or not")
    order: float | None = Field(default=None, description="Spearman's rank correlation of level and cost")
    nothing: Baseline = Field(description="What 'nothing' is for this protocol")
    steps: tuple[Step, ...] = ()
    reversals: tuple[Reversal, ...] = ()


class AuditRecord(RecordModel):
    """The whole outcome of an audit."""

    schema_version: Literal[1] = 1
    status: Literal["complete", "incomplete"]
    name: str
    dataset_name: str
    synthetic: bool
    n_clips: int
    n_identities: int
    level: float = Field(description="Nominal coverage, shared by all comparisons of one corruption")
    digests: Digests
    distortions: tuple[DistortionEntry, ...]
    protocols: tuple[ProtocolEntry, ...]
    findings: tuple[Finding, ...]
    anchors: tuple[AnchorCheck, ...]
    failures: tuple[FailureEntry, ...] = ()
    provenance: Provenance
    timings: Timings


SIGNS: dict[Verdict, str] = {"pass": "✓", "fail": "✗", "tie": "~", "cannot": "–", "no_value": "?"}


def write_audit(folder: Path, record: AuditRecord) -> None:
    """Writes ``audit.json``, ``audit.csv`` (one row per value and corruption) and ``audit.md``."""
    values = record.model_dump(mode="json")
    text = json.dumps(values, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    write_text(folder / AUDIT_FILE, text + "\n")
    write_text(folder / "audit.csv", as_csv(record))
    write_text(folder / "audit.md", as_markdown(record))


def read_audit(path: Path) -> AuditRecord:
    """Reads an audit, given its file or folder.

    Raises:
        RecordError: when it is missing or not the record of an audit.
    """
    file = path / AUDIT_FILE if path.is_dir() else path
    try:
        return AuditRecord.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise RecordError(f"{file} is not the record of an audit", expected=AUDIT_FILE, found=first) from None


def as_csv(record: AuditRecord) -> str:
    """One line per value and corruption."""
    units = {entry.name: entry.unit for entry in record.distortions}
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ["protocol", "key", "distortion", "verdict", "smallest_told", "unit", "reacts", "order", "nothing", "reason"]
    )
    for finding in record.findings:
        writer.writerow(
            [
                finding.protocol, finding.key, finding.distortion, finding.verdict,
                "" if finding.smallest_told is None else f"{finding.smallest_told:g}", units[finding.distortion],
                finding.reacts, "" if finding.order is None else f"{finding.order:.2f}", finding.nothing,
                finding.reason,
            ]
        )  # fmt: skip
    return stream.getvalue()


def as_markdown(record: AuditRecord) -> str:
    """The main table: primary values down, corruptions across; the number is the smallest level detected."""
    names = [entry.name for entry in record.distortions]
    cells = {(item.protocol, item.key, item.distortion): item for item in record.findings}
    rows = list(dict.fromkeys((item.protocol, item.key, item.label) for item in record.findings if item.primary))
    what = "synthetic; " if record.synthetic else ""
    lines = [
        f"Audit of {record.name} on {record.dataset_name} "
        f"({what}{record.n_clips} clips, {record.n_identities} people).",
        "",
        "✓ orders the levels · ✗ does not · ~ does not detect the worst level · – declared blind "
        "(! but reacts) · ? no value. The number is the smallest level detected.",
        "",
        "| protocol | value | " + " | ".join(names) + " |",
        "| --- | --- |" + " --- |" * len(names),
        "| | *unit* | " + " | ".join(f"*{entry.unit}*" for entry in record.distortions) + " |",
    ]
    for protocol, key, label in rows:
        shown = [cell_text(cells.get((protocol, key, name))) for name in names]
        lines.append(f"| `{protocol}` | {label} | " + " | ".join(shown) + " |")
    missing = [f"- `{entry.name}`: {entry.reason.splitlines()[0]}" for entry in record.protocols if entry.reason]
    wrong = [
        f"- `{item.protocol}` {item.key}, {item.distortion}: {item.reason}"
        for item in record.findings
        if item.primary and item.verdict == "fail"
    ]
    odd = [
        f"- `{item.protocol}` {item.key}, {item.distortion}: {item.reason}"
        for item in record.findings
        if item.primary and item.verdict == "cannot" and item.reacts
    ]
    for title, entries in (("Not computed", missing), ("Failed", wrong), ("Declared blind, yet reacts", odd)):
        if entries:
            lines += ["", f"{title}:", "", *entries]
    return "\n".join(lines) + "\n"


def cell_text(finding: Finding | None) -> str:
    """Sign and smallest level of one cell."""
    if finding is None:
        return ""
    sign = SIGNS[finding.verdict] + ("!" if finding.verdict == "cannot" and finding.reacts else "")
    return f"{sign} {finding.smallest_told:g}" if finding.smallest_told is not None and shows_level(finding) else sign


def shows_level(finding: Finding) -> bool:
    """Whether the smallest detected level is informative beside the verdict: not where the order is wrong."""
    return finding.verdict in ("pass", "cannot")
