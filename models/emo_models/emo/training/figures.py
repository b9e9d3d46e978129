"""Images of a training run: curves and sample grids."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def sample_grid(
    pairs: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]], path: Path, *, columns: int = 8, scale: int = 1
) -> None:
    """Real frames above generated ones, per pair two rows of ``columns`` frames evenly spread."""
    rows = []
    for real, made in pairs:
        count = min(len(real), len(made))
        chosen = np.linspace(0, count - 1, min(columns, count)).astype(int)
        rows += [np.concatenate(list(np.asarray(frames)[chosen]), 1) for frames in (real, made)]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    image = Image.fromarray(np.concatenate(padded))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.resize((image.width * scale, image.height * scale)).save(path)


def curve_figure(
    history: Sequence[Sequence[float]],
    values: Sequence[dict[str, Any]],
    path: Path,
    *,
    stages: Sequence[tuple[str, int]] = (),
    columns: int = 4,
) -> None:
    """Loss over steps, and each diagnostic over steps, one panel each.

    Args:
        history: Step over all stages and loss.
        values: Diagnostics, each with its ``step``.
        path: A PNG.
        stages: Names and steps of the stages in order; each has a curve of its own, as their losses do not compare.
        columns: Panels in a row.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    names = sorted({name for value in values for name in value if name not in {"step", "stage"}})
    rows = -(-(1 + len(names)) // columns)
    figure = Figure(figsize=(4 * min(columns, 1 + len(names)), 3 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(rows, min(columns, 1 + len(names)))).ravel()
    for unused in axes[1 + len(names) :]:
        unused.set_axis_off()
    last = int(history[-1][0]) if history else 1
    ends = np.cumsum([steps for _, steps in stages]).tolist() or [last]
    for number, (first, end) in enumerate(pairwise([0, *ends])):
        part = [(step, loss) for step, loss in history if first < step <= end]
        if part:
            steps, losses = np.array(part).T
            width = min(25, max(1, len(losses) // 2))
            smooth = np.convolve(losses, np.ones(width) / width, "valid")
            label = stages[number][0] if stages else None
            axes[0].plot(steps[len(steps) - len(smooth) :], smooth, color=f"C{number}", label=label)
    if stages:
        axes[0].legend(frameon=False)
    axes[0].set(title="loss (mean of up to 25 steps)", xlabel="step", yscale="log")
    axes[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes[0].yaxis.set_minor_formatter(NullFormatter())
    axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    for axis, name in zip(axes[1 : 1 + len(names)], names, strict=True):
        points = [(value["step"], value[name]) for value in values if name in value]
        axis.plot(*zip(*points, strict=True), marker="o", color="0.3")
        axis.set(title=name.replace("_", " "), xlabel="step", xlim=(0, 1.03 * last))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
