"""The outcome of a reproduction as data, as JSON and as Markdown."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from emo_bench.reproduce.agreement import Agreement, Difference
from emo_bench.reproduce.environment import Change
from emo_core.atomic import write_json, write_text
from emo_core.errors import ExitCode

JSON_FILE = "reproduction.json"
MARKDOWN_FILE = "reproduction.md"
SHOWN = 40
"""Differences in the Markdown; all of them are in the JSON."""


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What came of making a record again.

    Attributes:
        outcome: ``exact`` to the bit, ``equal`` within the tolerance, ``different``, or ``cannot``.
        name: Name of the run.
        record: The record's file.
        record_sha256: Digest of that file.
        folder: Where the new run lies; None when it was not made.
        tolerance: Relative.
        problems: Why it could not be made again, in sentences.
        agreement: Value by value; None when it was not made.
        environment: What differs in software and machine.
        seconds: Time of the new run.
    """

    outcome: Literal["exact", "equal", "different", "cannot"]
    name: str
    record: str
    record_sha256: str
    folder: str | None
    tolerance: float
    problems: tuple[str, ...] = ()
    agreement: Agreement | None = None
    environment: tuple[Change, ...] = ()
    seconds: float = 0.0

    @property
    def exit_code(self) -> ExitCode:
        """0 when nothing differs beyond the tolerance, 1 when something does, 2 when it cannot be made again."""
        return {
            "exact": ExitCode.OK,
            "equal": ExitCode.OK,
            "different": ExitCode.GATE_FAILED,
            "cannot": ExitCode.USAGE,
        }[self.outcome]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        values: dict[str, Any] = _plain(asdict(self))
        return {**values, "version": 1, "exit_code": int(self.exit_code)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_reproduction(found: Reproduction, folder: Path) -> list[Path]:
    """Writes ``reproduction.json`` and ``reproduction.md``."""
    write_json(folder / JSON_FILE, found.as_json())
    write_text(folder / MARKDOWN_FILE, reproduction_markdown(found))
    return [folder / JSON_FILE, folder / MARKDOWN_FILE]


_HEADLINES = {
    "exact": "✅ Equal to the bit",
    "equal": "✅ Equal within the tolerance",
    "different": "❌ Not the same numbers",
    "cannot": "⛔ Cannot be made again",
}


def reproduction_markdown(found: Reproduction) -> str:
    """The outcome for a person: headline, problems, counts, what differs, what is different around it."""
    from emo_core.text import escape_markdown as safe

    lines = [f"### {_HEADLINES[found.outcome]}: {safe(found.name)}", ""]
    lines += [f"- {safe(problem)}" for problem in found.problems]
    if found.agreement is not None:
        lines += [*_counts(found.agreement, found.tolerance), "", *_differences(found.agreement)]
        lines += [f"- {safe(note)}" for note in found.agreement.notes]
    lines += _environment(found.environment, ran=found.agreement is not None)
    return "\n".join(lines).rstrip() + "\n"


def _counts(agreement: Agreement, tolerance: float) -> list[str]:
    lines = [f"| | equal to the bit | within {tolerance:g} | different |", "| :-- | --: | --: | --: |"]
    lines += [
        f"| {what} | {count['exact']} | {count['within']} | {count['different']} |"
        for what, count in agreement.counts.items()
    ]
    return lines


def _differences(agreement: Agreement) -> list[str]:
    if not agreement.differences:
        return []
    shown = agreement.differences[:SHOWN]
    lines = [
        "| | System | Value | Clip | Record | Made again | Relative |",
        "| :-- | :-- | :-- | :-- | --: | --: | --: |",
    ]
    lines += [_line(difference) for difference in shown]
    hidden = len(agreement.differences) - len(shown)
    if hidden:
        lines.append(f"\n{hidden} more are in {JSON_FILE}.")
    return [*lines, ""]


def _line(difference: Difference) -> str:
    from emo_core.text import escape_markdown as safe

    def text(value: float | str | None) -> str:
        return "–" if value is None else safe(value) if isinstance(value, str) else f"{value:.9g}"

    clip = f"{difference.clip}, seed {difference.seed}" if difference.what == "per clip" else difference.clip
    cells = (
        ("❌ " if difference.how == "different" else "≈ ") + difference.what,
        safe(difference.system),
        safe(f"{difference.protocol} {difference.key}".strip()),
        safe(clip),
        text(difference.before),
        text(difference.after),
        "–" if difference.relative is None else f"{difference.relative:.1e}",
    )
    return "| " + " | ".join(cells) + " |"


def _environment(changes: tuple[Change, ...], *, ran: bool) -> list[str]:
    from emo_core.text import escape_markdown as safe

    if not changes:
        return ["The same software and machine."] if ran else []
    lines = ["Around it, this is not as it was:", "", "| What | Record | Here |", "| :-- | :-- | :-- |"]
    return lines + [f"| {safe(change.what)} | {safe(change.before)} | {safe(change.after)} |" for change in changes]
