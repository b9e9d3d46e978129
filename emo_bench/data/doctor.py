"""What is unusual about videos, and which numbers will suffer from it: media facts and faces together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emo_bench.data.manifest import read_manifest, video_of
from emo_bench.media.decode import DEFAULT_RATE
from emo_bench.media.doctor import Finding, inspect_media, noted
from emo_core.errors import ClipError, WeightsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emo_metrics.contract import Extractor

FACE_EXTRACTOR = "face/mediapipe-landmarker@1"
SMALL_FACE = 100
"""SyncNet's usual pipeline drops face tracks that are smaller than this many pixels."""
SYNC_TRACK = 100
"""SyncNet's usual pipeline drops tracks of this many frames or fewer."""


@dataclass(frozen=True)
class Examination:
    """All findings about one video."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> str:
        """The most serious level among the findings."""
        order = ("error", "warning", "note", "ok")
        return min((finding.level for finding in self.findings), key=order.index, default="ok")

    def plain(self) -> dict[str, object]:
        """As plain values."""
        return {"name": self.name, "findings": [asdict(finding) for finding in self.findings]}


def examine(paths: Sequence[Path], *, weights: tuple[Path, ...] = (), faces: bool = True) -> list[Examination]:
    """Examines videos, and the videos of manifests.

    Args:
        paths: Video files or ``.jsonl`` manifests.
        weights: Folders of weight files, for the face analysis.
        faces: Whether to look for faces; without its weights that becomes a finding.
    """
    extractor, missing = _face_extractor(weights) if faces else (None, None)
    result = [_examine_portrait(*found, faces=faces) for found in _portraits(paths)]
    for name, video, audio in _videos(paths):
        findings = inspect_media(video, audio)
        if extractor is not None and all(finding.level != "error" for finding in findings):
            findings += list(_face_findings(extractor, video))
        elif missing is not None:
            findings.append(missing)
        result.append(Examination(name, tuple(findings)))
    return result


def _videos(paths: Iterable[Path]) -> Iterator[tuple[str, Path, Path | None]]:
    from emo_bench.data.naming import audio_beside

    for path in paths:
        if path.suffix == ".jsonl":
            manifest = read_manifest(path)
            for entry in (entry for entry in manifest.entries if not entry.wild):
                audio = manifest.path(entry.audio) if entry.audio else None
                yield entry.id, manifest.path(video_of(entry)), audio
        else:
            yield path.name, path, audio_beside(path)


def _portraits(paths: Iterable[Path]) -> Iterator[tuple[str, Path, Path]]:
    """Id, portrait and audio of the clips without a video."""
    for path in (path for path in paths if path.suffix == ".jsonl"):
        manifest = read_manifest(path)
        for entry in manifest.entries:
            if entry.portrait is not None and entry.audio is not None:
                yield entry.id, manifest.path(entry.portrait), manifest.path(entry.audio)


def _examine_portrait(name: str, portrait: Path, audio: Path, *, faces: bool) -> Examination:
    """The findings about a portrait and its audio."""
    from emo_bench.data.portrait import largest_face
    from emo_bench.media.audio_file import load_audio
    from emo_bench.media.image import read_still_image

    findings: list[Finding] = []
    try:
        still, heard = read_still_image(portrait), load_audio(audio, rate=DEFAULT_RATE)
        height, width = still.pixels.shape[:2]
        findings += [Finding(level="note", code="portrait", text=note) for note in still.notes]
        text = f"portrait {width}x{height}, {heard.audio.seconds:.1f} s of audio, no ground truth"
        findings.append(Finding(level="ok", code="portrait", text=text))
        findings += noted(heard.notes)
        box, notes = largest_face(still.pixels) if faces else (None, [])
        findings += [Finding(level="warning", code="several_faces", text=note) for note in notes]
        if faces and box is None:
            findings.append(Finding(level="error", code="no_face", text="no face was found in the portrait"))
        elif box is not None and box[2] - box[0] < SMALL_FACE:
            text = f"the face is {box[2] - box[0]:.0f} px wide; below {SMALL_FACE} px the mouth is hardly seen"
            findings.append(Finding(level="warning", code="small_face", text=text))
    except ClipError as error:
        findings.append(Finding(level="error", code=error.code, text=error.message))
    return Examination(name, tuple(findings))


def _face_extractor(weights: tuple[Path, ...]) -> tuple[Extractor | None, Finding | None]:
    from emo_bench.extract.catalogue import extractors, load_catalogues
    from emo_bench.extract.weights import WeightsFinder

    load_catalogues()
    finder = WeightsFinder(folders=weights)
    try:
        kind = extractors.get(FACE_EXTRACTOR)
        return kind({name: finder.require(name) for name in kind.weights}), None
    except WeightsError as error:
        text = f"faces were not looked for: {error.message}"
        return None, Finding(level="note", code="missing_weights", text=text)


def _face_findings(extractor: Extractor, path: Path) -> Iterator[Finding]:
    from emo_bench.extract.single_pass import extract_clip
    from emo_bench.media.decode import open_video
    from emo_metrics.contract import ClipInputs

    try:
        video = open_video(path)
        first = next(iter(video.open()))[0]
        spec = video.spec
        inputs = ClipInputs(
            clip_id=path.name,
            fps=spec.fps,
            n_frames=spec.n_frames,
            height=spec.height,
            width=spec.width,
            reference_image=first,
        )
        result = extract_clip(video=video, truth=None, inputs=inputs, extractors=[extractor], known={})[FACE_EXTRACTOR]
    except ClipError as error:
        yield Finding(level="error", code=error.code, text=error.message)
        return
    if result.status != "ok":
        yield Finding(level="error", code=result.status, text=result.reason)
        return
    yield from _describe_faces(result.arrays["found"], result.arrays["n_faces"], result.arrays["box"], spec.n_frames)


def _describe_faces(
    found: NDArray[np.generic], n_faces: NDArray[np.generic], box: NDArray[np.generic], n_frames: int
) -> Iterator[Finding]:
    seen = found.astype(bool)
    if not seen.any():
        text = f"no face was found on any of the {n_frames} frames: metrics of faces have no value"
        yield Finding(level="warning", code="no_face", text=text)
        return
    boxes = box[seen].astype(np.float64)
    width = float(np.median(boxes[:, 2] - boxes[:, 0]))
    share = float(seen.mean())
    level = "ok" if share > 0.99 else "warning"
    yield Finding(level="ok" if level == "ok" else "warning", code="face", text=_face_text(share, width))
    if width < SMALL_FACE:
        text = f"the face is {width:.0f} px wide; SyncNet's usual pipeline drops faces below {SMALL_FACE} px"
        yield Finding(level="warning", code="small_face", text=text)
    several = int((n_faces.astype(np.int64) > 1).sum())
    if several:
        text = f"{several} of {n_frames} frames show several faces; the one that continues is measured"
        yield Finding(level="warning", code="several_faces", text=text)
    longest = _longest_run(seen)
    if longest <= SYNC_TRACK:
        text = f"the longest face track has {longest} frames; SyncNet's usual pipeline needs more than {SYNC_TRACK}"
        yield Finding(level="note", code="short_track", text=text)


def _face_text(share: float, width: float) -> str:
    return f"a face on {share:.1%} of the frames, {width:.0f} px wide"


def _longest_run(flags: NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))
