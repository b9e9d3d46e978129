"""Figures of video frames: methods by time, kinds of portraits, face regions, denoising steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from emo_bench.record.run_data import RunData
from emo_bench.report.figure_style import NamedFigure, SystemStyle, short_label, system_styles
from emo_bench.report.frame_images import FrameImage, Line, evenly, mosaic, shots, with_box
from emo_bench.report.speed import step_groups

GRID_TIMES = 7
GRID_SYSTEMS = 9
GRID_STYLES = 8
REGION_CLIPS = 5
REGION_SYSTEMS = 3
STEP_CLIPS = 3
BOX_COLOUR = (230, 159, 0)


def method_grid(run: RunData) -> NamedFigure | None:
    """Frames of all systems at the same times of one clip: systems down, time across (EMO, Figure 3)."""
    by_clip = _previews(run)
    if not by_clip:
        return None
    clip = max(by_clip, key=lambda name: len(by_clip[name]))
    paths = by_clip[clip]
    systems = [system for system in system_styles(run.record) if system.name in paths]
    rows = [
        (system, found)
        for system in _first(systems, GRID_SYSTEMS)
        if (found := shots(paths[system.name], evenly(GRID_TIMES)))
    ]
    if not rows:
        return None
    times = max((found for _, found in rows), key=len)
    lines = [
        Line(system.label, [shot.image for shot in found] + [None] * (len(times) - len(found)), system.anchor)
        for system, found in rows
    ]
    figure = mosaic(lines, [f"{shot.seconds:.2f} s" for shot in times])
    caption = f"All systems at the same times of clip {short_label(clip)} (frames of the watchable copies)."
    return NamedFigure("method-by-time", caption, figure, photo=True)


def style_grid(run: RunData) -> NamedFigure | None:
    """One clip of each kind of portrait: systems across, or time across when there is one system (EMO, Figure 4)."""
    by_clip = _previews(run)
    styles: dict[str, str] = {}
    for facts in run.facts:
        if facts.style and len(by_clip.get(facts.clip, {})) > len(by_clip.get(styles.get(facts.style, ""), {})):
            styles[facts.style] = facts.clip
    if len(styles) < 2:
        return None
    chosen = dict(sorted(styles.items())[:GRID_STYLES])
    systems = system_styles(run.record)
    tested = [system for system in systems if not system.anchor and _is_shown(system, by_clip, chosen.values())]
    if len(tested) == 1:
        return _styles_by_time(tested[0], chosen, by_clip)
    shown = tested or [system for system in systems if system.anchor and not system.truth]
    across = [system for system in systems if system.truth] + shown
    across = [system for system in across if _is_shown(system, by_clip, chosen.values())][:GRID_TIMES]
    lines = []
    for style, clip in chosen.items():
        place = telling_frame(run, clip)
        images = [_one(by_clip[clip], system.name, place) for system in across]
        if any(image is not None for image in images):
            lines.append(Line(short_label(style), images))
    if not lines:
        return None
    figure = mosaic(lines, [short_label(system.label, 15) for system in across])
    caption = f"Kinds of portraits: one clip of each, {_moment(run)}."
    return NamedFigure("styles", caption, figure, photo=True)


def _styles_by_time(
    system: SystemStyle, chosen: Mapping[str, str], by_clip: Mapping[str, Mapping[str, Path]]
) -> NamedFigure | None:
    rows = []
    for style, clip in chosen.items():
        path = by_clip[clip].get(system.name)
        found = shots(path, evenly(GRID_TIMES)) if path is not None else []
        if found:
            rows.append((style, found))
    if len(rows) < 2:
        return None
    times = max((found for _, found in rows), key=len)
    lines = [
        Line(short_label(style), [shot.image for shot in found] + [None] * (len(times) - len(found)))
        for style, found in rows
    ]
    heads = [f"{100 * i / max(1, len(times) - 1):.0f} %" for i in range(len(times))]
    caption = f"Kinds of portraits: one clip of each by {system.label}, from its first to its last frame."
    return NamedFigure("styles", caption, mosaic(lines, heads), photo=True)


def face_regions(run: RunData) -> NamedFigure | None:
    """Where the face stays during the real clip, drawn on frames of all systems (EMO, Figure 7)."""
    by_clip = _previews(run)
    boxes = {facts.clip: facts.face_box for facts in run.facts if facts.face_box is not None and facts.clip in by_clip}
    systems = system_styles(run.record)
    truths = [system for system in systems if system.truth]
    down = truths + [system for system in systems if not system.anchor][:REGION_SYSTEMS]
    clips = [clip for clip in boxes if any(system.name in by_clip[clip] for system in down)][:REGION_CLIPS]
    lines = []
    for system in down:
        images: list[FrameImage | None] = []
        for clip in clips:
            image, box = _one(by_clip[clip], system.name, telling_frame(run, clip)), boxes[clip]
            images.append(with_box(image, box, BOX_COLOUR) if image is not None else None)
        if any(image is not None for image in images):
            lines.append(Line(system.label, images, system.anchor))
    if not lines:
        return None
    figure = mosaic(lines, [short_label(clip, 13) for clip in clips])
    caption = (
        "Face regions: the box that holds the face during the whole real clip, which systems with a face region are "
        f"given as their mask; {_moment(run)}."
    )
    return NamedFigure("face-regions", caption, figure, photo=True)


def steps_strip(run: RunData) -> NamedFigure | None:
    """The same frames after more and more denoising steps, when systems differ in nothing else."""
    groups = step_groups(run.record)
    if not groups:
        return None
    group = max(groups, key=lambda item: len(item.systems))
    by_clip = _previews(run)
    names = [system.name for _, system in group.systems][:GRID_TIMES]
    clips = [clip for clip, found in by_clip.items() if sum(name in found for name in names) > 1][:STEP_CLIPS]
    truth = run.ground_truth
    lines = []
    for clip in clips:
        place = telling_frame(run, clip)
        images = [_one(by_clip[clip], name, place) for name in (*names, *([truth] if truth else []))]
        if any(image is not None for image in images):
            lines.append(Line(short_label(clip, 13), images))
    if not lines:
        return None
    heads = [f"{steps} steps" for steps, _ in group.systems][: len(names)] + (["ground truth"] if truth else [])
    caption = (
        f"Denoising steps and what comes out of them: {short_label(group.systems[0][1].kind)}, equal but for "
        f"the option {group.option}; {_moment(run)}."
    )
    return NamedFigure("steps", caption, mosaic(lines, heads), photo=True)


def telling_frame(run: RunData, clip: str) -> int | None:
    """Where the real mouth is open widest; None (the middle is shown) when the run has no trace of it."""
    for series in run.series:
        if (series.system, series.clip, series.name) == (run.ground_truth, clip, "mouth_opening"):
            values = np.asarray(series.values, dtype=np.float64)
            if np.isfinite(values).any():
                return int(np.nanargmax(values))
    return None


def _moment(run: RunData) -> str:
    known = any(series.name == "mouth_opening" and series.system == run.ground_truth for series in run.series)
    return "each at the frame where the real mouth is open widest" if known else "each at the middle of the clip"


def _previews(run: RunData) -> dict[str, dict[str, Path]]:
    found: dict[str, dict[str, Path]] = {}
    for preview in run.previews:
        found.setdefault(preview.clip, {})[preview.system] = preview.path
    return found


def _is_shown(system: SystemStyle, by_clip: Mapping[str, Mapping[str, Path]], clips: Iterable[str]) -> bool:
    return any(system.name in by_clip[clip] for clip in clips)


def _first(systems: Sequence[SystemStyle], count: int) -> list[SystemStyle]:
    """So many systems in table order; those under test are never crowded out by anchors."""
    kept = sorted(systems, key=lambda system: (system.anchor, not system.truth))[:count]
    return [system for system in systems if system in kept]


def _one(paths: Mapping[str, Path], system: str, place: int | None) -> FrameImage | None:
    """One frame of a system, the middle one when no place is given."""
    if system not in paths:
        return None
    found = shots(paths[system], lambda frames: [frames // 2 if place is None else place])
    return found[0].image if found else None
