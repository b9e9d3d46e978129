"""Pictures of a training run: curves and sample grids."""

from __future__ import annotations

from collections.abc import Sequence
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
    picture = Image.fromarray(np.concatenate(padded))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.resize((picture.width * scale, picture.height * scale)).save(path)


def curve_picture(history: Sequence[Sequence[float]], values: Sequence[dict[str, Any]], path: Path) -> None:
    """Loss over steps, and each diagnostic over steps, one panel each."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = sorted({name for value in values for name in value if name not in {"step", "stage"}})
    figure = Figure(figsize=(5 * (1 + len(names)), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(1, 1 + len(names)))
    steps, losses = [h[0] for h in history], np.array([h[1] for h in history])
    smooth = np.convolve(losses, np.ones(25) / 25, "valid") if len(losses) > 50 else losses
    axes[0].plot(steps[len(steps) - len(smooth) :], smooth, color="tab:blue")
    axes[0].set(title="loss (mean of 25 steps)", xlabel="step", yscale="log")
    for axis, name in zip(axes[1:], names, strict=True):
        points = [(value["step"], value[name]) for value in values if name in value]
        axis.plot(*zip(*points, strict=True), marker="o", color="tab:orange")
        axis.set(title=name.replace("_", " "), xlabel="step")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
