"""``data prepare folder``: any videos of talking people become clips with labels, as EMO's supplement B describes.

Scene cuts, clips of 3 to 12 s, a square around the face that does not move during the clip, and for every frame the
box, the 6-DoF pose, the head's rotation velocity and features of the audio. What several faces, a tiny face, no face or
no speech make useless is left out and counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo_bench.data.carry_over import EarlierManifest
from emo_bench.data.import_folder import identities_of
from emo_bench.data.labels import write_labels
from emo_bench.data.manifest import MAX_ID_LENGTH, ManifestEntry, video_of
from emo_bench.data.naming import AudioFiles, clip_id, files_below, listed
from emo_bench.data.prepare.disk import NO_ROOM, Quality, estimated_bytes, full_disk, require_space
from emo_bench.data.prepare.face_crop import EXPANSION, FaceFilter
from emo_bench.data.prepare.labels import Measures, clip_labels
from emo_bench.data.prepare.report import PrepareReport, Problem, problem_of
from emo_bench.data.prepare.resize import cut_and_resize
from emo_bench.data.prepare.scene_cuts import THRESHOLD
from emo_bench.data.prepare.speech import log_mel
from emo_bench.data.prepare.state import FinishedWork
from emo_bench.data.prepare.survey import ClipPlan, SurveyRules, clip_inputs, sound_rows, survey
from emo_bench.media.decode import MediaPair, load_pair
from emo_bench.media.limits import Limits
from emo_bench.media.lossless import LOSSLESS, NEAR_LOSSLESS, ClipFile, LosslessWriter
from emo_bench.media.types import Audio, samples_for_frames
from emo_core.atomic import sweep_orphans
from emo_core.errors import ClipError, ConfigError, DataError
from emo_core.hashing import digest_of, sha256_file
from emo_core.progress import Display, Silent

RECIPE = 1
"""Raised whenever the same input would give other clips or labels."""
QUALITIES = {"lossless": LOSSLESS, "near-lossless": NEAR_LOSSLESS}
LONGEST_SOURCE = 7200.0
"""Seconds that a video may last."""
SOURCE_LIMITS = Limits(cpu_seconds=6 * 3600, wall_seconds=6 * 3600.0, max_frames=500_000, max_seconds=LONGEST_SOURCE)


@dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """How videos become clips.

    Attributes:
        fps: Frames per second; EMO uses 30, the protocols of this suite 25.
        size: Width and height of the clips.
        shortest: Seconds of the shortest clip.
        longest: Seconds of the longest clip.
        expansion: Side of the crop as a multiple of what the face covers; EMO does not say how much it took.
        threshold: Of the scene cuts.
        faces: Which faces are refused.
        quality: Of the only encoding.
    """

    fps: int = 25
    size: int = 512
    shortest: float = 3.0
    longest: float = 12.0
    expansion: float = EXPANSION
    threshold: float = THRESHOLD
    faces: FaceFilter = field(default_factory=FaceFilter)
    quality: Quality = "near-lossless"

    def checked(self) -> FolderOptions:
        """These options.

        Raises:
            ConfigError: when one is out of range.
        """
        width = self.faces.least_width
        rules = [
            (10 <= self.fps <= 60, "fps", "10 to 60", self.fps),
            (32 <= self.size <= 2048 and self.size % 2 == 0, "size", "an even number from 32 to 2048", self.size),
            (self.shortest >= 0.2, "shortest", "at least 0.2 s", self.shortest),
            (
                2 * self.shortest <= self.longest <= LONGEST_SOURCE,
                "longest",
                f"at least twice the shortest, at most {LONGEST_SOURCE:g} s",
                self.longest,
            ),
            (1.0 <= self.expansion <= 10.0, "expansion", "1 to 10", self.expansion),
            (0.0 < self.threshold < 1.0, "threshold", "between 0 and 1", self.threshold),
            (self.quality in QUALITIES, "quality", " or ".join(QUALITIES), self.quality),
            (0 <= width < float("inf"), "the smallest face", "at least 0 pixels", width),
        ]
        for fine, name, expected, found in rules:
            if not fine:
                raise ConfigError(f"{name} is out of range", expected=expected, found=f"{found}")
        return self


def prepare_folder(
    folder: Path,
    *,
    target: Path,
    options: FolderOptions | None = None,
    identity: str = "stem",
    split: str = "train",
    weights: tuple[Path, ...] = (),
    display: Display | None = None,
) -> PrepareReport:
    """Makes clips and labels out of every video below a folder; a second run makes only what is missing.

    Args:
        folder: Searched recursively; an audio file of the same name beside a video is its audio.
        target: Gets ``clips/ID.mkv``, ``labels/ID.safetensors`` and ``manifest.jsonl``; not inside ``folder``.
        options: See ``FolderOptions``.
        identity: As for ``data import``: 'stem', 'folder' or a regular expression.
        split: Of all clips.
        weights: Folders of weight files, for the face analysis.
        display: Shows progress.

    Raises:
        DataError: no videos, no clip could be made, or not enough disk space.
        ConfigError: an option is out of range.
        WeightsError: the face analysis has no weights.
    """
    chosen = (options or FolderOptions()).checked()
    if not folder.is_dir():
        raise DataError(f"no folder {folder}", expected="a folder of videos")
    if target.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"the target {target} lies inside {folder}", expected="another place: its clips are videos too")
    files = files_below(folder)
    videos = files.videos
    if not videos:
        raise DataError(f"no videos below {folder}", found="none")
    identity_of, unnamed = identities_of(videos, folder, identity)
    work = _FolderWork(target, chosen, split, weights, AudioFiles(files.audio, videos=files.videos))
    work.problems += [
        Problem(
            "no_identity", str(relative), f"expected a name that --identity fits; it is named {clip_id(relative)!r}"
        )
        for relative in unnamed
    ]
    display = display or Silent()
    display.stage("prepare", len(videos))
    by_name: dict[str, list[Path]] = {}
    for path in videos:
        by_name.setdefault(clip_id(path.relative_to(folder))[: MAX_ID_LENGTH - 5].rstrip(". "), []).append(path)
    for name, paths in by_name.items():
        relatives = [path.relative_to(folder) for path in paths]
        if len(paths) > 1:
            reason = f"{len(paths)} videos have the id {name!r}; rename or remove all but one"
            work.problems.append(Problem("ambiguous_name", listed(relatives), reason))
        else:
            work.add(paths[0], name=name, identity=identity_of[relatives[0]][:MAX_ID_LENGTH])
        for relative in relatives:
            display.step(str(relative))
    return work.report()


def reference_frame(found: NDArray[np.generic], *, fps: int) -> int:
    """The first frame with a face, on the 25 fps timeline; rounded up, since the frame before shows none.

    >>> reference_frame(np.array([0, 1, 1]), fps=30)
    1
    """
    return -(-int(np.argmax(found)) * 25 // fps)


class _FolderWork:
    """The clips so far."""

    def __init__(
        self, target: Path, options: FolderOptions, split: str, weights: tuple[Path, ...], audio: AudioFiles
    ) -> None:
        self._measures = Measures.load(weights)
        self._target, self._options, self._split, self._audio = target, options, split, audio
        target.mkdir(parents=True, exist_ok=True)
        sweep_orphans(target)  # another run may be making the same clips
        self._finished = FinishedWork(target)
        self._earlier = EarlierManifest(target / "manifest.jsonl")
        self._entries: dict[str, ManifestEntry] = {}
        self._notes: dict[str, None] = {}
        self._made = self._kept = 0
        self.problems: list[Problem] = []

    def add(self, path: Path, *, name: str, identity: str) -> None:
        """Prepares one video, or takes what an earlier run made of it."""
        try:
            audio = self._audio.beside(path)
        except ClipError as error:
            self.problems.append(problem_of(error, name))
            return
        hashes = [sha256_file(part) for part in (path, audio) if part is not None]
        key = digest_of([RECIPE, hashes, asdict(self._options), *self._measures.digests])
        known = self._finished.recall(f"video {name}", key=key)
        if known is not None and self._take(known, key, identity):
            return
        try:
            pair = load_pair(path, audio, fps=Fraction(self._options.fps), limits=SOURCE_LIMITS)
            entries, problems = self._clips_of(pair, name=name, identity=identity, key=key)
        except ClipError as error:
            self.problems.append(problem_of(error, name))  # not remembered: the next run tries again
            return
        except OSError as error:
            if error.errno in NO_ROOM:
                raise full_disk(self._target, error) from error
            raise
        self.problems += problems
        value = {"clips": [entry.id for entry in entries], "problems": [list(asdict(p).values()) for p in problems]}
        self._finished.remember(f"video {name}", key=key, value=value)
        for entry in entries:
            self._keep(entry)
        if self._entries:
            self._earlier.write(self._entries.values(), unfinished=True)

    def _take(self, known: dict[str, Any], key: str, identity: str) -> bool:
        """Takes a finished video's clips; False when one is gone or changed."""
        entries = [self._finished.recall_clip(clip, key=key) for clip in known["clips"]]
        if any(entry is None for entry in entries):
            return False
        for entry in entries:
            if entry is not None:
                self._kept += 1
                self._keep(entry.model_copy(update={"identity": identity, "split": self._split}))
        self.problems += [Problem(*problem) for problem in known["problems"]]
        return True

    def _keep(self, entry: ManifestEntry) -> None:
        self._entries[entry.id] = entry
        for note in entry.meta["notes"]:
            self._notes.setdefault(note)

    def _clips_of(
        self, pair: MediaPair, *, name: str, identity: str, key: str
    ) -> tuple[list[ManifestEntry], list[Problem]]:
        options = self._options
        audio = sound_rows(pair, self._measures.sound)
        rules = SurveyRules(
            threshold=options.threshold,
            shortest=round(options.shortest * options.fps),
            longest=round(options.longest * options.fps),
            expansion=options.expansion,
            faces=options.faces,
        )
        plans, problems = survey(pair, name=name, face=self._measures.face, sound=audio, rules=rules)
        entries: list[ManifestEntry] = []
        waiting: list[ClipPlan] = []
        for plan in plans:
            entry = self._finished.recall_clip(f"{name}_{plan.number:03d}", key=key)
            if entry is None:
                waiting.append(plan)
            else:
                entries.append(entry.model_copy(update={"identity": identity, "split": self._split}))
        self._require_space(waiting, name)
        self._kept += len(entries)
        for made in self._write(pair, waiting, audio, name=name, identity=identity):
            if isinstance(made, Problem):
                problems.append(made)
                continue
            self._finished.remember_clip(made, key=key)
            self._made += 1
            entries.append(made)
        return entries, problems

    def _require_space(self, plans: list[ClipPlan], name: str) -> None:
        options = self._options
        n_frames = sum(plan.end - plan.start for plan in plans)
        needed = estimated_bytes(n_frames=n_frames, size=options.size, fps=options.fps, quality=options.quality)
        require_space(self._target, needed, f"the {len(plans)} clips of {name}")

    def _write(
        self,
        pair: MediaPair,
        plans: list[ClipPlan],
        sound: dict[str, NDArray[np.generic]],
        *,
        name: str,
        identity: str,
    ) -> Iterator[ManifestEntry | Problem]:
        """The second reading: cuts, encodes and labels the clips one after another."""
        from emo_bench.data.prepare.write_clip import ClipSink, pieces_between

        frames = pieces_between(pair.video, [(plan.start, plan.end) for plan in plans])
        for plan, pieces in zip(plans, frames, strict=True):
            clip = f"{name}_{plan.number:03d}"
            first, last = (samples_for_frames(at, rate=16000, fps=pair.video.spec.fps) for at in (plan.start, plan.end))
            audio = Audio(pair.audio.samples[first:last], pair.audio.rate)
            sink = ClipSink(self._measures.face, clip)
            path = self._target / "clips" / f"{clip}.mkv"
            size = self._options.size
            quality = QUALITIES[self._options.quality]
            with LosslessWriter(
                path, width=size, height=size, fps=pair.video.spec.fps, audio=audio, quality=quality
            ) as writer:
                for piece in pieces:
                    images = cut_and_resize(piece, plan.window, size)
                    writer.add(images)
                    sink.add(images, inputs=clip_inputs(pair, clip, images[0]))
            face = sink.arrays()
            share = float(np.asarray(face["found"], dtype=bool).mean())
            if share < self._options.faces.least_share:
                path.unlink()
                yield Problem("no_face", clip, f"expected a face on most frames of the crop, found it on {share:.0%}")
                continue
            rows = {key: np.asarray(value)[plan.start : plan.end] for key, value in sound.items()}
            labels = clip_labels(face, rows, log_mel(audio.samples), whole_frame=sink.whole_frame)
            yield self._entry(clip, identity, plan, pair, writer.result, labels)

    def _entry(
        self,
        clip: str,
        identity: str,
        plan: ClipPlan,
        pair: MediaPair,
        file: ClipFile,
        labels: dict[str, NDArray[np.generic]],
    ) -> ManifestEntry:
        fps = self._options.fps
        place = f"labels/{clip}.safetensors"
        digest = write_labels(self._target / place, labels)
        boxes = np.asarray(labels["box"], dtype=np.float64)
        low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
        return ManifestEntry(
            id=clip,
            video=f"clips/{clip}.mkv",
            identity=identity,
            split=self._split,
            reference_frame=reference_frame(labels["found"], fps=fps),
            face_box=(float(low[0]), float(low[1]), float(high[0]), float(high[1])),
            sha256={"video": file.sha256},
            meta={
                "labels": place,
                "labels_sha256": digest,
                "licence": "as the source",
                "interval_seconds": [plan.start / fps, plan.end / fps],
                "crop": list(plan.window),
                "face_width_in_source": round(plan.face_width, 1),
                "quality": self._options.quality,
                "fps": fps,
                "notes": list(pair.notes),
            },
        )

    def report(self) -> PrepareReport:
        """Writes the manifest.

        Raises:
            DataError: when there is no clip at all.
        """
        if not self._entries:
            shown = "; ".join(str(problem) for problem in sorted(self.problems)[:5])
            raise DataError("no clip could be made", expected="at least one", found=shown)
        manifest = self._target / "manifest.jsonl"
        entries = self._earlier.write(self._entries.values())
        spans = [entry.meta["interval_seconds"] for entry in entries]
        return PrepareReport(
            manifest=manifest,
            entries=entries,
            made=self._made,
            kept=self._kept,
            problems=tuple(sorted(self.problems)),
            notes=(*self._notes, *self._earlier.notes(entries)),
            seconds=sum(end - start for start, end in spans),
            n_bytes=sum((self._target / video_of(entry)).stat().st_size for entry in entries),
        )
