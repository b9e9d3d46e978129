"""All figures of a run: made once, saved as SVG, PDF or PNG with the same bytes for the same record."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from emo_bench.record.run_data import RunData
from emo_bench.report.figure_style import FigureKind, NamedFigure, figure_bytes, style
from emo_bench.report.figures_clips import lag_curves, traces
from emo_bench.report.figures_frames import face_regions, method_grid, steps_strip, style_grid
from emo_bench.report.figures_values import checks, frontier, intervals, profile, scatter
from emo_core.atomic import write_bytes

FIGURES: Mapping[str, Callable[[RunData], NamedFigure | None]] = {
    "intervals": intervals,
    "profiles": profile,
    "scatter": scatter,
    "anchor-checks": checks,
    "frontier": frontier,
    "method-by-time": method_grid,
    "styles": style_grid,
    "face-regions": face_regions,
    "steps": steps_strip,
    "lag-curves": lag_curves,
    "traces": traces,
}
"""Every figure by its file name, in the order of the report."""


def make_figures(run: RunData, names: Collection[str] = tuple(FIGURES)) -> list[NamedFigure]:
    """Draws figures; one that the run has no data for is left out.

    Args:
        run: The run.
        names: Some of ``FIGURES``.
    """
    with style():
        made = [figure for name, make in FIGURES.items() if name in names and (figure := make(run)) is not None]
        for item in made:
            # The layout is settled once: solved again at every save, it would move by a hair and change the bytes.
            item.figure.draw_without_rendering()
            item.figure.set_layout_engine("none")
    return made


def write_figures(figures: Sequence[NamedFigure], folder: Path) -> list[Path]:
    """Writes each figure as SVG and PDF, images of frames as PNG and PDF."""
    paths = []
    for item in figures:
        kinds: tuple[FigureKind, ...] = (item.file_kind, "pdf")
        for kind in kinds:
            path = folder / f"{item.name}.{kind}"
            write_bytes(path, figure_bytes(item.figure, kind))
            paths.append(path)
    return paths
