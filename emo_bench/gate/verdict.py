"""The outcome of a gate, as data, as JSON and as Markdown for a pull request or a job summary."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from emo_bench.compare.markdown import unpaired
from emo_bench.compare.runs import Change
from emo_bench.gate.rules import Severity
from emo_core.atomic import write_json, write_text
from emo_core.errors import ExitCode
from emo_core.text import escape_markdown, format_number

Outcome = Literal["pass", "worse", "lost", "blind", "unjudged", "not_applicable"]


@dataclass(frozen=True, kw_only=True)
class RuleOutcome:
    """What a rule says about one value of one pair of systems.

    Attributes:
        change: The measured change; positive is worse.
        severity: Of the rule.
        threshold: Smallest change that counts.
        outcome: ``pass``; ``worse`` beyond chance and threshold; ``lost`` when the candidate has fewer values;
            ``blind`` when a change that must be seen would stay unseen; ``unjudged`` when nothing can be said;
            ``not_applicable`` when the value needs a ground truth and no clip of either run has one.
        p: One-sided p of the change for the worse, corrected over all rules; None when it was not tested.
        reason: In a sentence.
    """

    change: Change
    severity: Severity
    threshold: float
    outcome: Outcome
    p: float | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome of a gate.

    Attributes:
        outcome: ``pass``, ``fail`` (worse, or values lost) or ``invalid`` (the two runs cannot be judged).
        baseline: Name of the baseline's run.
        candidate: Name of the candidate's run.
        problems: Why the runs cannot be judged, or what weakens the judgement.
        rules: One entry per judged value.
        alpha: Chance of any false alarm that was aimed at.
    """

    outcome: Literal["pass", "fail", "invalid"]
    baseline: str
    candidate: str
    problems: tuple[str, ...]
    rules: tuple[RuleOutcome, ...]
    alpha: float

    @property
    def exit_code(self) -> ExitCode:
        """0 when nothing is worse, 1 when something is, 2 when it cannot be judged."""
        return {"pass": ExitCode.OK, "fail": ExitCode.GATE_FAILED, "invalid": ExitCode.USAGE}[self.outcome]

    def as_json(self) -> dict[str, Any]:
        """Plain values; what is not finite is null."""
        value: dict[str, Any] = _finite(asdict(self))
        return {**value, "version": 1, "exit_code": int(self.exit_code)}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_verdict(verdict: Verdict, folder: Path) -> list[Path]:
    """Writes ``verdict.json`` and ``verdict.md``."""
    write_json(folder / "verdict.json", verdict.as_json())
    write_text(folder / "verdict.md", verdict_markdown(verdict))
    return [folder / "verdict.json", folder / "verdict.md"]


_HEADLINES = {
    "pass": "✅ No regression found",
    "fail": "❌ Regression",
    "invalid": "⛔ Cannot be judged",
}
_SIGNS = {
    "pass": "✅",
    "worse": "❌ worse",
    "lost": "❌ values lost",
    "blind": "⛔ too few clips",
    "unjudged": "⛔ not judged",
    "not_applicable": "– not applicable",
}


def verdict_markdown(verdict: Verdict) -> str:
    """A pull-request comment or job summary; starts with a hidden line by which an older comment can be found."""
    judged = [rule for rule in verdict.rules if rule.outcome in ("pass", "worse")]
    lines = [
        "<!-- emo-bench gate -->",
        f"### {_HEADLINES[verdict.outcome]}: {escape_markdown(verdict.candidate)} against "
        f"{escape_markdown(verdict.baseline)}",
        "",
        *(f"- {escape_markdown(problem)}" for problem in verdict.problems),
    ]
    if verdict.problems:
        lines.append("")
    if verdict.rules:
        lines += [
            "| | System | Value | Baseline | Candidate | Change for the worse | Counts from | Would see |",
            "| :-- | :-- | :-- | --: | --: | --: | --: | --: |",
            *(_line(rule) for rule in sorted(verdict.rules, key=_urgency)),
            "",
        ]
    lines.append(
        f"{len(judged)} values judged on the same clips, paired by clip and resampled by person"
        f"{unpaired([rule.change for rule in judged])}; at most "
        f"{100 * verdict.alpha:g} % false alarms over all of them. “Would see” is the smallest change that these clips "
        "find with 80 % power: a smaller one may have passed unseen."
    )
    return "\n".join(lines) + "\n"


def _urgency(rule: RuleOutcome) -> tuple[int, str]:
    order = {"worse": 0, "lost": 1, "blind": 2, "unjudged": 3, "pass": 4, "not_applicable": 5}
    return order[rule.outcome] + (0 if rule.severity == "fail" else 1), rule.change.label


def _line(rule: RuleOutcome) -> str:
    change = rule.change

    def number(value: float | None) -> str:
        return "–" if value is None or not math.isfinite(value) else format_number(value, change.decimals)

    name = change.system_b if change.system_a == change.system_b else f"{change.system_a} → {change.system_b}"
    interval = f" [{number(change.low)}, {number(change.high)}]" if change.low is not None else ""
    sign = _SIGNS[rule.outcome]
    if rule.severity == "warn" and rule.outcome not in ("pass", "not_applicable"):
        sign = f"⚠️ {sign.split(' ', 1)[1]}"
    reason = f"<br><sub>{escape_markdown(rule.reason)}</sub>" if rule.reason else ""
    cells = (
        sign,
        escape_markdown(name),
        f"{escape_markdown(change.label)} <sub>{escape_markdown(change.protocol)}</sub>{reason}",
        number(change.value_a),
        number(change.value_b),
        f"{number(change.difference)}{interval}",
        number(rule.threshold),
        number(change.detectable),
    )
    return "| " + " | ".join(cells) + " |"
