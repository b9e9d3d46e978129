"""Makes HDTF-Synth: clips, labels and manifest, byte-identical on every machine.

A clip ``ID`` is two files below the target folder. ``clips/ID.avi`` holds 25 frames a second (lossless) and its audio
(16 kHz, mono, PCM). ``truth/ID.safetensors`` holds for each of its T frames:

=================  =================  ======================================================================
name               type, shape        meaning
=================  =================  ======================================================================
mouth_opening      f32 [T]            height of the gap between the lips, head units (1 = half the head's height)
mouth_width        f32 [T]            distance of the corners of the mouth, head units
mouth_rounding     f32 [T]            0 almond to 1 ellipse
expression         f32 [T, 26]        coefficients ``EXPRESSION_NAMES``, [0, 1] (gaze [-1, 1])
pose               f32 [T, 6]         yaw, pitch, roll in degrees; x, y in head units; scale
gaze               f32 [T, 2]         relative to the head, right and down positive, [-1, 1]
blink              f32 [T, 2]         the person's left and right eye, 1 = closed
viseme             i32 [T]            index into ``VISEME_NAMES``
phoneme            i32 [T]            index into the metadata's ``phonemes``, -1 = none
box                f32 [T, 4]         x0, y0, x1, y1 of the face in pixels
landmarks68        f32 [T, 68, 2]     x, y in pixels, iBUG order
=================  =================  ======================================================================

The file's metadata names the columns and lists the phonemes as [start ms, end ms, IPA], on the image's timeline.
With an audio offset of k frames (``meta.audio_offset_frames``), what frame t shows is heard at frame t + k.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from emo_bench.data.carry_over import require_own
from emo_bench.data.manifest import Manifest, ManifestEntry, read_manifest, write_manifest
from emo_core.atomic import sweep_orphans, write_bytes
from emo_core.errors import DataError
from emo_core.hashing import sha256_bytes, sha256_file
from emo_core.processes import results_of
from hdtf_synth.clip import clip_content, reference_frame
from hdtf_synth.container import avi_bytes
from hdtf_synth.identity import identity_from_seed
from hdtf_synth.motion import FPS
from hdtf_synth.plan import SECONDS, SLICES, ClipPlan, clips_of
from hdtf_synth.recordings import RATE
from hdtf_synth.truth import truth_bytes

LICENCE = "Apache-2.0 (made by a program; voices synthesised)"
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class MakeReport:
    """What ``make_hdtf_synth`` did.

    Attributes:
        manifest: The manifest's path.
        made: Clips rendered now.
        kept: Clips that were there already, with the right bytes.
        n_bytes: Size of all clips and truth files together.
    """

    manifest: Path
    made: int
    kept: int
    n_bytes: int


def make_hdtf_synth(
    target: Path,
    *,
    slice: str = "all",
    size: int = 128,
    workers: int = 2,
    progress: Progress | None = None,
) -> MakeReport:
    """Makes HDTF-Synth, or a slice of it, below a folder; clips that are already there are kept.

    Args:
        target: Folder; gets ``manifest.jsonl``, ``clips`` and ``truth``.
        slice: ``all``, or one of ``plan.SLICES``: ``mini`` (12 clips of 2 s), ``train``, ``validation``, ``test``
            (identity-disjoint), ``offsets`` (audio late or early by a known number of frames).
        size: Side of the square image in pixels, a multiple of 4.
        workers: How many processes render.
        progress: Called after each clip that is made, with clips made, clips to make in total and its id.

    Returns:
        What was done.

    Raises:
        DataError: for an unknown slice, an impossible size, a folder of other clips, or a disk that is too full.
        WorkerDiedError: when a process that renders ends early.
    """
    if slice != "all" and slice not in SLICES:
        raise DataError(f"unknown slice {slice!r}", expected=f"all, {', '.join(SLICES)}")
    if size % 4 or not 32 <= size <= 1024:
        raise DataError("impossible size", expected="a multiple of 4 from 32 to 1024 pixels", found=str(size))
    plans = clips_of(slice)
    known = {plan.id for plan in clips_of("all")}
    # Slices are called as the folders of many a set of one's own.
    require_own(target / "manifest.jsonl", lambda clip: str(clip["id"]) in known, "HDTF-Synth")
    target.mkdir(parents=True, exist_ok=True)
    sweep_orphans(target)  # another run may be making the same clips
    entries: dict[str, ManifestEntry] = {}
    waiting: list[ClipPlan] = []
    for plan in plans:
        entry = _finished(target, plan, size)
        if entry is None:
            waiting.append(plan)
        else:
            entries[plan.id] = entry
    _check_disk(target, waiting, size)
    kept = len(entries)
    with closing(_render(target, waiting, size, workers)) as rendered:
        for entry in rendered:
            entries[entry.id] = entry
            if progress is not None:
                progress(len(entries) - kept, len(waiting), entry.id)
    manifest = target / "manifest.jsonl"
    if waiting or not _lists(manifest, entries.values()):  # a finished set may lie where nothing can be written
        write_manifest(manifest, entries.values())
    shutil.rmtree(target / ".parts", ignore_errors=True)
    n_bytes = sum((target / path).stat().st_size for e in entries.values() for path in (e.video, e.truth) if path)
    return MakeReport(manifest=manifest, made=len(waiting), kept=kept, n_bytes=n_bytes)


def _lists(manifest: Path, entries: Iterable[ManifestEntry]) -> bool:
    """Whether a manifest holds exactly these clips."""
    try:
        return read_manifest(manifest).entries == Manifest(manifest.parent, entries).entries
    except DataError:
        return False


def _render(target: Path, plans: list[ClipPlan], size: int, workers: int) -> Generator[ManifestEntry]:
    if workers <= 1 or len(plans) <= 1:
        yield from (make_clip(target, plan, size) for plan in plans)
        return
    # Clips of one identity go to one worker, which paints the skin only once.
    by_identity: dict[int, list[ClipPlan]] = {}
    for plan in plans:
        by_identity.setdefault(plan.identity, []).append(plan)
    jobs = [(target, members, size) for members in by_identity.values()]
    with closing(results_of(_make_clips_of, jobs, workers=workers)) as results:
        for entries in results:
            yield from entries


def _make_clips_of(job: tuple[Path, list[ClipPlan], int]) -> list[ManifestEntry]:
    target, plans, size = job
    return [make_clip(target, plan, size) for plan in plans]


def make_clip(target: Path, plan: ClipPlan, size: int) -> ManifestEntry:
    """Renders and writes one clip; returns its line of the manifest."""
    content = clip_content(plan, size=size)
    speech = content.speech
    video = avi_bytes(content.frames, content.samples, fps=FPS, rate=RATE)
    phonemes = [[round(p.start * 1000), round(p.end * 1000), p.symbol] for p in speech.phonemes]
    truth = truth_bytes(content.truth, phonemes)
    video_path, truth_path = f"clips/{plan.id}.avi", f"truth/{plan.id}.safetensors"
    # Digests are checked before a clip counts as made, so nobody needs to wait for the disk.
    write_bytes(target / video_path, video, durable=False)
    write_bytes(target / truth_path, truth, durable=False)
    who = identity_from_seed(plan.identity)
    boxes = content.truth["box"]
    low, high = boxes.min(axis=0), boxes.max(axis=0)
    entry = ManifestEntry(
        id=plan.id,
        video=video_path,
        truth=truth_path,
        identity=who.name,
        split=plan.slice,
        reference_frame=reference_frame(content),
        face_box=(float(low[0]), float(low[1]), float(high[2]), float(high[3])),
        sha256={"video": sha256_bytes(video), "truth": sha256_bytes(truth)},
        meta={
            "audio_offset_frames": plan.offset,
            "language": speech.language,
            "licence": LICENCE,
            "mood": content.motion.mood,
            "size": size,
            "style": who.style,
            "synthetic": True,
            "text": speech.text,
            "voice": speech.voice,
        },
    )
    # What a later run needs to know that this clip is finished; read back by `_finished`.
    part, row = _part(target, plan, size), (entry.model_dump_json() + "\n").encode()
    try:
        write_bytes(part, row, durable=False)
    except FileNotFoundError:  # another run that made the same set has just removed the folder
        write_bytes(part, row, durable=False)
    return entry


def _part(target: Path, plan: ClipPlan, size: int) -> Path:
    return target / ".parts" / f"{plan.id}-{size}.json"


def _finished(target: Path, plan: ClipPlan, size: int) -> ManifestEntry | None:
    """The manifest line of a clip that an earlier run finished and whose files still have the same bytes."""
    entry = _known(target, plan, size)
    if entry is None or entry.truth is None:
        return None
    for kind, path in entry.files.items():
        file = target / path
        if not file.is_file() or sha256_file(file) != entry.sha256.get(kind):
            return None
    return entry


def _known(target: Path, plan: ClipPlan, size: int) -> ManifestEntry | None:
    part = _part(target, plan, size)
    rows = part.read_text(encoding="utf-8").splitlines() if part.is_file() else []
    manifest = target / "manifest.jsonl"
    if not rows and manifest.is_file():
        rows = [row for row in manifest.read_text(encoding="utf-8").splitlines() if f'"{plan.id}"' in row]
    for row in rows:
        try:
            entry = ManifestEntry.model_validate_json(row, strict=True)
        except ValueError:
            continue
        if entry.id == plan.id and entry.meta.get("size") == size:
            return entry
    return None


def _check_disk(target: Path, plans: Sequence[ClipPlan], size: int) -> None:
    frames = sum(SECONDS[plan.slice] * FPS for plan in plans)
    needed = frames * size * size
    free = shutil.disk_usage(target).free
    if free < needed:
        raise DataError(
            f"not enough disk space below {target}",
            expected=f"about {needed / 1e6:.0f} MB free for {len(plans)} clips of {size} px",
            found=f"{free / 1e6:.0f} MB",
            fix="free some space, choose a slice, or a smaller size",
        )
