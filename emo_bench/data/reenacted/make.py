"""``data make reenacted``: any stills and any talking clips become labelled clips, the same bytes each time.

A clip ``ID`` is three files below the target: ``clips/ID.mkv`` (25 frames a second and 16 kHz audio),
``labels/ID.safetensors`` (see ``labels.TEXT``) and ``portraits/ID.png`` (the still as it was before it moved).
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from emo_bench.data.carry_over import EarlierManifest, require_own
from emo_bench.data.manifest import ManifestEntry, video_of
from emo_bench.data.naming import listed
from emo_bench.data.prepare.disk import estimated_bytes, require_space
from emo_bench.data.prepare.report import PrepareReport, Problem, problem_of
from emo_bench.data.prepare.state import FinishedWork
from emo_bench.data.reenacted.clip import Assignment, ReenactOptions, make_clip
from emo_bench.data.reenacted.drivers import FPS, DriverClip, open_driver, read_drivers
from emo_bench.data.reenacted.faces import FaceReader
from emo_bench.data.reenacted.portraits import Still, crop_side, open_portrait, read_stills
from emo_bench.extract.weights import WeightsFinder
from emo_core.atomic import sweep_orphans
from emo_core.errors import ClipError, ConfigError, DataError
from emo_core.hashing import digest_of, sha256_file
from emo_core.processes import results_of
from emo_core.progress import Display, Silent
from emo_core.rng import numpy_generator

RECIPE = 2
"""Raised whenever the same input would give other clips or labels."""


@dataclass(frozen=True, kw_only=True)
class _Job:
    """All clips of one driver: it is decoded once."""

    target: Path
    driver: DriverClip
    assignments: tuple[tuple[Assignment, str], ...]
    options: ReenactOptions
    split: str
    weights: tuple[Path, ...]


@dataclass(frozen=True)
class _Done:
    entries: tuple[ManifestEntry, ...]
    problems: tuple[Problem, ...]
    made: int
    drawn_frames: int
    drawn_seconds: float


def make_reenacted(
    portraits: Path,
    motion: Path,
    *,
    target: Path,
    clips: int,
    options: ReenactOptions | None = None,
    split: str = "train",
    leave_out: Iterable[str] = (),
    workers: int = 2,
    weights: tuple[Path, ...] = (),
    display: Display | None = None,
) -> PrepareReport:
    """Makes re-enacted clips; a second call makes only what is missing; with a larger ``clips`` it adds to them.

    Args:
        portraits: Folder of stills, or a table of them (``read_stills``).
        motion: Manifest of talking clips, or a table of them (``read_drivers``).
        target: Gets clips, labels, portraits, ``manifest.jsonl``, ``README.md``, ``statistics.json`` and
            ``contact_sheet.png``; not inside the folder of portraits.
        clips: How many. Portraits take turns in a seeded order, so with more clips than portraits each comes again.
        options: See ``ReenactOptions``.
        split: Of all clips.
        leave_out: Ids of portraits, drivers or speakers that are kept for tests.
        workers: Processes; the bytes do not depend on their number.
        weights: Folders of weight files, for the face analysis.
        display: Shows progress.

    Raises:
        DataError: when there are no portraits, no drivers, no clip could be made, the target lists other clips, or the
            disk is too full.
        ConfigError: when an option is out of range.
        WeightsError: when the face analysis has no weights.
    """
    from emo_bench.data.reenacted.datasheet import write_datasheet

    chosen = options or ReenactOptions()
    if clips < 1 or chosen.size % 2 or not 64 <= chosen.size <= 1024:
        raise ConfigError("an option is out of range", expected="at least 1 clip, an even size from 64 to 1024 pixels")
    if portraits.is_dir() and target.resolve().is_relative_to(portraits.resolve()):
        raise DataError(
            f"the target {target} lies inside {portraits}", expected="another place: its files are stills too"
        )
    held = frozenset(leave_out)
    every_still, every_driver = read_stills(portraits), read_drivers(motion)
    stills = {name: still for name, still in every_still.items() if name not in held}
    drivers = {d.id: d for d in every_driver if not {d.id, d.person} & held}
    if not stills or not drivers:
        raise DataError("nothing is left to re-enact", found=f"{len(stills)} portraits, {len(drivers)} talking clips")
    require_own(
        target / "manifest.jsonl",
        lambda clip: isinstance(clip.get("meta"), dict) and bool(clip["meta"].get("reenacted")),
        "a re-enacted set",
    )
    target.mkdir(parents=True, exist_ok=True)
    sweep_orphans(target)  # another run may be making the same clips
    display = display or Silent()
    usable, problems = _usable(target, stills, clips, chosen, weights, display)
    jobs = _jobs(target, usable, drivers, clips, chosen, split, weights)
    finished = FinishedWork(target)
    waiting = sum(finished.recall(given.clip, key=key) is None for job in jobs for given, key in job.assignments)
    n_frames = waiting * round(chosen.seconds * FPS)
    require_space(
        target,
        estimated_bytes(n_frames=n_frames, size=chosen.size, fps=int(FPS), quality=chosen.quality),
        f"{waiting} clips",
    )
    display.stage("re-enact", clips)
    results = []
    with closing(_carried_out(jobs, workers)) as carried_out:
        for done in carried_out:
            results.append(done)
            for _ in range(len(done.entries) + len(done.problems)):
                display.step()
    report = _report(target, results, problems)
    report = replace(report, notes=(*report.notes, *doubts(every_still, every_driver, held)))
    write_datasheet(target, report, chosen)
    return report


def doubts(stills: Mapping[str, Still], drivers: Sequence[DriverClip], held: frozenset[str]) -> list[str]:
    """What could let people who are kept for tests into a training set, in sentences.

    Args:
        stills: All portraits.
        drivers: All talking clips.
        held: Names that are left out.
    """
    told = []
    known = {*stills, *(name for driver in drivers for name in (driver.id, driver.person))}
    if held - known:
        told.append(f"--leave-out names nobody and nothing here: {listed(sorted(held - known))}")
    splits = sorted({driver.split for driver in drivers if driver.split and not {driver.id, driver.person} & held})
    if len(splits) > 1:
        text = f"{', '.join(splits[:-1])} and {splits[-1]}"
        told.append(f"the talking clips are of the splits {text}, and all of them drive; --leave-out keeps some out")
    return told


def _usable(
    target: Path,
    stills: dict[str, Still],
    clips: int,
    options: ReenactOptions,
    weights: tuple[Path, ...],
    display: Display,
) -> tuple[list[Still], list[Problem]]:
    """The first portraits of the seeded order that can be used, as many as there are clips."""
    faces = _faces(target, weights)
    names = sorted(stills)
    order = numpy_generator(options.seed, "re-enacted portraits").permutation(len(names))
    usable: list[Still] = []
    problems: list[Problem] = []
    display.stage("portraits", min(clips, len(names)))
    for place in order:
        if len(usable) == clips:
            break
        name = names[int(place)]
        try:
            portrait = open_portrait(name, stills[name].path, faces, options.portraits)
            crop_side(portrait, size=options.size, framing=options.framing[0], rules=options.portraits)
        except ClipError as error:
            problems.append(problem_of(error, name))
            continue
        usable.append(stills[name])
        display.step(name)
    if not usable:
        shown = "; ".join(str(problem) for problem in problems[:5])
        raise DataError("no portrait can be used", expected="stills of one face each", found=shown)
    return usable, problems


def _jobs(
    target: Path,
    usable: list[Still],
    drivers: dict[str, DriverClip],
    clips: int,
    options: ReenactOptions,
    split: str,
    weights: tuple[Path, ...],
) -> list[_Job]:
    """Clip by clip a portrait and a driver; speakers are drawn by the root of their number of clips."""
    people: dict[str, list[str]] = {}
    for name in sorted(drivers):
        people.setdefault(drivers[name].person, []).append(name)
    names = sorted(people)
    roots = [len(people[name]) ** 0.5 for name in names]
    shares = [root / sum(roots) for root in roots]
    by_driver: dict[str, list[Assignment]] = {}
    for number in range(clips):
        rng = numpy_generator(options.seed, "re-enacted driver", f"{number}")
        person = people[names[int(rng.choice(len(names), p=shares))]]
        driver = person[int(rng.integers(len(person)))]
        still = usable[number % len(usable)]
        by_driver.setdefault(driver, []).append(Assignment(number=number, still=still, driver=driver))
    return [
        _Job(
            target=target,
            driver=drivers[name],
            assignments=tuple((given, _key(given, drivers[name], options)) for given in assignments),
            options=options,
            split=split,
            weights=weights,
        )
        for name, assignments in sorted(by_driver.items())
    ]


def _key(given: Assignment, driver: DriverClip, options: ReenactOptions) -> str:
    """Everything that the bytes of a clip depend on."""
    files = [given.still.path, driver.video, *(path for path in (driver.audio, driver.tracks) if path is not None)]
    digests = [sha256_file(path) if path.is_file() else "" for path in files]
    told = [given.still.style, given.still.licence, driver.id, driver.person, driver.licence, driver.late]
    return digest_of([RECIPE, given.number, given.still.id, digests, told, options.plain()])


def _carried_out(jobs: list[_Job], workers: int) -> Generator[_Done]:
    if workers <= 1 or len(jobs) == 1:
        yield from map(_work, jobs)
        return
    with _one_thread_each(), closing(results_of(_work, jobs, workers=workers)) as results:
        yield from results


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started meanwhile use one thread for linear algebra: systems this small lose time on more."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _work(job: _Job) -> _Done:
    """Makes the clips of one driver that are not there yet."""
    import cv2

    finished = FinishedWork(job.target)
    entries: list[ManifestEntry] = []
    waiting: list[tuple[Assignment, str]] = []
    for given, key in job.assignments:
        entry = finished.recall_clip(given.clip, key=key)
        if entry is None:
            waiting.append((given, key))
        else:
            entries.append(entry.model_copy(update={"split": job.split}))
    kept = len(entries)
    problems: list[Problem] = []
    frames, seconds = 0, 0.0
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        faces = _faces(job.target, job.weights) if waiting else None
        driver = open_driver(job.driver, faces) if faces is not None else None
        for given, key in waiting:
            if faces is None or driver is None:
                break
            try:
                portrait = open_portrait(given.still.id, given.still.path, faces, job.options.portraits)
                entry, spent = make_clip(job.target, given, portrait, driver, job.options, split=job.split)
            except ClipError as error:
                problems.append(problem_of(error, given.clip))
                continue
            finished.remember_clip(entry, key=key)
            entries.append(entry)
            first, last = entry.meta["driver_frames"]
            frames, seconds = frames + last - first, seconds + spent
    except ClipError as error:  # the driver cannot be used: none of its clips can be made
        problems += [problem_of(error, given.clip) for given, _ in waiting]
    finally:
        cv2.setNumThreads(threads)
    return _Done(tuple(entries), tuple(problems), len(entries) - kept, frames, seconds)


def _faces(target: Path, weights: tuple[Path, ...]) -> FaceReader:
    return FaceReader(WeightsFinder(folders=weights), target / ".state" / "faces")


def _report(target: Path, results: list[_Done], problems: list[Problem]) -> PrepareReport:
    entries = sorted((entry for done in results for entry in done.entries), key=lambda entry: entry.id)
    told = [*problems, *(problem for done in results for problem in done.problems)]
    if not entries:
        shown = "; ".join(str(problem) for problem in told[:5])
        raise DataError("no clip could be made", expected="at least one", found=shown)
    manifest = target / "manifest.jsonl"
    earlier = EarlierManifest(manifest)
    kept = earlier.write(entries)
    made = sum(done.made for done in results)
    frames, seconds = (
        sum(values) for values in zip(*((d.drawn_frames, d.drawn_seconds) for d in results), strict=True)
    )
    notes = [f"rendering took {1000 * seconds / frames:.1f} ms of a core a frame"] if frames else []
    spans = [entry.meta["driver_frames"] for entry in entries]
    return PrepareReport(
        manifest=manifest,
        entries=kept,
        made=made,
        kept=len(entries) - made,
        problems=tuple(sorted(told)),
        notes=(*notes, *earlier.notes(kept)),
        seconds=sum(last - first for first, last in spans) / float(FPS),
        n_bytes=sum((target / video_of(entry)).stat().st_size for entry in entries),
    )
