"""Figures of the values of systems: intervals, scatter against ground truth, profiles, anchor checks, speed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from emo_bench.record.columns import Column, columns_of
from emo_bench.record.run_data import RunData
from emo_bench.record.schema import ValueEntry
from emo_bench.report.figure_style import (
    TEXT_WIDTH,
    TRUTH_COLOUR,
    NamedFigure,
    SystemStyle,
    legend_below,
    legend_columns,
    new_figure,
    system_styles,
)
from emo_bench.report.sections.checks import check_matrix
from emo_bench.report.speed import speed_rows

MAX_PANELS = 9
FRONTIER_PANELS = 3
MAX_SYSTEMS = 16
SCATTER_SYSTEMS = 6
SCATTER_PANELS = 4
PROFILE_ENDS = (-0.1, 1.1)
"""Of the axis of profiles; what lies beyond is drawn at its edge."""


def _entries(run: RunData, column: Column) -> dict[str, ValueEntry]:
    wanted = (column.protocol.name, column.value.key)
    return {
        entry.system: entry
        for entry in run.record.values
        if (entry.protocol, entry.key) == wanted and entry.value is not None and math.isfinite(entry.value)
    }


def _columns(run: RunData, *, primary: bool = True) -> list[Column]:
    chosen = [column for column in columns_of(run.record) if column.value.primary or not primary]
    return [column for column in chosen if _entries(run, column)]


def intervals(run: RunData) -> NamedFigure | None:
    """Every main value of every system with its interval; a line marks the ground truth."""
    everything, everyone = _columns(run), system_styles(run.record)
    columns, styles = everything[:MAX_PANELS], _drawn(everyone)
    if not columns or not styles:
        return None
    across = min(3, len(columns))
    down = math.ceil(len(columns) / across)
    height = 0.45 + down * (0.42 + 0.17 * len(styles))
    figure, axes = new_figure(TEXT_WIDTH, height, down, across, sharey=True)
    for place, (column, axis) in enumerate(zip(columns, axes, strict=False)):
        _interval_panel(run, axis, column, styles)
        if place % across == 0:
            axis.set_yticks(range(len(styles)), [style.label for style in styles])
            for label, style in zip(axis.get_yticklabels(), styles, strict=True):
                label.set_color("#6b6e77" if style.anchor else TRUTH_COLOUR)
    for axis in axes[len(columns) :]:
        axis.set_axis_off()
    caption = (
        "Main values with their confidence intervals. The dashed line is the ground truth’s own value; anchors are "
        "grey. An arrow says which way a value improves."
        f"{_cut(len(columns), len(everything), 'values')}{_cut(len(styles), len(everyone), 'systems')}"
    )
    return NamedFigure("intervals", caption, figure)


def _drawn(styles: Sequence[SystemStyle]) -> list[SystemStyle]:
    """As many as there is room for; the ground truth and systems under test before the other anchors."""
    first = [style for style in styles if style.truth or not style.anchor][:MAX_SYSTEMS]
    others = [style for style in styles if style.anchor and not style.truth][: MAX_SYSTEMS - len(first)]
    kept = {style.name for style in (*first, *others)}
    return [style for style in styles if style.name in kept]


def _cut(shown: int, of: int, what: str) -> str:
    """What a figure has no room for, in a sentence; empty when everything is shown."""
    return "" if shown == of else f" There is room for {shown} of the {of} {what}; the tables have them all."


def _interval_panel(run: RunData, axis: Any, column: Column, styles: Sequence[SystemStyle]) -> None:
    entries = _entries(run, column)
    axis.set_title(f"{column.value.label} {column.arrow}")
    axis.set_xlabel(column.value.unit)
    axis.set_ylim(len(styles) - 0.4, -0.6)
    axis.grid(axis="x")
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    for row, style in enumerate(styles):
        entry = entries.get(style.name)
        if entry is None or entry.value is None:
            axis.annotate(
                "no value", (0.02, row), xycoords=("axes fraction", "data"), va="center", fontsize=6, color="#a0a3aa"
            )
            continue
        if style.truth:
            axis.axvline(entry.value, color=TRUTH_COLOUR, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)
        if entry.interval is not None:
            ends = (entry.interval.low, entry.interval.high)
            axis.plot(ends, (row, row), color=style.colour, linewidth=2.0, alpha=0.45, solid_capstyle="butt")
        axis.plot(entry.value, row, marker="o" if not style.anchor else "|", markersize=4.2 if not style.anchor else 6,
                  color=style.colour, markeredgewidth=1.4)  # fmt: skip


def profile(run: RunData) -> NamedFigure | None:
    """Each value scaled so that the ground truth is 1 and the worst anchor 0: one line per system."""
    everyone = system_styles(run.record)
    styles = _drawn(everyone)
    scaled = [(column, scale) for column in _columns(run) if (scale := _normalised(run, column, everyone))]
    if len(scaled) < 3:
        return None
    figure, axes = new_figure(TEXT_WIDTH, 2.9)
    axis = axes[0]
    places = range(len(scaled))
    for style in styles:
        values = [min(max(scale.get(style.name, math.nan), PROFILE_ENDS[0]), PROFILE_ENDS[1]) for _, scale in scaled]
        strong = not style.anchor or style.truth
        axis.plot(
            places, values, color=style.colour, linestyle=style.dash, marker=style.marker, zorder=3 if strong else 2,
            linewidth=1.7 if not style.anchor else 0.9, alpha=1.0 if strong else 0.75, markersize=4,
        )  # fmt: skip
    axis.set_xticks(places, [_stacked(column, crowded=len(scaled) > 8) for column, _ in scaled])
    axis.set_yticks([0, 0.5, 1], ["worst\nanchor", "half way", "ground\ntruth"])
    axis.set_ylim(PROFILE_ENDS[0] - 0.02, PROFILE_ENDS[1] + 0.02)
    axis.set_xlim(-0.25, len(scaled) - 0.75)
    axis.grid(axis="both")
    _legend_with_lines(figure, styles)
    drawn = [scale[style.name] for _, scale in scaled for style in styles if style.name in scale]
    outside = min(drawn, default=0.0) < PROFILE_ENDS[0] or max(drawn, default=1.0) > PROFILE_ENDS[1]
    beyond = " What is better than the ground truth or worse than the anchor by more is at the edge." if outside else ""
    caption = (
        "Profiles: each value is scaled so that the ground truth is 1 and the worst anchor 0, so that up is always "
        "better. Lines connect the same system; the scales of different values are not comparable."
        f"{beyond}{_cut(len(styles), len(everyone), 'systems')}"
    )
    return NamedFigure("profiles", caption, figure)


def _stacked(column: Column, *, crowded: bool) -> str:
    label = column.value.label
    # Labels of many columns would run into each other on one line.
    return f"{label.replace(' ', chr(10)) if crowded else label}\n{column.arrow}"


def _legend_with_lines(figure: Any, styles: Sequence[SystemStyle]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=style.colour, marker=style.marker, linestyle=style.dash, linewidth=1.4, markersize=4)
        for style in styles
    ]
    figure.legend(
        handles,
        [style.label for style in styles],
        loc="outside lower center",
        ncols=legend_columns(figure, [style.label for style in styles], most=4),
        handlelength=2.6,
    )


def _normalised(run: RunData, column: Column, styles: Sequence[SystemStyle]) -> dict[str, float] | None:
    """System -> 1 at the ground truth, 0 at the worst anchor, by cost; None when the two cannot be told apart."""
    entries = _entries(run, column)
    costs: dict[str, float] = {}
    for style in styles:
        entry = entries.get(style.name)
        bad = _cost(column, entry) if entry is not None else None
        if bad is not None:
            costs[style.name] = bad
    anchors = [style.name for style in styles if style.anchor and style.name in costs]
    if len(anchors) < 2:
        return None
    truth = next((costs[style.name] for style in styles if style.truth and style.name in costs), None)
    best = truth if truth is not None else min(costs[name] for name in anchors)
    worst = max(costs[name] for name in anchors)
    if not worst > best:
        return None
    return {name: (worst - value) / (worst - best) for name, value in costs.items()}


def scatter(run: RunData) -> NamedFigure | None:
    """Each generated clip's value over the real clip's value."""
    if run.ground_truth is None:
        return None
    tested = [style for style in system_styles(run.record) if not style.anchor]
    styles = tested[:SCATTER_SYSTEMS]
    found = []
    for column in columns_of(run.record):
        if column.protocol.granularity != "clip" or column.value.direction != "closer_to_gt":
            continue
        truth = run.clip_means(run.ground_truth, column.protocol.name, column.value.key)
        if len(truth) >= 2:
            found.append((column, truth))
    panels = found[:SCATTER_PANELS]
    if not panels or not styles:
        return None
    across = min(4, len(panels))
    figure, axes = new_figure(TEXT_WIDTH if across > 2 else 2.5 * across + 0.4, 2.5, 1, across)
    for axis, (column, truth) in zip(axes, panels, strict=True):
        spread = list(truth.values())
        for style in styles:
            values = run.clip_means(style.name, column.protocol.name, column.value.key)
            shared = sorted(set(values) & set(truth))
            axis.plot(
                [truth[clip] for clip in shared], [values[clip] for clip in shared], linestyle="none",
                marker=style.marker, color=style.colour, alpha=0.75, markersize=3.8, markeredgewidth=0,
            )  # fmt: skip
            spread += [values[clip] for clip in shared]
        low, high = min(spread), max(spread)
        margin = 0.06 * (high - low or 1.0)
        axis.set_xlim(low - margin, high + margin)
        axis.set_ylim(low - margin, high + margin)
        axis.axline((low, low), slope=1, color=TRUTH_COLOUR, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)
        axis.set_aspect("equal")
        axis.set_title(column.value.label)
        axis.set_xlabel(f"ground truth ({column.value.unit})" if column.value.unit else "ground truth")
        axis.grid()
    axes[0].set_ylabel("generated")
    legend_below(figure, styles)
    caption = (
        "Each clip’s value over the real clip’s value, for values that should equal the ground truth’s (dashed line)."
        f"{_cut(len(panels), len(found), 'values')}{_cut(len(styles), len(tested), 'systems')}"
    )
    return NamedFigure("scatter", caption, figure, full=across > 2)


_CHECK_COLOURS = {"pass": "#009E73", "fail": "#D55E00", "tie": "#E69F00", "cannot": "#e4e4e0", "no_value": "#f4f4f2"}


def checks(run: RunData) -> NamedFigure | None:
    """Which metric orders which pair of anchors."""
    from matplotlib.patches import Rectangle

    matrix = check_matrix(run.record)
    rows, heads = matrix.rows, [head.label for head in matrix.heads]
    if not rows:
        return None
    figure, axes = new_figure(TEXT_WIDTH, 0.75 + 0.24 * len(rows))
    axis = axes[0]
    for y, row in enumerate(rows):
        for x, cell in enumerate(row.cells):
            if not cell.text:
                continue
            axis.add_patch(Rectangle((x + 0.03, y + 0.06), 0.94, 0.88, color=_CHECK_COLOURS[cell.badge], linewidth=0))
            dark = cell.badge in ("pass", "fail")
            # A sign beside the colour keeps the image readable in grey.
            axis.text(x + 0.5, y + 0.5, f"{cell.sign}  {cell.text}", ha="center", va="center", fontsize=6.5,
                      color="white" if dark else "#3a3d45")  # fmt: skip
    axis.set_xlim(0, len(heads))
    axis.set_ylim(len(rows), 0)
    axis.set_xticks([x + 0.5 for x in range(len(heads))], heads)
    axis.set_yticks([y + 0.5 for y in range(len(rows))], [row.label for row in rows])
    axis.tick_params(length=0, labeltop=True, labelbottom=False)
    for side in axis.spines.values():
        side.set_visible(False)
    caption = "Audit of the metrics: whether each puts anchors of known order in that order on this data."
    return NamedFigure("anchor-checks", caption, figure)


def frontier(run: RunData) -> NamedFigure | None:
    """Quality over the cost of generation for the first values of the table, when the run timed its systems."""
    styles = {style.name: style for style in system_styles(run.record) if not style.anchor}
    seconds = {row.system.name: row.median for row in speed_rows(run) if row.system.name in styles}
    panels = [
        (column, scores)
        for column in _columns(run)
        if (scores := {name: entry for name, entry in _entries(run, column).items() if name in seconds})
    ][:FRONTIER_PANELS]
    if not panels or len(seconds) < 2:
        return None
    figure, axes = new_figure(0.4 + 2.2 * len(panels), 2.6, 1, len(panels))
    for axis, (column, scores) in zip(axes, panels, strict=True):
        values = {name: entry.value for name, entry in scores.items() if entry.value is not None}
        quality_cost = {name: _cost(column, scores[name]) for name in values}
        edge = frontier_of({name: (seconds[name], bad) for name, bad in quality_cost.items() if bad is not None})
        axis.plot([seconds[name] for name in edge], [values[name] for name in edge], color="#8a8d95", linewidth=0.8,
                  linestyle=(0, (3, 2)), zorder=1)  # fmt: skip
        for name, value in values.items():
            style, interval = styles[name], scores[name].interval
            if interval is not None:
                axis.plot(
                    [seconds[name]] * 2, [interval.low, interval.high], color=style.colour, linewidth=2.0, alpha=0.35
                )
            axis.plot(seconds[name], value, marker=style.marker, color=style.colour, markersize=5.5, linestyle="none")
        axis.set_xscale("log")
        axis.margins(x=0.18)
        axis.xaxis.set_major_formatter(lambda number, _: f"{number:g}")
        axis.xaxis.set_minor_formatter(lambda number, _: "")
        axis.set_title(f"{column.value.label} {column.arrow}")
        axis.set_xlabel("s per s of video ↓")
        axis.grid()
    legend_below(figure, [styles[name] for name in seconds])
    caption = (
        "Quality over the wall time for one second of video (logarithmic). The dashed line joins the systems that none "
        "is both faster and better than."
    )
    return NamedFigure("frontier", caption, figure, full=len(panels) > 1)


def _cost(column: Column, entry: ValueEntry) -> float | None:
    """A number that is lower for the better system."""
    if column.value.direction == "closer_to_gt":
        return entry.gap_to_ground_truth
    return -entry.value if column.value.direction == "higher" and entry.value is not None else entry.value


def frontier_of(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of the points that no other beats in one number without losing in the other, by the first number.

    >>> frontier_of({"fast": (1, 9), "slow": (8, 2), "waste": (9, 9)})
    ['fast', 'slow']
    """
    edge: list[str] = []
    least = math.inf
    for name in sorted(points, key=lambda key: (points[key], key)):
        if points[name][1] < least:
            edge.append(name)
            least = points[name][1]
    return edge
