"""The heat map of an audit: protocols down, distortions across, verdict and smallest detected level in each cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emo_bench.audit.result import SIGNS, AuditRecord, DistortionEntry, Finding, Verdict, shows_level
from emo_bench.report.figure_style import figure_bytes, new_figure, style
from emo_core.atomic import write_bytes

PASS_SHADES = ("#005a41", "#1f7d61", "#4f9f85", "#83bfa9", "#b5dccd")
"""Told already at the first severity level: dark; only at a later one: light."""
COLOURS: dict[Verdict, str] = {"fail": "#c2410c", "tie": "#f1d9a0", "cannot": "#ececea", "no_value": "#ffffff"}
MEANING: dict[Verdict, str] = {
    "pass": "orders the levels; the smallest level that is detected (dark: the first)",
    "tie": "even the worst level is not detected",
    "fail": "wrong order",
    "cannot": "declared blind (!: reacts all the same)",
    "no_value": "no value",
}
NAMES: dict[Verdict, str] = {
    "pass": "",
    "tie": "not detected",
    "fail": "wrong",
    "cannot": "blind",
    "no_value": "no value",
}
INK, SOFT = "#3a3d45", "#7a7d86"


def write_figure(folder: Path, record: AuditRecord) -> None:
    """Writes ``audit.png`` and ``audit.pdf``; nothing when no value was judged."""
    figure = heat_map(record)
    if figure is not None:
        write_bytes(folder / "audit.png", figure_bytes(figure, "png", dpi=220))
        write_bytes(folder / "audit.pdf", figure_bytes(figure, "pdf"))


def heat_map(record: AuditRecord) -> Any | None:
    """The figure; None when there is nothing to show."""
    rows = list(dict.fromkeys((item.protocol, item.key, item.label) for item in record.findings if item.primary))
    if not rows:
        return None
    cells = {(item.protocol, item.key, item.distortion): item for item in record.findings}
    width = 1.75 + 0.68 * len(record.distortions)
    with style():
        figure, axes = new_figure(max(4.2, width), 1.35 + 0.25 * len(rows))
        axis = axes[0]
        for y, (protocol, key, _) in enumerate(rows):
            for x, corruption in enumerate(record.distortions):
                _cell(axis, x, y, cells.get((protocol, key, corruption.name)), corruption)
        _labels(axis, record, rows)
        _legend(figure, record)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return figure


def _cell(axis: Any, x: int, y: int, finding: Finding | None, corruption: DistortionEntry) -> None:
    from matplotlib.patches import Rectangle

    if finding is None:
        return
    colour, dark = _colour(finding, corruption)
    edge = "#c9cac6" if finding.verdict == "no_value" else "none"
    axis.add_patch(Rectangle((x + 0.03, y + 0.06), 0.94, 0.88, facecolor=colour, edgecolor=edge, linewidth=0.5))
    # A sign beside the colour keeps the image readable in grey.
    sign = SIGNS[finding.verdict] + ("!" if finding.verdict == "cannot" and finding.reacts else "")
    level = finding.smallest_told if shows_level(finding) else None
    told = NAMES[finding.verdict] if level is None else f"{level:g}"
    ink = "white" if dark else INK
    axis.text(x + 0.5, y + 0.5, f"{sign} {told}".strip(), ha="center", va="center", fontsize=6.5, color=ink)


def _colour(finding: Finding, corruption: DistortionEntry) -> tuple[str, bool]:
    if finding.verdict != "pass" or finding.smallest_told is None:
        return COLOURS.get(finding.verdict, "#ffffff"), finding.verdict == "fail"
    place = corruption.levels.index(finding.smallest_told) / max(1, len(corruption.levels) - 1)
    index = min(len(PASS_SHADES) - 1, round(place * (len(PASS_SHADES) - 1)))
    return PASS_SHADES[index], index <= 2


def _labels(axis: Any, record: AuditRecord, rows: list[tuple[str, str, str]]) -> None:
    axis.set_xlim(0, len(record.distortions))
    axis.set_ylim(len(rows), 0)
    for x, entry in enumerate(record.distortions):
        for text, lift, colour, weight in ((entry.unit, 4, SOFT, "normal"), (entry.title, 19, INK, "bold")):
            axis.annotate(
                _wrapped(text), (x + 0.5, 0), xytext=(0, lift), textcoords="offset points", ha="center", va="bottom",
                fontsize=6, color=colour, fontweight=weight, linespacing=1.1, annotation_clip=False,
            )  # fmt: skip
    axis.set_xticks([])
    axis.set_yticks([y + 0.5 for y in range(len(rows))], [f"{label}  {protocol}" for protocol, _, label in rows])
    axis.tick_params(length=0, labelsize=6.5)
    for side in axis.spines.values():
        side.set_visible(False)


def _wrapped(text: str) -> str:
    """At most two lines that fit over a column."""
    from textwrap import wrap

    return "\n".join(wrap(text, 14)[:2])


def _legend(figure: Any, record: AuditRecord) -> None:
    from matplotlib.patches import Patch

    present = {item.verdict for item in record.findings if item.primary}
    shown = [verdict for verdict in MEANING if verdict in present]
    handles = [
        Patch(
            facecolor=PASS_SHADES[1] if verdict == "pass" else COLOURS[verdict],
            edgecolor="#c9cac6" if verdict == "no_value" else "none",
            linewidth=0.5,
            label=f"{SIGNS[verdict]}  {MEANING[verdict]}",
        )
        for verdict in shown
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=2, fontsize=6.5, labelcolor=INK)
