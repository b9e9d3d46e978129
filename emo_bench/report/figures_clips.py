"""Figures of audio and movement: lag curves, and traces under the waveform."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo_bench.record.run_data import RunData, Series
from emo_bench.report.figure_style import (
    TEXT_WIDTH,
    NamedFigure,
    SystemStyle,
    legend_below,
    new_figure,
    short_label,
    system_styles,
)
from emo_core.errors import ClipError

TRACE_LABELS = {
    "mouth_opening": "mouth opening",
    "yaw": "yaw (°)",
    "pitch": "pitch (°)",
    "roll": "roll (°)",
    "loudness_db": "loudness (dB)",
}
MOUTH_LOUDNESS = "lag:mouth-loudness"
LAG_TITLES = {MOUTH_LOUDNESS: "mouth and loudness"}
LAG_PANELS = 3
SHORTEST_TRACE = 45
WAVE_STEPS = 700
MOST_TRACED = 5


def lag_curves(run: RunData) -> NamedFigure | None:
    """Agreement of mouth and audio over the lag of the mouth behind the audio, mean over clips.

    The axis has the sign of the protocols' ``offset``: positive means that the audio is early (and the mouth late).
    """
    curves = [series for series in run.series if series.name.startswith("lag:")]
    if not any(series.name == MOUTH_LOUDNESS for series in curves):
        curves += mouth_and_loudness(run)
    every = sorted({series.name for series in curves})
    kinds = every[:LAG_PANELS]
    styles = [style for style in system_styles(run.record) if any(series.system == style.name for series in curves)]
    if not kinds or not styles:
        return None
    figure, axes = new_figure(TEXT_WIDTH if len(kinds) > 1 else 4.6, 2.7, 1, len(kinds))
    for axis, kind in zip(axes, kinds, strict=True):
        for style in styles:
            mean = mean_curve([s.values for s in curves if (s.name, s.system) == (kind, style.name)])
            if mean is None:
                continue
            lags = np.arange(len(mean)) - (len(mean) - 1) / 2
            axis.plot(
                lags, mean, color=style.colour, linestyle=style.dash, linewidth=1.6 if not style.anchor else 1.0,
                zorder=3 if not style.anchor else 2,
            )  # fmt: skip
            peak = int(np.nanargmax(mean))
            axis.plot(lags[peak], mean[peak], marker="o", color=style.colour, markersize=3, zorder=4)
        axis.axvline(0, color="#8a8d95", linewidth=0.6, linestyle=(0, (3, 2)))
        axis.set_title(LAG_TITLES.get(kind, kind.removeprefix("lag:")))
        axis.set_xlabel("← audio late    offset (frames)    audio early →")
        axis.grid()
    axes[0].set_ylabel("agreement")
    legend_below(figure, styles, lines=True)
    caption = (
        "Lip sync: agreement of mouth and audio over the frames by which the mouth comes after the audio, mean over "
        "clips; a dot marks the peak. In sync means a peak at zero; a peak at the right means that the audio is early, "
        "as a positive offset in the tables does."
    )
    caption += _room(len(kinds), len(every), "kinds of such curves")
    return NamedFigure("lag-curves", caption, figure, full=len(kinds) > 1)


def mean_curve(curves: Sequence[Sequence[float]]) -> NDArray[np.float64] | None:
    """Mean over clips of what is known at each lag; None when nothing is."""
    data = [np.asarray(curve, dtype=np.float64) for curve in curves if len(curve) == len(curves[0])]
    if not data or not np.isfinite(data).any():
        return None
    stacked = np.stack(data)
    known = np.isfinite(stacked).any(axis=0)
    mean = np.full(stacked.shape[1], np.nan)
    mean[known] = np.nanmean(stacked[:, known], axis=0)
    return mean


def mouth_and_loudness(run: RunData) -> list[Series]:
    """Correlation of the opening of the mouth with the loudness of the voice over lags, from the traces."""
    from emo_metrics.signals.time_series import lagged_correlation, without_slow_changes

    traces_of = {(s.system, s.clip, s.seed, s.name): s for s in run.series}
    found = []
    for (system, clip, seed, name), mouth in traces_of.items():
        audio = traces_of.get((system, clip, seed, "loudness_db"))
        if name != "mouth_opening" or audio is None or len(mouth.values) < SHORTEST_TRACE:
            continue
        level = np.asarray(audio.values, dtype=np.float64)
        loudness = np.where(np.isfinite(level), 10 ** (np.nan_to_num(level, nan=-80.0) / 20), 0.0)
        opening = np.asarray(mouth.values, dtype=np.float64)
        curve = lagged_correlation(
            without_slow_changes(opening, fps=mouth.fps), without_slow_changes(loudness, fps=mouth.fps)
        )
        if np.isfinite(curve).any():
            found.append(Series(system, clip, seed, MOUTH_LOUDNESS, mouth.fps, tuple(curve.tolist())))
    return found


def traces(run: RunData) -> NamedFigure | None:
    """Mouth and head of the systems under the audio, for the first clip that has traces."""
    by_clip: dict[str, list[Series]] = defaultdict(list)
    for series in run.series:
        if series.name in TRACE_LABELS:
            by_clip[series.clip].append(series)
    if not by_clip:
        return None
    clip = min(by_clip)
    styles = _shown_styles(run)
    names = [name for name in ("mouth_opening", "yaw", "pitch") if any(s.name == name for s in by_clip[clip])]
    if not names:
        return None
    audio, wave = _loudness_of(run, by_clip[clip]), _waveform_of(run, clip)
    place = int(audio is not None or wave is not None)
    rows = len(names) + place
    figure, axes = new_figure(TEXT_WIDTH, 0.6 + 0.95 * rows, rows, 1, sharex=True)
    if wave is not None:
        _waveform(axes[0], *wave)
    elif audio is not None:
        _loudness(axes[0], audio)
    for axis, name in zip(axes[place:], names, strict=True):
        for style in styles:
            found = next((s for s in by_clip[clip] if (s.name, s.system) == (name, style.name)), None)
            if found is not None:
                axis.plot(
                    _times(found), found.values, color=style.colour, linewidth=1.5 if style.truth else 1.2,
                    linestyle=style.dash if style.anchor else "-", zorder=3 if not style.truth else 2,
                )  # fmt: skip
        axis.set_ylabel(TRACE_LABELS[name])
        axis.grid()
    axes[-1].set_xlabel("time (s)")
    figure.align_ylabels(axes)
    legend_below(figure, styles, lines=True)
    under = "under the audio of the real clip" if place else "over time"
    systems = [style for style in system_styles(run.record) if not style.anchor]
    shown = sum(not style.anchor and not style.truth for style in styles)
    room = _room(shown, sum(not style.truth for style in systems), "systems")
    return NamedFigure("traces", f"Mouth and head {under}, clip {short_label(clip)}.{room}", figure)


def _room(shown: int, of: int, what: str) -> str:
    """What a figure has no room for, in a sentence; empty when everything is shown."""
    return "" if shown == of else f" There is room for {shown} of the {of} {what}."


def _shown_styles(run: RunData) -> list[SystemStyle]:
    """The ground truth and the first systems; other anchors are left out."""
    styles = system_styles(run.record)
    return [style for style in styles if style.truth] + [
        style for style in styles if not style.anchor and not style.truth
    ][:MOST_TRACED]


def _loudness_of(run: RunData, series: Sequence[Series]) -> Series | None:
    found = [item for item in series if item.name == "loudness_db"]
    return next((item for item in found if item.system == run.ground_truth), found[0] if found else None)


def _times(series: Series) -> list[float]:
    return [index / series.fps for index in range(len(series.values))]


def _loudness(axis: Any, series: Series) -> None:
    """The envelope of the audio, mirrored as a waveform is."""
    level = np.asarray(series.values, dtype=np.float64)
    envelope = np.where(np.isfinite(level), 10 ** (np.nan_to_num(level, nan=-80.0) / 20), 0.0)
    envelope = envelope / max(float(envelope.max()), 1e-9)
    axis.fill_between(_times(series), -envelope, envelope, color="#8a8d95", alpha=0.55, linewidth=0)
    _bare(axis)


def _waveform_of(run: RunData, clip: str) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Times and loudest samples of the real clip's preview; None when it has no audio or cannot be read."""
    from emo_bench.media.decode import read_audio

    path = next((p.path for p in run.previews if (p.system, p.clip) == (run.ground_truth, clip)), None)
    if path is None:
        return None
    try:
        audio = read_audio(path)
    except ClipError:
        return None
    samples, rate = audio.samples.astype(np.float64), audio.rate
    size = max(1, math.ceil(len(samples) / WAVE_STEPS))
    pieces = np.pad(np.abs(samples), (0, -len(samples) % size)).reshape(-1, size).max(axis=1)
    if not len(samples) or not pieces.max() > 0:
        return None
    return np.arange(len(pieces)) * size / rate, pieces / pieces.max()


def _waveform(axis: Any, times: NDArray[np.float64], peaks: NDArray[np.float64]) -> None:
    """Peaks of the samples, mirrored."""
    axis.fill_between(times, -peaks, peaks, color="#8a8d95", alpha=0.7, linewidth=0)
    _bare(axis)


def _bare(axis: Any) -> None:
    axis.set_ylim(-1.05, 1.05)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.set_ylabel("audio")
