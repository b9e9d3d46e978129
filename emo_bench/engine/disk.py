"""How much disk space the clips of a run will take: measured where the store holds some, else by sizes of frames."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emo_bench.engine.context import RunContext
from emo_bench.engine.unit import Unit
from emo_bench.media.recipe import object_of
from emo_bench.media.types import VideoSpec
from emo_bench.systems.recipes import SMALL_BYTES
from emo_core.errors import ClipError

RECORD_BYTES = 1_200
AUDIO_BYTES = 64_000
"""Of a second: 16,000 samples of four bytes."""
FEATURE_BYTES = 30_000
"""Of an extractor's file for a clip, where none was made yet."""
COMPRESSED = 0.0115
"""Bytes per pixel of an ordinary H.264 file of a talking head (CRF 23)."""
PREVIEW = 0.011
"""The same for a preview (CRF 23, veryfast)."""
PROBED = 3
"""Sources that are measured when no ground truth is prepared."""
KEY_FRAMES = 250
"""A lossless file of one still frame holds it once for so many frames."""


def lossless_bytes(spec: VideoSpec) -> float:
    """Size of a lossless file, from measured sizes of real frames at 128, 256 and 512 px (ADR 3)."""
    per_pixel = 1.05 if spec.height < 192 else 0.92 if spec.height < 384 else 0.77
    return per_pixel * spec.width * spec.height * spec.n_frames


@dataclass
class Measured:
    """What the clips of one system take that are in the store.

    Attributes:
        frames: Frames of these clips.
        bytes: Files and records that they alone name.
    """

    frames: int = 0
    bytes: int = 0
    _seen: set[str] = field(default_factory=set)

    def add(self, names: Iterable[str], sizes: Mapping[str, int], n_frames: int) -> None:
        """Counts a clip and those of its files that were not counted before."""
        self.frames += n_frames
        self.bytes += RECORD_BYTES + sum(sizes.get(name, 0) for name in names if name not in self._seen)
        self._seen.update(names)


def forecast_bytes(context: RunContext, units: Iterable[Unit], done: Iterable[Unit]) -> dict[str, int]:
    """Rough bytes of the units that are not done, by system; features and previews count for their system.

    Args:
        context: The run.
        units: All units.
        done: Those that lie in the store.
    """
    finished = set(done)
    specs = _specs(context)
    usual = VideoSpec(
        width=round(_mean([spec.width for spec in specs.values()])),
        height=round(_mean([spec.height for spec in specs.values()])),
        fps=context.config.media.rate,
        n_frames=round(_mean([spec.n_frames for spec in specs.values()])),
    )
    measured = _measured(context, finished)
    features = _feature_bytes(context, finished)
    result: dict[str, float] = defaultdict(float)
    for unit in units:
        if unit in finished:
            continue
        spec = specs.get(unit.clip, usual)
        result[unit.system] += _clip_bytes(context, unit, spec, measured.get(unit.system)) + features
        if context.is_shown(unit):
            result[unit.system] += PREVIEW * spec.width * spec.height * spec.n_frames
    return {system: round(size) for system, size in result.items()}


def _clip_bytes(context: RunContext, unit: Unit, spec: VideoSpec, known: Measured | None) -> float:
    if known is not None and known.frames:
        return known.bytes * spec.n_frames / known.frames
    system = context.loader.systems[unit.system]
    own_audio = unit.system == "ground-truth" or (system.anchor and system.frames == "shared" and system.needs_driving)
    rest = RECORD_BYTES + (AUDIO_BYTES * spec.seconds if own_audio else 0)
    if context.loader.suite_systems[unit.system].store == "features-only" and not context.is_shown(unit):
        return rest
    small = spec.width * spec.height * 3 * spec.n_frames <= SMALL_BYTES
    match system.frames:
        case "new":
            return rest + lossless_bytes(spec)
        case "file":
            return rest + (lossless_bytes(spec) if small else 0)
        case "still":
            stills = -(-spec.n_frames // KEY_FRAMES)
            return rest + lossless_bytes(spec) * stills / max(1, spec.n_frames)
        case "compressed":
            return rest + COMPRESSED * spec.width * spec.height * spec.n_frames
        case "shared":
            return rest


def _specs(context: RunContext) -> dict[str, VideoSpec]:
    """Size and length of the clips whose ground truth is prepared; of a few sources when none is."""
    known = {clip: stored.spec for clip in context.entries if (stored := context.stored_truth(clip)) is not None}
    if known:
        return known
    from emo_bench.media.decode import open_video

    for clip in sorted(context.entries)[:: max(1, len(context.entries) // PROBED)][:PROBED]:
        video = context.entries[clip].video
        if video is None:  # a portrait and an audio file: nothing to measure
            continue
        try:
            path = context.manifest.path(video)
            spec = open_video(path, fps=context.config.media.rate).spec
        except (ClipError, OSError):
            continue
        size = context.config.media.size
        width, height = (size.width, size.height) if size else (spec.width, spec.height)
        known[clip] = VideoSpec(width=width, height=height, fps=spec.fps, n_frames=spec.n_frames)
    return known


def _measured(context: RunContext, done: Iterable[Unit]) -> dict[str, Measured]:
    found: dict[str, Measured] = defaultdict(Measured)
    truths: set[str] = set()
    for unit in sorted(done, key=lambda unit: unit.stage != "prepare"):
        clip = context.stored_clip(unit)
        if clip is None:
            continue
        names = {object_of(clip.sidecar.frames), clip.sidecar.audio} - {""}
        truths |= names if unit.stage == "prepare" else set()
        own = names if unit.stage == "prepare" else names - truths
        sizes = {name: _size(context.clips.objects.path(name)) for name in own}
        found[unit.system].add(sorted(own), sizes, clip.spec.n_frames)
    return found


def _feature_bytes(context: RunContext, done: Iterable[Unit]) -> float:
    """Features of a clip: the mean over finished clips, else a usual size per extractor."""
    sizes = []
    for unit in sorted(done):
        clip, truth = context.stored_clip(unit), context.stored_truth(unit.clip)
        if clip is not None and truth is not None:
            keys = context.feature_keys(unit.clip, clip.sidecar, truth.sidecar)
            sizes.append(sum(_size(context.features.path(name, key)) for name, key in keys.items()))
    return _mean(sizes) if sizes else float(FEATURE_BYTES * len(context.loader.extractor_kinds))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _mean(values: list[int]) -> float:
    return sum(values) / len(values) if values else 0.0
