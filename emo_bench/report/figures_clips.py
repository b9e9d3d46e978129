"""Figures of single clips: lag curves, traces under the sound, methods by time."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo_bench.report.figure_style import TEXT_WIDTH, Look, NamedFigure, legend_below, looks_of, new_figure
from emo_bench.report.run_data import RunData, Series

TRACE_LABELS = {
    "mouth_opening": "mouth opening",
    "yaw": "yaw (°)",
    "pitch": "pitch (°)",
    "roll": "roll (°)",
    "loudness_db": "loudness (dB)",
}
GRID_TIMES = 7
GRID_SYSTEMS = 9


def lag_curves(run: RunData) -> NamedFigure | None:
    """Agreement of mouth and sound over the lag between them, mean over clips, for each kind of curve."""
    kinds = sorted({series.name for series in run.series if series.name.startswith("lag:")})[:3]
    looks = looks_of(run.record)
    if not kinds:
        return None
    figure, axes = new_figure(TEXT_WIDTH if len(kinds) > 1 else 4.6, 2.6, 1, len(kinds))
    shown: set[str] = set()
    for axis, kind in zip(axes, kinds, strict=True):
        for look in looks:
            curves = [series.values for series in run.series if (series.name, series.system) == (kind, look.name)]
            curves = [curve for curve in curves if len(curve) == len(curves[0])]
            if not curves:
                continue
            data = np.array(curves)
            known = np.isfinite(data).any(axis=0)
            mean = np.full(data.shape[1], np.nan)
            mean[known] = np.nanmean(data[:, known], axis=0)
            lags = np.arange(len(mean)) - (len(mean) - 1) / 2
            shown.add(look.name)
            axis.plot(
                lags, mean, color=look.colour, linestyle=look.dash, linewidth=1.6 if not look.anchor else 1.0,
                zorder=3 if not look.anchor else 2,
            )  # fmt: skip
        axis.axvline(0, color="#8a8d95", linewidth=0.6, linestyle=(0, (3, 2)))
        axis.set_title(kind.removeprefix("lag:").replace("-", " and ", 1))
        axis.set_xlabel("lag of the mouth behind the sound (frames)")
        axis.grid()
    axes[0].set_ylabel("agreement")
    legend_below(figure, [look for look in looks if look.name in shown], lines=True)
    caption = "Lip sync: agreement of mouth and sound over their lag, mean over clips. In sync means a peak at zero."
    return NamedFigure("lag-curves", caption, figure, full=len(kinds) > 1)


def traces(run: RunData) -> NamedFigure | None:
    """Mouth and head of the systems under the sound, for the first clip that has traces."""
    by_clip: dict[str, list[Series]] = defaultdict(list)
    for series in run.series:
        if series.name in TRACE_LABELS:
            by_clip[series.clip].append(series)
    if not by_clip:
        return None
    clip = min(by_clip)
    looks = _shown_looks(run)
    names = [name for name in ("mouth_opening", "yaw", "pitch") if any(s.name == name for s in by_clip[clip])]
    sound = _sound(by_clip[clip])
    rows = len(names) + (sound is not None)
    if rows == 0:
        return None
    figure, axes = new_figure(TEXT_WIDTH, 0.6 + 0.95 * rows, rows, 1, sharex=True)
    place = 0
    if sound is not None:
        _loudness(axes[0], sound)
        place = 1
    for axis, name in zip(axes[place:], names, strict=True):
        for look in looks:
            found = next((s for s in by_clip[clip] if (s.name, s.system) == (name, look.name)), None)
            if found is not None:
                axis.plot(_times(found), found.values, color=look.colour, linewidth=1.5 if look.truth else 1.2,
                          linestyle=look.dash if look.anchor else "-", zorder=3 if not look.truth else 2)  # fmt: skip
        axis.set_ylabel(TRACE_LABELS[name])
        axis.grid()
    axes[-1].set_xlabel("time (s)")
    figure.align_ylabels(axes)
    legend_below(figure, looks, lines=True)
    name = clip if len(clip) <= 40 else f"{clip[:40]}…"
    return NamedFigure("traces", f"Mouth and head under the sound, clip {name}.", figure)


def _shown_looks(run: RunData) -> list[Look]:
    """Ground truth, frozen-like anchors left out, and up to five systems."""
    looks = looks_of(run.record)
    return [look for look in looks if look.truth] + [look for look in looks if not look.anchor][:5]


def _sound(series: Sequence[Series]) -> Series | None:
    return next((item for item in series if item.name == "loudness_db"), None)


def _times(series: Series) -> list[float]:
    return [index / series.fps for index in range(len(series.values))]


def _loudness(axis: Any, series: Series) -> None:
    """The envelope of the sound, mirrored as a waveform is."""
    level = np.asarray(series.values, dtype=np.float64)
    envelope = np.where(np.isfinite(level), 10 ** (np.nan_to_num(level, nan=-80.0) / 20), 0.0)
    envelope = envelope / max(float(envelope.max()), 1e-9)
    axis.fill_between(_times(series), -envelope, envelope, color="#8a8d95", alpha=0.55, linewidth=0)
    axis.set_ylim(-1.05, 1.05)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.set_ylabel("sound")


def method_grid(run: RunData) -> NamedFigure | None:
    """Frames of all systems at the same times of one clip: systems down, time across."""
    looks = looks_of(run.record)
    clips = list(dict.fromkeys(preview.clip for preview in run.previews))
    if not clips:
        return None
    counts = {clip: sum(preview.clip == clip for preview in run.previews) for clip in clips}
    clip = max(clips, key=lambda name: counts[name])
    paths = {preview.system: preview.path for preview in run.previews if preview.clip == clip}
    rows = [(look, frames) for look in looks if look.name in paths and (frames := _frames(paths[look.name]))]
    # Systems under test are never crowded out by anchors.
    rows = sorted(rows, key=lambda row: (row[0].anchor, not row[0].truth))[:GRID_SYSTEMS]
    rows = [row for look in looks for row in rows if row[0] is look]
    if not rows:
        return None
    figure = _mosaic([look for look, _ in rows], [frames for _, frames in rows])
    name = clip if len(clip) <= 40 else f"{clip[:40]}…"
    caption = f"All systems at the same times of clip {name} (frames of the watchable copies)."
    return NamedFigure("method-by-time", caption, figure, photo=True)


def _mosaic(looks: Sequence[Look], rows: Sequence[Sequence[tuple[float, NDArray[np.uint8]]]]) -> Any:
    """One picture of all frames on one axis: dozens of axes would take minutes to lay out."""
    height, width = rows[0][0][1].shape[:2]
    gap = max(2, width // 40)
    across = max(len(frames) for frames in rows)
    canvas = np.full((len(rows) * (height + gap) - gap, across * (width + gap) - gap, 4), 0, dtype=np.uint8)
    for y, frames in enumerate(rows):
        for x, (_, picture) in enumerate(frames):
            h, w = min(height, picture.shape[0]), min(width, picture.shape[1])
            top, left = y * (height + gap), x * (width + gap)
            canvas[top : top + h, left : left + w, :3] = picture[:h, :w]
            canvas[top : top + h, left : left + w, 3] = 255
    inches = TEXT_WIDTH - 1.3
    figure, axes = new_figure(TEXT_WIDTH, 0.3 + inches * canvas.shape[0] / canvas.shape[1])
    axis = axes[0]
    axis.imshow(canvas, interpolation="nearest", aspect="equal")
    axis.set_xticks(
        [x * (width + gap) + width / 2 for x in range(len(rows[0]))], [f"{seconds:.2f} s" for seconds, _ in rows[0]]
    )
    axis.set_yticks([y * (height + gap) + height / 2 for y in range(len(rows))], [look.label for look in looks])
    axis.tick_params(length=0, labeltop=True, labelbottom=False, pad=4)
    for label, look in zip(axis.get_yticklabels(), looks, strict=True):
        label.set_color("#6b6e77" if look.anchor else "#17181c")
    for side in axis.spines.values():
        side.set_visible(False)
    return figure


def _frames(path: Path) -> list[tuple[float, NDArray[np.uint8]]]:
    """Evenly spaced frames of a preview with their times; none when it cannot be read."""
    import av

    try:
        with av.open(str(path)) as container:
            frames = list(container.decode(video=0))
    except (av.error.FFmpegError, OSError, IndexError):
        return []
    if not frames:
        return []
    count = min(GRID_TIMES, len(frames))
    places = [round(i * (len(frames) - 1) / max(1, count - 1)) for i in range(count)]
    start = frames[0].time or 0.0
    return [
        ((frames[i].time or 0.0) - start, _small(np.asarray(frames[i].to_ndarray(format="rgb24"), dtype=np.uint8)))
        for i in places
    ]


def _small(picture: NDArray[np.uint8], *, longest: int = 256) -> NDArray[np.uint8]:
    """Every n-th pixel, so that a page of frames stays small."""
    step = math.ceil(max(picture.shape[:2]) / longest)
    return picture[::step, ::step]
