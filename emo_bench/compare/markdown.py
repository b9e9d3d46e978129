"""A comparison of two runs as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from emo_bench.compare.runs import FROM_INTERVALS, Change, Comparison
from emo_core.text import escape_markdown as safe
from emo_core.text import format_number

VERDICT_SIGNS = {"better": "▲ better", "worse": "▼ worse", "tie": "＝ tie", "undefined": "– undefined"}


def comparison_markdown(comparison: Comparison) -> str:
    """The comparison as Markdown; differences are signed so that positive is worse."""
    lines = [f"# {safe(comparison.name_b)} against {safe(comparison.name_a)}", ""]
    lines += [f"- ⚠ {safe(text)}" for text in comparison.differences]
    for label, names in (("first", comparison.only_a), ("second", comparison.only_b)):
        if names:
            lines.append(f"- Only in the {label} run: {', '.join(safe(name) for name in names)}.")
    if not comparison.changes:
        return "\n".join([*lines, "", "No system has a value in both runs."]) + "\n"
    for names in dict.fromkeys((change.system_a, change.system_b) for change in comparison.changes):
        title = safe(names[0]) if names[0] == names[1] else f"{safe(names[1])} against {safe(names[0])}"
        lines += ["", f"## {title}", "", "| Value | A | B | Change for the worse | p | Clips | Verdict |"]
        lines.append("| :-- | --: | --: | --: | --: | --: | :-- |")
        lines += [_line(change) for change in comparison.changes if (change.system_a, change.system_b) == names]
    lines += [
        "",
        f"Positive changes are worse. Paired on the same clips{unpaired(comparison.changes)}; p after Holm's "
        "correction over all values. Where the verdict is a tie, the change that would have been found with 80 % power "
        "is given after ±.",
    ]
    return "\n".join(lines) + "\n"


def unpaired(changes: Sequence[Change]) -> str:
    """What is compared in another way than paired by clip, for a sentence; empty when nothing is."""
    sets = any(change.method == FROM_INTERVALS for change in changes)
    return ", but values of whole sets by the intervals of either run" if sets else ""


def _line(change: Change) -> str:
    def text(value: float | None) -> str:
        return "–" if value is None else format_number(value, change.decimals)

    interval = f" [{text(change.low)}, {text(change.high)}]" if change.low is not None else ""
    seen = f" ±{text(change.detectable)}" if change.verdict == "tie" and change.detectable is not None else ""
    p = "–" if change.p_corrected is None else "< 0.001" if change.p_corrected < 0.001 else f"{change.p_corrected:.3f}"
    lost = f" ({len(change.lost)} lost)" if change.lost else ""
    said = "; ".join(text for text in (change.reason, change.coverage_lost) if text)
    why = f": {safe(said)}" if said else ""
    cells = (
        f"{safe(change.label)} <sub>{safe(change.protocol)}</sub>",
        text(change.value_a),
        text(change.value_b),
        f"{text(change.difference)}{interval}{seen}",
        p.replace("<", "&lt;"),
        f"{change.n_pairs}{lost}",
        f"{VERDICT_SIGNS[change.verdict]}{why}",
    )
    return "| " + " | ".join(cells) + " |"
