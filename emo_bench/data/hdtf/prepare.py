"""``data prepare hdtf``: annotation files and the user's videos become clips with a manifest; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from emo_bench.data.carry_over import EarlierManifest
from emo_bench.data.hdtf.annotations import AnnotatedVideo, read_annotations
from emo_bench.data.hdtf.cut import QUALITIES, CutClip, cut_source
from emo_bench.data.hdtf.identities import identity_of, read_test_identities
from emo_bench.data.hdtf.plan import ClipCut, plan_clips
from emo_bench.data.hdtf.sources import RawVideos, wanted_names
from emo_bench.data.manifest import ManifestEntry, video_of
from emo_bench.data.naming import AmbiguousNameError, audio_beside
from emo_bench.data.naming import listed as names_of
from emo_bench.data.prepare.disk import NO_ROOM, Quality, estimated_bytes, full_disk, require_space
from emo_bench.data.prepare.label_set import label_set
from emo_bench.data.prepare.labels import Measures
from emo_bench.data.prepare.report import PrepareReport, Problem
from emo_bench.data.prepare.state import FinishedWork
from emo_core.atomic import sweep_orphans
from emo_core.errors import ConfigError, DataError
from emo_core.hashing import digest_of, sha256_file
from emo_core.progress import Display, Silent

LICENCE = "CC BY 4.0 (HDTF, Zhang et al., CVPR 2021)"
REFERENCE_FRAME = 0
"""Systems get the first frame; the paper of EMO does not say which it took."""
RECIPE = 1
"""Raised whenever the same input would give other clips."""


@dataclass(frozen=True, kw_only=True)
class _Options:
    target: Path
    fps: Literal[25, 30]
    size: int
    quality: Quality


@dataclass(frozen=True, kw_only=True)
class _Source:
    """One file of the user's with the clips that are to come out of it."""

    video: AnnotatedVideo
    path: Path
    cuts: tuple[ClipCut, ...]

    @property
    def name(self) -> str:
        """Part and name, unique among the annotations."""
        return f"{self.video.part}_{self.video.name}"


def prepare_hdtf(
    raw: Path,
    *,
    annotations: Path | None = None,
    target: Path,
    fps: Literal[25, 30] = 25,
    size: int = 512,
    clip_seconds: float | None = None,
    clips_per_video: int | None = None,
    quality: Quality = "near-lossless",
    test_identities: Path | None = None,
    labels: bool = False,
    weights: tuple[Path, ...] = (),
    display: Display | None = None,
) -> PrepareReport:
    """Cuts, crops and resizes HDTF's clips out of videos that are there already.

    Every source video is read once, whatever the number of its clips, and each clip is encoded once. Running the same
    command again makes only what is missing; a clip is kept when source, options and its own bytes are the same.

    Args:
        raw: Folder of videos named ``Name``, ``Part_Name`` or by the video's id, with any ending.
        annotations: Folder of the published text files; ``raw`` when absent.
        target: Gets ``clips/ID.mkv`` and ``manifest.jsonl``.
        fps: Frames per second of the clips.
        size: Width and height of the clips.
        clip_seconds: Divide the annotated intervals into clips of this length; None keeps each as one clip.
        clips_per_video: Take the first so many clips of each video; None takes all.
        quality: 'near-lossless' or 'lossless' (three times as large).
        test_identities: Another list than the committed one.
        labels: Whether to measure what training needs, as ``data label`` does; needs the face analysis's weights.
        weights: Folders of weight files, for the labels.
        display: Shows progress.

    Returns:
        What was made and everything that is missing or wrong.

    Raises:
        ConfigError: an option is out of range.
        DataError: no annotations, no videos, no usable clip, or not enough disk space.
        WeightsError: labels are wanted and the face analysis has no weights.
    """
    if labels:
        Measures.load(weights)  # so that missing weights are told before any work
    _check_options(fps=fps, size=size, clip_seconds=clip_seconds, clips_per_video=clips_per_video, quality=quality)
    display = display or Silent()
    if not raw.is_dir():
        raise DataError(f"no folder {raw}", expected="a folder with the videos of HDTF")
    listed = read_annotations(annotations or raw)
    test_people = read_test_identities(test_identities)
    split = _Splits(test_people)
    options = _Options(target=target, fps=fps, size=size, quality=quality)
    problems = list(listed.problems)
    sources: list[_Source] = []
    videos = RawVideos(raw)
    for video in listed.videos:
        cuts, unusable = plan_clips(video, fps=fps, clip_seconds=clip_seconds, clips_per_video=clips_per_video)
        try:
            path = videos.find(video)
            if path is not None:
                audio_beside(path)  # so that an ambiguous one is told before any work
        except AmbiguousNameError as error:
            problems.append(
                Problem(error.code, f"{video.part}_{video.name}", f"expected one file, found {error.found}")
            )
            continue
        if path is None:
            reason = f"expected a video named {' or '.join(wanted_names(video))} below {raw}"
            problems.append(Problem("missing_video", f"{video.part}_{video.name}", reason))
            continue
        problems += unusable
        sources.append(_Source(video=video, path=path, cuts=tuple(cuts)))
    if not sources:
        raise DataError(
            f"none of HDTF's {len(listed.videos)} videos is below {raw}",
            expected="videos named like AdamSchiff.mp4, WDA_AdamSchiff.mp4 or by their YouTube id",
            found=f"{len(videos)} videos of other names",
            fix="download the videos first (this program never does) and keep their names or ids",
        )
    report = _Preparation(options, split, display).run(sources, problems)
    known = {identity_of(video.part, video.name) for video in listed.videos}
    if test_identities is not None and not test_people <= known:
        # Someone whose name is misspelt would be trained on.
        told = f"of the test identities, the annotations name nobody like this: {names_of(sorted(test_people - known))}"
        report = replace(report, notes=(*report.notes, told))
    if not labels:
        return report
    labelled = label_set(report.manifest, weights=weights, fps=fps, display=display)
    problems = [*report.problems, *labelled.problems]
    return replace(report, entries=labelled.entries, problems=tuple(sorted(problems)))


def _check_options(
    *, fps: int, size: int, clip_seconds: float | None, clips_per_video: int | None, quality: str
) -> None:
    checks = [
        (fps in (25, 30), "fps", "25 or 30", fps),
        (32 <= size <= 2048 and size % 2 == 0, "size", "an even number of pixels from 32 to 2048", size),
        (clip_seconds is None or 0.2 <= clip_seconds <= 3600, "clip_seconds", "0.2 to 3600 s", clip_seconds),
        (clips_per_video is None or clips_per_video >= 1, "clips_per_video", "at least 1", clips_per_video),
        (quality in QUALITIES, "quality", " or ".join(QUALITIES), quality),
    ]
    for fine, name, expected, found in checks:
        if not fine:
            raise ConfigError(f"{name} is out of range", expected=expected, found=f"{found}")


class _Splits:
    """Which split an identity belongs to."""

    def __init__(self, test: frozenset[str]) -> None:
        self._test = test

    def of(self, identity: str) -> str:
        return "test" if identity in self._test else "train"


class _Preparation:
    """One run: what is finished is kept, the manifest is written after every video."""

    def __init__(self, options: _Options, split: _Splits, display: Display) -> None:
        self._options = options
        self._split = split
        self._display = display
        self._finished = FinishedWork(options.target)
        self._earlier = EarlierManifest(options.target / "manifest.jsonl")
        self._entries: dict[str, ManifestEntry] = {}
        self._problems: list[Problem] = []
        self._notes: dict[str, None] = {}
        self._made = 0

    def run(self, sources: list[_Source], problems: list[Problem]) -> PrepareReport:
        options = self._options
        options.target.mkdir(parents=True, exist_ok=True)
        sweep_orphans(options.target)  # another run may be making the same clips
        self._problems = problems
        hashes = self._hash_sources(sources)
        waiting = {source.name: self._not_finished(source, hashes[source.path]) for source in sources}
        kept = len(self._entries)
        self._require_space([cut for cuts in waiting.values() for cut in cuts])
        self._display.stage("prepare", kept + sum(len(cuts) for cuts in waiting.values()))
        for entry in list(self._entries):
            self._display.step(entry)
        try:
            for source in sources:
                if waiting[source.name]:
                    self._cut(source, waiting[source.name], hashes[source.path])
        except OSError as error:
            if error.errno in NO_ROOM:
                raise full_disk(options.target, error) from error
            raise
        if not self._entries:
            shown = "; ".join(str(problem) for problem in sorted(self._problems)[:5])
            raise DataError("no clip could be made", expected="at least one", found=shown)
        return self._report(kept)

    def _hash_sources(self, sources: list[_Source]) -> dict[Path, str]:
        self._display.stage("hash", len(sources))
        hashes: dict[Path, str] = {}
        for source in sources:
            parts = [source.path, audio_beside(source.path)]
            hashes[source.path] = digest_of([sha256_file(part) for part in parts if part is not None])
            self._display.step(source.path.name)
        return hashes

    def _key(self, cut: ClipCut, source_hash: str) -> str:
        """Everything that the bytes of a clip depend on."""
        options = self._options
        quality = QUALITIES[options.quality]
        window = [cut.window.x, cut.window.y, cut.window.width, cut.window.height, cut.video.height]
        made_by = [RECIPE, options.fps, options.size, quality.title, quality.options]
        return digest_of([source_hash, cut.start, cut.n_frames, cut.fixed, window, made_by])

    def _not_finished(self, source: _Source, source_hash: str) -> list[ClipCut]:
        waiting = []
        for cut in source.cuts:
            entry = self._finished.recall_clip(cut.id, key=self._key(cut, source_hash))
            if entry is None:
                waiting.append(cut)
                continue
            # The list of test identities may be another one today.
            self._entries[cut.id] = entry.model_copy(update={"split": self._split.of(entry.identity)})
            if entry.meta.get("shortened"):
                self._problems.append(Problem("shortened", cut.id, str(entry.meta["shortened"])))
            self._note(entry.meta["notes"])
        return waiting

    def _note(self, notes: Iterable[str]) -> None:
        for note in notes:
            self._notes.setdefault(note)

    def _require_space(self, cuts: list[ClipCut]) -> None:
        options = self._options
        n_frames = sum(cut.n_frames for cut in cuts)
        needed = estimated_bytes(n_frames=n_frames, size=options.size, fps=options.fps, quality=options.quality)
        what = f"{len(cuts)} clips, {n_frames / options.fps / 60:.1f} min of {options.size} px, {options.quality}"
        require_space(options.target, needed, what)

    def _cut(self, source: _Source, cuts: list[ClipCut], source_hash: str) -> None:
        options = self._options
        shortened: dict[str, str] = {}
        done = cut_source(
            source.path,
            audio_beside(source.path),
            cuts,
            options.target / "clips",
            fps=options.fps,
            size=options.size,
            quality=options.quality,
        )
        for outcome in done:
            if isinstance(outcome, Problem):
                self._problems.append(outcome)
                if outcome.code == "shortened":
                    shortened[outcome.name] = outcome.reason
                    continue
                self._display.step(outcome.name)
                continue
            entry = self._entry(outcome, source, source_hash, shortened.get(outcome.cut.id))
            self._finished.remember_clip(entry, key=self._key(outcome.cut, source_hash))
            self._entries[entry.id] = entry
            self._note(entry.meta["notes"])
            self._made += 1
            self._display.step(entry.id)
        if self._entries:
            self._earlier.write(self._entries.values(), unfinished=True)

    def _entry(self, clip: CutClip, source: _Source, source_hash: str, shortened: str | None) -> ManifestEntry:
        options, cut, video = self._options, clip.cut, source.video
        person = identity_of(video.part, video.name)
        meta = {
            "dataset": "HDTF",
            "licence": LICENCE,
            "source": {"part": video.part, "name": video.name, "url": video.url, "digest": source_hash},
            "interval_seconds": [cut.start / options.fps, (cut.start + clip.file.spec.n_frames) / options.fps],
            "crop": list(clip.window),
            "zoom": video.zooms.get(cut.number),
            "quality": options.quality,
            "fps": options.fps,
            "notes": list(clip.notes),
            **({"shortened": shortened} if shortened else {}),
        }
        return ManifestEntry(
            id=cut.id,
            video=f"clips/{cut.id}.mkv",
            identity=person,
            split=self._split.of(person),
            reference_frame=REFERENCE_FRAME,
            sha256={"video": clip.file.sha256},
            meta=meta,
        )

    def _report(self, kept: int) -> PrepareReport:
        manifest = self._options.target / "manifest.jsonl"
        entries = self._earlier.write(self._entries.values())
        spans = [entry.meta["interval_seconds"] for entry in entries]
        return PrepareReport(
            manifest=manifest,
            entries=entries,
            made=self._made,
            kept=kept,
            problems=tuple(sorted(self._problems)),
            notes=(*self._notes, *self._earlier.notes(entries)),
            seconds=sum(end - start for start, end in spans),
            n_bytes=sum((manifest.parent / video_of(entry)).stat().st_size for entry in entries),
        )
