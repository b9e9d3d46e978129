"""The work on one clip of one system: make it, keep it, extract its features; each part only when it is missing."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emo_bench.engine.context import RunContext
from emo_bench.engine.unit import GROUND_TRUTH, Outcome, Unit
from emo_bench.extract.feature_store import FAULT, FeatureResult
from emo_bench.extract.single_pass import extract_clip
from emo_bench.media.types import Audio, FrameArray, Video, VideoSpec, frames_for_samples
from emo_bench.systems.clip_store import DamagedClipError, Sidecar, StoredClip
from emo_bench.systems.conform import moved_box, resize_video
from emo_bench.systems.still_clip import load_still_clip
from emo_bench.systems.system import DrivingClip, GenerationRequest
from emo_core.errors import ClipError, DataError, DecodeError, one_line
from emo_core.hashing import sha256_file

if TYPE_CHECKING:
    from emo_metrics.contract import Extractor

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""Error numbers that say that nothing more can be written."""


def is_done(context: RunContext, unit: Unit) -> bool:
    """Whether everything of a unit lies in the stores already; reads no frames."""
    truth, clip = context.stored_truth(unit.clip), context.stored_clip(unit)
    if truth is None or clip is None:
        return False
    if not context.has_features(unit):
        return True
    keys = context.feature_keys(unit.clip, clip.sidecar, truth.sidecar)
    return all(context.features.has(name, key) for name, key in keys.items())


def work(context: RunContext, unit: Unit) -> Outcome:
    """Carries out a unit; a failing clip becomes an outcome, never an exception. A damaged stored clip is made again.

    Raises:
        OSError: when the disk is full or not writable; that stops the run, since every later unit would fail too.
    """
    stores = (context.clips.damaged, context.features.damaged)
    for found in stores:
        found.clear()
    try:
        outcome = _attempt(context, unit)
    except DamagedClipError:
        outcome = _attempt(context, unit, last=True)
    return replace(outcome, damaged=tuple(sorted({name for found in stores for name in found})))


def _attempt(context: RunContext, unit: Unit, *, last: bool = False) -> Outcome:
    started = time.perf_counter()
    stage = unit.stage
    outcome = Outcome(unit)
    try:
        clip, made = _ensure_clip(context, unit)
        seconds = {stage: time.perf_counter() - started}
        outcome = replace(outcome, clip=clip.sidecar, seconds=seconds, computed=int(made), reused=int(not made))
        if not context.has_features(unit):
            return outcome
        stage, started = "extract", time.perf_counter()
        outcome = _ensure_features(context, unit, clip, outcome)
        if not context.is_shown(unit):
            context.let_go(unit, clip.sidecar)
        return replace(outcome, seconds={**seconds, stage: time.perf_counter() - started})
    except ClipError as error:
        if isinstance(error, DamagedClipError) and not last:
            raise
        return replace(outcome, code=error.code, reason=one_line(error), stage=stage)
    except DataError as error:
        return replace(outcome, code="data_error", reason=one_line(error), stage=stage)
    except KeyboardInterrupt:
        raise
    except (Exception, SystemExit) as error:  # a bug in a system or network must not take the other clips with it
        if _concerns_all(context, error):
            raise
        return replace(outcome, code="error", reason=f"{type(error).__name__}: {one_line(error)}", stage=stage)


def _concerns_all(context: RunContext, error: BaseException) -> bool:
    """Whether every later unit would fail too: no room, or a store that cannot be written."""
    if not isinstance(error, OSError):
        return False
    name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else ""
    return error.errno in NO_ROOM or (bool(name) and Path(name).is_relative_to(context.spec.store))


def _ensure_clip(context: RunContext, unit: Unit) -> tuple[StoredClip, bool]:
    if unit.system == GROUND_TRUTH:
        # Checked before the store is consulted, which would hide that the source has changed.
        _sources(context, unit.clip)
    known = context.stored_clip(unit)
    if known is not None:
        return known, False
    key = context.keys.clip(unit)
    made = _prepare(context, unit, key) if unit.system == GROUND_TRUTH else _generate(context, unit, key)
    return made, True


def _prepare(context: RunContext, unit: Unit, key: str) -> StoredClip:
    """Brings a source to the suite's frame rate, sample rate and size and stores it losslessly."""
    from emo_bench.media.decode import load_pair

    started = time.perf_counter()
    if context.entries[unit.clip].wild:
        return _prepare_still(context, key, unit.clip, started)
    source, audio_path = _sources(context, unit.clip)
    media = context.config.media
    pair = load_pair(source, audio_path, fps=media.rate, rate=media.sample_rate)
    video = pair.video
    if media.size is not None:
        video = resize_video(video, width=media.size.width, height=media.size.height, crop=True)
    if video.spec.n_frames < 1:
        raise DecodeError("the clip has no frames", expected="at least one frame", found="none")
    return context.clips.put(
        key,
        video=video,
        audio=pair.audio,
        notes=pair.notes,
        began=started,
        source_size=(pair.video.spec.width, pair.video.spec.height),
        lasting=True,
        system=unit.system,
        clip=unit.clip,
    )


def _prepare_still(context: RunContext, key: str, clip: str, started: float) -> StoredClip:
    """Stores what systems are given of a wild clip: the portrait for the length of the audio."""
    media = context.config.media
    image, audio = _sources(context, clip)
    if audio is None:
        raise DataError(f"clip {clip!r} has no audio", expected="an audio file beside the portrait")
    size = (media.size.width, media.size.height) if media.size is not None else None
    still = load_still_clip(image, audio, fps=media.rate, rate=media.sample_rate, size=size)
    return context.clips.put(
        key,
        video=still.video,
        audio=still.audio,
        notes=still.notes,
        began=started,
        source_size=still.source_size,
        system=GROUND_TRUTH,
        clip=clip,
    )


def _sources(context: RunContext, clip: str) -> tuple[Path, Path | None]:
    """Video or portrait, and separate audio of a clip, whose bytes were just found to be those of the manifest."""
    entry = context.entries[clip]
    main = next(kind for kind in ("video", "portrait") if kind in entry.files)
    source = _verified(context, entry.files[main], entry.sha256.get(main))
    return source, _verified(context, entry.audio, entry.sha256.get("audio")) if entry.audio else None


def _verified(context: RunContext, relative: str, expected: str | None) -> Path:
    path = context.manifest.path(relative)
    if not path.is_file():
        raise DecodeError(f"the file {relative} is missing", expected="a regular file", found="nothing")
    if expected is not None and sha256_file(path) != expected:
        raise DecodeError(
            f"the file {relative} is not the one of the manifest", expected=f"SHA-256 {expected}", found="other bytes"
        )
    return path


def _generate(context: RunContext, unit: Unit, key: str) -> StoredClip:
    started = time.perf_counter()
    truth, driving = _driving(context, unit.clip)
    system = context.loader.loaded(unit.system)
    spec = truth.spec
    # Nothing is compared frame by frame with a portrait, so without a size in the suite the system's own framing stays.
    own = context.entries[unit.clip].wild and context.config.media.size is None
    request = GenerationRequest(
        clip_id=unit.clip,
        reference_image=portrait(context, unit.clip, truth.sidecar, driving.video),
        audio=driving.audio,
        fps=spec.fps,
        n_frames=frames_for_samples(len(driving.audio.samples), rate=driving.audio.rate, fps=spec.fps),
        width=spec.width,
        height=spec.height,
        seed=context.keys.seed(unit),
        any_size=own,
        face_box=_face_box(context, unit.clip, truth),
        driving=driving if system.needs_driving else None,
        partner=_driving(context, unit.partner)[1] if unit.partner else None,
        system=unit.system,
    )
    made = system.generate(request)
    video = made.video if own else resize_video(made.video, width=spec.width, height=spec.height)
    size = video.spec if own else spec
    wanted = VideoSpec(width=size.width, height=size.height, fps=spec.fps, n_frames=request.n_frames)
    if video.spec != wanted:  # it may promise another length and still hold the right one, or the other way round
        video = Video(wanted, video.open)
    return context.clips.put(
        key,
        video=video,
        audio=made.audio,
        notes=made.notes,
        began=started,
        lasting=system.files_last,
        system=unit.system,
        clip=unit.clip,
    )


def _face_box(context: RunContext, clip: str, truth: StoredClip) -> tuple[float, float, float, float] | None:
    """The data set's face box on the prepared image, which may have been cropped and resized."""
    box, side = context.entries[clip].face_box, truth.sidecar
    if box is None or not side.source_width:
        return box
    return moved_box(box, source=(side.source_width, side.source_height), target=(side.width, side.height))


def _driving(context: RunContext, clip: str) -> tuple[StoredClip, DrivingClip]:
    stored = context.stored_truth(clip)
    if stored is None:  # it was damaged and removed; units are only given for clips whose preparation worked
        stored = _prepare(context, Unit(GROUND_TRUTH, clip, context.config.seeds[0]), context.keys.truth(clip))
    video, audio = context.clips.open(stored)
    return stored, DrivingClip(clip_id=clip, video=video, audio=audio)


def frame_at(video: Video, index: int) -> FrameArray:
    """One frame, ``uint8 RGB [H, W, 3]``; reads the video up to it."""
    seen = 0
    for piece in video.open():
        if index < seen + len(piece):
            return np.array(piece[index - seen])
        seen += len(piece)
    raise ClipError("the reference frame is beyond the end of the clip", expected=f"< {seen}", found=f"{index}")


def portrait(context: RunContext, clip: str, truth: Sidecar, video: Video) -> FrameArray:
    """The reference frame of a clip, ``uint8 RGB [H, W, 3]``; the last few are held, since each costs a decoding."""
    index = context.reference_index(clip, truth)
    return context.portraits.get((truth.video_sha256, index), lambda: frame_at(video, index))


def _ensure_features(context: RunContext, unit: Unit, clip: StoredClip, outcome: Outcome) -> Outcome:
    truth = context.stored_truth(unit.clip) or _driving(context, unit.clip)[0]

    def open_clip() -> tuple[Video, Audio, Video]:
        video, audio = context.clips.open(clip)
        return video, audio, context.clips.open(truth, verify=clip.sidecar.frames != truth.sidecar.frames)[0]

    states, made, found = features_of_clip(context, unit.clip, clip.sidecar, truth, open_clip)
    return replace(outcome, features=states, computed=outcome.computed + made, reused=outcome.reused + found)


OpenClip = Callable[[], tuple[Video, Audio, Video]]
"""Opens images and audio of a clip and the images of its ground truth."""


def features_of_clip(
    context: RunContext, clip_id: str, side: Sidecar, truth: StoredClip, open_clip: OpenClip
) -> tuple[dict[str, tuple[str, str]], int, int]:
    """Takes the features of one clip from the store, and makes and keeps those that are missing.

    Args:
        context: The run.
        clip_id: Whose ground truth belongs to it.
        side: What is known of the clip; its digests decide the keys.
        truth: The stored ground truth.
        open_clip: Called only when a feature is missing.

    Returns:
        Status and reason per extractor; how many were made; how many were found.

    Raises:
        ClipError: when the clip cannot be read.
        OSError: when the store cannot be written.

    An extractor that fails costs only itself and those that require it, and is tried again by the next run.
    """
    keys = context.feature_keys(clip_id, side, truth.sidecar)
    known = {name: got for name, key in keys.items() if (got := context.features.get(name, key)) is not None}
    missing = [name for name in keys if name not in known]
    usable, broken = _loaded(context, missing)
    if usable:
        made = _extract(context, clip_id, truth.sidecar, open_clip(), usable, known)
        for name, result in made.items():
            if result.status != FAULT:
                context.features.put(name, keys[name], result)
        known = {**known, **made}
    states = {name: (result.status, result.reason) for name, result in known.items()}
    states |= {name: (FAULT, reason) for name, reason in broken.items()}
    return dict(sorted(states.items())), len(usable), len(keys) - len(missing)


def _loaded(context: RunContext, names: Sequence[str]) -> tuple[list[Extractor], dict[str, str]]:
    """The extractors that work here, and for each other one the reason; requirements come first in ``names``."""
    loader = context.loader
    usable: list[Extractor] = []
    broken: dict[str, str] = {}
    for name in names:
        reasons = [broken[need] for need in loader.extractor_kinds[name].requires if need in broken]
        if name not in loader.unusable and not reasons:
            try:
                usable.append(loader.extractor(name))
                continue
            except (Exception, SystemExit) as error:  # whatever files of the user make a network raise
                if _concerns_all(context, error):
                    raise
                loader.unusable[name] = f"{type(error).__name__}: {one_line(error)}"
        broken[name] = reasons[0] if reasons else loader.unusable[name]
    return usable, broken


def _extract(
    context: RunContext,
    clip_id: str,
    truth: Sidecar,
    opened: tuple[Video, Audio, Video],
    extractors: Sequence[Extractor],
    known: Mapping[str, FeatureResult],
) -> dict[str, FeatureResult]:
    from emo_metrics.contract import ClipInputs, Need

    video, audio, truth_video = opened
    needs = frozenset[Need]().union(*(extractor.needs for extractor in extractors))
    spec = video.spec
    inputs = ClipInputs(
        clip_id=clip_id,
        fps=Fraction(spec.fps),
        n_frames=spec.n_frames,
        height=spec.height,
        width=spec.width,
        reference_image=portrait(context, clip_id, truth, truth_video),
        audio=audio.samples,
        audio_rate=audio.rate,
    )
    return extract_clip(
        video=video,
        truth=truth_video if Need.GROUND_TRUTH in needs else None,
        inputs=inputs,
        extractors=extractors,
        known=known,
    )
