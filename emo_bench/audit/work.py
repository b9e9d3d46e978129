"""Features of distorted clips: made while the ground truth is read, kept in the feature store, never twice.

A distorted clip is not stored. Its key follows from the ground truth, the kind of damage and the level, so a later
audit finds the features without making a single frame; images that a distortion leaves alone keep their own key.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from emo_bench.audit.distortions import Box, Corruption, Original, distortions
from emo_bench.engine.context import RunContext
from emo_bench.engine.plan import partner_of
from emo_bench.engine.pool import JobKind, run_jobs
from emo_bench.engine.spec import RunSpec
from emo_bench.engine.unit import GROUND_TRUTH, Outcome, Unit
from emo_bench.engine.units import features_of_clip, frame_at
from emo_bench.engine.units import work as prepare_clip
from emo_bench.media.types import Audio, Video, video_from_array
from emo_bench.systems.clip_store import ClipNote, DamagedClipError, Sidecar, StoredClip
from emo_bench.systems.conform import fit_length, moved_box, resize_video
from emo_core.errors import ClipError, WeightsError, one_line
from emo_core.hashing import digest_of
from emo_core.progress import Display
from emo_core.rng import numpy_generator

HELD_BYTES = 256 << 20
"""Largest clip, in bytes of images, that is kept in memory between two of its levels."""


@dataclass(frozen=True, order=True)
class CorruptedClip:
    """One clip with one distortion at one level.

    Attributes:
        distortion: Name in the registry.
        level: How strong.
        clip: Id of the clip.
        partner: Whose images are shown, for distortions that show another person.
    """

    distortion: str
    level: float
    clip: str
    partner: str | None = None

    def unit(self, seed: int) -> Unit:
        """The unit under which its numbers are found, as if the distortion were a system."""
        return Unit(f"{self.distortion}@{self.level:g}", self.clip, seed, self.partner)


def corrupted_clips(context: RunContext, chosen: Sequence[Corruption], clips: Sequence[str]) -> list[CorruptedClip]:
    """Every clip at every level, one clip after the other; a partner is the next clip of another identity."""
    from emo_bench.data.manifest import Manifest

    pool = Manifest(context.manifest.root, [entry for entry in context.manifest.entries if entry.id in set(clips)])
    found = []
    for clip in sorted(clips):
        stranger = partner_of(clip, context.manifest, pool, "other_identity")
        for corruption in chosen:
            partner = stranger if corruption.distortion.needs_partner else None
            found += [CorruptedClip(corruption.name, level, clip, partner) for level in corruption.levels]
    return found


def sidecar_of(context: RunContext, damaged: CorruptedClip) -> Sidecar:
    """What is known of a distorted clip without making it; its digests stand for what would be made.

    Raises:
        ClipError: when the ground truth is not in the store.
    """
    truth = _stored(context, damaged.clip)
    kind, side = distortions.get(damaged.distortion), truth.sidecar
    made_from: dict[str, object] = {
        "what": "distorted",
        "distortion": kind.name,
        "version": kind.version,
        "level": damaged.level,
        "clip": damaged.clip,  # draws depend on it
        "video": side.video_sha256,
        "audio": side.audio_sha256 if kind.change_audio else None,
        "face_box": _face_box(context, damaged.clip, truth) if kind.needs_face else None,
        "partner": _stored(context, damaged.partner).sidecar.video_sha256 if damaged.partner else None,
    }
    digest = digest_of(made_from)
    return side.model_copy(
        update={
            "key": digest,
            "video_sha256": digest if kind.change_video else side.video_sha256,
            "audio_sha256": digest if kind.change_audio else side.audio_sha256,
            "notes": (ClipNote(code="corrupted", text=f"{kind.name} {damaged.level:g} {kind.unit}", amounts={}),),
            "seconds": 0.0,
        }
    )


def _stored(context: RunContext, clip: str) -> StoredClip:
    stored = context.stored_truth(clip)
    if stored is None:
        raise DamagedClipError(f"the ground truth of clip {clip!r} is not in the store", fix="run the same again")
    return stored


def _face_box(context: RunContext, clip: str, truth: StoredClip) -> Box | None:
    """The data set's face box on the prepared image; else where the face finder sees a face on the portrait."""
    box, side = context.entries[clip].face_box, truth.sidecar
    if box is not None:
        source = (side.source_width, side.source_height)
        return moved_box(box, source=source, target=(side.width, side.height)) if side.source_width else box
    from emo_bench.systems.face_boxes import face_locator

    try:
        locate = face_locator(context.loader.finder)
    except WeightsError as error:
        raise ClipError(f"no face box in the manifest, and the face finder cannot work: {error.message}") from None
    portrait = frame_at(context.clips.open(truth)[0], context.reference_index(clip, truth.sidecar))
    return locate(portrait)


class WorkerState:
    """A run's stores and networks, and the frames of the clip that was distorted last.

    A clip of ordinary size is decoded once for all its levels; one of more than ``HELD_BYTES`` is read piece by piece.
    """

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self._key = ""
        self._opened: tuple[Video, Audio] | None = None

    def opened(self, truth: StoredClip) -> tuple[Video, Audio]:
        """Images and audio of a ground truth, checked against its sidecar when it is read.

        Raises:
            DamagedClipError: when the stored file is not what was written.
        """
        if self._opened is None or self._key != truth.sidecar.key:
            self._opened = None  # let go of the old frames first
            video, audio = self.context.clips.open(truth)
            spec = video.spec
            if spec.width * spec.height * 3 * spec.n_frames <= HELD_BYTES:
                video = video_from_array(video.read_all(), fps=spec.fps)
            self._key, self._opened = truth.sidecar.key, (video, audio)
        return self._opened


def work(state: WorkerState, damaged: CorruptedClip) -> Outcome:
    """Makes whatever features of a distorted clip are missing; a failing clip becomes an outcome.

    Raises:
        OSError: when the store cannot be written.
    """
    context = state.context
    unit = damaged.unit(context.config.seeds[0])
    try:
        return _attempt(state, damaged, unit)
    except DamagedClipError:
        prepare_clip(context, Unit(GROUND_TRUTH, damaged.clip, unit.seed))
        if damaged.partner:
            prepare_clip(context, Unit(GROUND_TRUTH, damaged.partner, unit.seed))
    try:
        return _attempt(state, damaged, unit)
    except DamagedClipError as error:
        return Outcome(unit, code=error.code, reason=str(error), stage="extract")


def _attempt(state: WorkerState, damaged: CorruptedClip, unit: Unit) -> Outcome:
    context, started = state.context, time.perf_counter()
    try:
        side = sidecar_of(context, damaged)
        truth = _stored(context, damaged.clip)

        def open_clip() -> tuple[Video, Audio, Video]:
            truth_video, truth_audio = state.opened(truth)
            return *distorted(context, damaged, truth_video, truth_audio, truth), truth_video

        features, made, found = features_of_clip(context, damaged.clip, side, truth, open_clip)
    except DamagedClipError:
        raise
    except ClipError as error:
        return Outcome(unit, code=error.code, reason=one_line(error), stage="extract")
    except OSError:
        raise
    except Exception as error:  # a bug in one distortion or network must not take the others with it
        return Outcome(unit, code="error", reason=f"{type(error).__name__}: {one_line(error)}", stage="extract")
    return Outcome(
        unit,
        clip=side,
        features=features,
        seconds={"extract": time.perf_counter() - started},
        computed=made,
        reused=found,
    )


def distorted(
    context: RunContext, damaged: CorruptedClip, video: Video, audio: Audio, truth: StoredClip
) -> tuple[Video, Audio]:
    """The images and the audio of a corrupted clip; lazy.

    Raises:
        ClipError: when this clip lacks what the distortion needs.
    """
    kind = distortions.get(damaged.distortion)
    partner = None
    if damaged.partner:
        other = context.clips.open(_stored(context, damaged.partner))[0]
        partner = resize_video(
            fit_length(other, n_frames=video.spec.n_frames), width=video.spec.width, height=video.spec.height, crop=True
        )
    original = Original(
        video=video,
        audio=audio,
        draw=partial(numpy_generator, 0, f"audit {kind.name}", damaged.clip),
        face_box=_face_box(context, damaged.clip, truth) if kind.needs_face else None,
        partner=partner,
    )
    return (
        kind.change_video(original, damaged.level) if kind.change_video else video,
        kind.change_audio(original, damaged.level) if kind.change_audio else audio,
    )


def run_corruptions(
    spec: RunSpec, all_clips: Sequence[CorruptedClip], *, workers: int, display: Display
) -> list[Outcome]:
    """Runs all corrupted clips and returns their outcomes in their order.

    Raises:
        WorkStoppedError: when the store cannot be written.
    """
    display.stage("distort", len(all_clips))
    by_clip: dict[str, list[CorruptedClip]] = {}
    for damaged in all_clips:
        by_clip.setdefault(damaged.clip, []).append(damaged)
    job_kind: JobKind[list[CorruptedClip], list[tuple[CorruptedClip, Outcome]]] = JobKind(
        _worker, partial(_failed, spec.config.seeds[0])
    )
    # All levels of a clip are one job, so that it is decoded once; it may take as long as they may one by one.
    patience = spec.config.execution.unit_timeout_s * max(map(len, by_clip.values()), default=1)
    outcomes: dict[CorruptedClip, Outcome] = {}
    already: set[tuple[str, str]] = set()
    for answer in run_jobs(spec, by_clip.values(), job_kind, workers=workers, timeout_s=patience):
        for damaged, outcome in answer:
            outcomes[damaged] = outcome
            display.step(f"{outcome.unit.system} {damaged.clip}")
            for told in outcome.new_faults(already):
                display.say(told)
            if outcome.code != "ok":
                display.say(f"{outcome.unit.system} / {damaged.clip}: {outcome.code}: {outcome.reason}")
    return [outcomes[damaged] for damaged in all_clips]


def _worker(spec: RunSpec) -> Callable[[list[CorruptedClip]], list[tuple[CorruptedClip, Outcome]]]:
    state = WorkerState(RunContext(spec))
    return lambda group: [(damaged, work(state, damaged)) for damaged in group]


def _failed(seed: int, group: list[CorruptedClip], code: str, reason: str) -> list[tuple[CorruptedClip, Outcome]]:
    return [(damaged, Outcome(damaged.unit(seed), code=code, reason=reason, stage="extract")) for damaged in group]
