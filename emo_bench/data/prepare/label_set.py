"""``data label``: measures the labels that training needs on the clips of any manifest."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from emo_bench.data.labels import Labels, write_labels
from emo_bench.data.manifest import Manifest, ManifestEntry, read_manifest, video_of, write_manifest
from emo_bench.data.naming import IMAGE_EXTENSIONS
from emo_bench.data.prepare.face_crop import FaceFilter
from emo_bench.data.prepare.labels import Measures, clip_labels
from emo_bench.data.prepare.report import Problem, problem_of
from emo_bench.data.prepare.speech import log_mel
from emo_bench.data.prepare.state import FinishedWork
from emo_bench.data.prepare.survey import clip_inputs, sound_rows
from emo_bench.data.prepare.write_clip import ClipSink
from emo_bench.media.decode import MediaPair, load_pair
from emo_bench.media.image import read_image
from emo_bench.media.types import Audio, video_from_array
from emo_core.errors import ClipError, ConfigError, DataError, NoFaceError
from emo_core.hashing import digest_of, sha256_file
from emo_core.progress import Display, Silent

RECIPE = 1
"""Raised whenever the same clip would get other labels."""
SOUND_LABELS = ("loudness_db", "pitch_hz")
OWN = "labels_key"
"""Marks labels that were measured here, in a clip's ``meta``; those that came with a set have no such mark."""


@dataclass(frozen=True)
class LabelReport:
    """What became of the clips of a set.

    Attributes:
        entries: All clips, those with labels naming them under ``meta.labels``.
        made: Clips that got labels.
        kept: Clips that had them already.
        problems: Clips without labels, with the reason.
    """

    entries: tuple[ManifestEntry, ...]
    made: int
    kept: int
    problems: tuple[Problem, ...]


def label_set(
    manifest: Path, *, weights: tuple[Path, ...] = (), fps: int = 25, display: Display | None = None
) -> LabelReport:
    """Writes ``labels/ID.safetensors`` beside a manifest and names the files in it; a second run makes what is missing.

    Clips that came with labels, such as those of ``data prepare folder`` or HDTF-Synth, keep them.

    Args:
        manifest: The set; the same command resumes after an interruption.
        weights: Folders of weight files, for the face analysis.
        fps: Frames per second at which clips are read that do not state theirs under ``meta.fps``.
        display: Shows progress.

    Raises:
        ConfigError: ``fps`` is out of range.
        DataError: the manifest cannot be read, or a clip states a rate that labels cannot have.
        WeightsError: the face analysis has no weights.
    """
    if not 1 <= fps <= 240:
        raise ConfigError("fps is out of range", expected="1 to 240", found=f"{fps}")
    found = read_manifest(manifest)
    rates = {entry.id: _fps_of(entry, fps) for entry in found.entries if not _came_with_labels(entry)}
    measures = Measures.load(weights)
    memory = FinishedWork(found.root)
    display = display or Silent()
    display.stage("label", len(found.entries))
    measured: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    made = kept = 0
    for entry in found.entries:
        if _came_with_labels(entry):
            kept += 1
            display.step(entry.id)
            continue
        key = digest_of([RECIPE, entry.listed, rates[entry.id], measures.digests])
        known = memory.recall(_name(entry), key=key)
        if known is not None and _is_there(found, known):
            kept += 1
            measured[entry.id] = known
        else:
            try:
                labels = measure_clip(found, entry, measures, fps=rates[entry.id])
                place = f"labels/{entry.id}.safetensors"
                value = {"labels": place, "labels_sha256": write_labels(found.root / place, labels), OWN: key}
                memory.remember(_name(entry), key=key, value=value)
                made += 1
                measured[entry.id] = value
            except ClipError as error:
                problems.append(problem_of(error, entry.id))
                measured[entry.id] = {}
        display.step(entry.id)
    # Other commands may have written the manifest meanwhile: only what was measured is added, to the same clips.
    same = {entry.id: entry.listed for entry in found.entries}
    entries = [
        _with(entry, measured[entry.id]) if entry.id in measured and entry.listed == same[entry.id] else entry
        for entry in read_manifest(manifest).entries
    ]
    write_manifest(manifest, entries)
    return LabelReport(tuple(entries), made, kept, tuple(problems))


def measure_clip(manifest: Manifest, entry: ManifestEntry, measures: Measures, *, fps: int) -> Labels:
    """The labels of one clip, measured on its own frames.

    Raises:
        ClipError: it cannot be decoded, has no audio and is no still, or shows no face on most frames.
    """
    path = manifest.path(video_of(entry))
    still = path.suffix.lower() in IMAGE_EXTENSIONS
    audio = manifest.path(entry.audio) if entry.audio else None
    pair = _still_pair(path, fps=fps) if still else load_pair(path, audio, fps=Fraction(fps))
    sink = ClipSink(measures.face, entry.id)
    for frames in pair.video.open():
        sink.add(frames, inputs=clip_inputs(pair, entry.id, frames[0]))
    face = sink.arrays()
    share = float(np.asarray(face["found"], dtype=bool).mean())
    least = FaceFilter().least_share
    if share < least:
        raise NoFaceError("too few frames have a face", expected=f"at least {least:.0%}", found=f"{share:.0%}")
    sound = dict.fromkeys(SOUND_LABELS, np.full(1, np.nan)) if still else sound_rows(pair, measures.sound)
    labels = clip_labels(face, sound, log_mel(pair.audio.samples), whole_frame=sink.whole_frame)
    return {name: value for name, value in labels.items() if not (still and name in (*SOUND_LABELS, "log_mel"))}


def _still_pair(path: Path, *, fps: int) -> MediaPair:
    """An image as a silent video of one frame, as training reads it."""
    video = video_from_array(read_image(path)[None], fps=Fraction(fps))
    return MediaPair(video=video, audio=Audio(np.zeros(0, np.float32), 16000))


def _came_with_labels(entry: ManifestEntry) -> bool:
    return bool(entry.truth) or ("labels" in entry.meta and OWN not in entry.meta)


def _name(entry: ManifestEntry) -> str:
    return f"labels {entry.id}"


def _fps_of(entry: ManifestEntry, fps: int) -> int:
    """The rate at which a clip is read and labelled.

    Raises:
        DataError: the clip states another than a whole number; labels at a rounded one would shift against its frames.
    """
    found = entry.meta.get("fps", fps)
    whole = isinstance(found, (int, float)) and not isinstance(found, bool) and float(found).is_integer()
    if not whole or not 1 <= found <= 240:
        raise DataError(
            f"clip {entry.id} has no rate that labels can have under meta.fps",
            expected="a whole number of frames a second from 1 to 240",
            found=repr(found)[:80],
            fix="correct the manifest, or prepare the video: emo-bench data prepare folder",
        )
    return int(found)


def _with(entry: ManifestEntry, labels: dict[str, Any]) -> ManifestEntry:
    """The entry with these labels instead of those that an earlier run wrote."""
    kept = {name: value for name, value in entry.meta.items() if name not in ("labels", "labels_sha256", OWN)}
    return entry.model_copy(update={"meta": {**kept, **labels}})


def _is_there(manifest: Manifest, known: dict[str, Any]) -> bool:
    path = manifest.path(str(known["labels"]))
    return path.is_file() and sha256_file(path) == known["labels_sha256"]
