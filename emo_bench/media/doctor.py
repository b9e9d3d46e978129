"""What to know about a video before it is scored: one finding per peculiarity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emo_bench.media.audio_samples import SILENCE, sample_notes
from emo_bench.media.colour import colour_notes, is_gray
from emo_bench.media.decode import DEFAULT_FPS, DEFAULT_RATE, open_video
from emo_bench.media.limits import DEFAULT_LIMITS, Limits
from emo_bench.media.notes import ROUTINE, Note
from emo_bench.media.probe import MediaInfo, Scan, scan
from emo_core.errors import ClipError, NoAudioError

Level = Literal["ok", "note", "warning", "error"]

SHORT_FRAMES = 100
"""SyncNet's pipeline ignores face tracks of fewer frames."""

SMALL_SIDE = 128
"""Frames below this cannot hold a face of useful size."""

HUGE_PIXELS = 1920 * 1080
"""More pixels than this make everything slow without helping any metric."""


ORDINARY_NOTES = frozenset(
    {"matrix_assumed", "hd_matrix_assumed", "no_stamps", "coding_order", "encoder_delay", "missing_stamps"}
)
"""Notes about things that are handled without harm to the numbers; other notes are warnings."""

SILENT_SECONDS = 0.5
"""More seconds of zero samples than this are reported."""

CONTENT_FPS = Fraction(5)
CONTENT_SIZE = (64, 64)
GRAY_LEVELS = 8
"""Largest difference between red, green and blue, of 255, in frames without colour."""

STILL_LEVELS = 2
"""Largest change of a pixel of the downscaled frame, of 255, in a still video."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing found.

    Attributes:
        level: ``ok``; ``note`` (handled); ``warning`` (numbers may suffer); ``error`` (cannot be scored).
        code: Short stable name.
        text: One sentence for the user.
    """

    level: Level
    code: str
    text: str


def inspect_media(video: Path, audio: Path | None = None, *, limits: Limits = DEFAULT_LIMITS) -> list[Finding]:
    """Decodes a video (and the audio beside it) once and reports what is unusual; never raises for a bad file.

    Args:
        video: The video file.
        audio: The audio file beside it, if the audio is not inside.
        limits: What decoding may cost.

    Returns:
        The findings, worst first; a single ``ok`` when there is nothing to say.
    """
    try:
        found = scan(video, rate=DEFAULT_RATE, limits=limits)
        other = found if audio is None else scan(audio, video=False, rate=DEFAULT_RATE, limits=limits)
        seen, heard = found.info, other.info
        findings = [*_frame_findings(seen), *_audio_findings(other)]
        findings += _pair_findings(seen, heard, inside=audio is None)
        if audio is not None:
            findings += noted(heard.notes)
        if seen.has_video:
            findings += _content_findings(video, seen, limits)
    except ClipError as error:
        return [Finding(level="error", code=error.code, text=str(error).replace("\n  ", "; "))]
    if not findings:
        text = f"{seen.width}x{seen.height}, {seen.n_frames} frames at 25 fps with {DEFAULT_RATE} Hz mono audio"
        return [Finding(level="ok", code="ok", text=text)]
    order: list[Level] = ["error", "warning", "note", "ok"]
    return sorted(findings, key=lambda finding: order.index(finding.level))


def _frame_findings(info: MediaInfo) -> Iterator[Finding]:
    if not info.has_video:
        yield Finding(level="error", code="no_video", text="there is no video stream")
        return
    # Frames that an AVI leaves out are repeats, which have a finding of their own: its rate is constant.
    repeats = any(note.code == "repeated_frames" for note in info.notes)
    average = float((info.nominal_fps if repeats else info.average_fps) or 0)
    if info.is_vfr and not repeats:
        text = (
            f"variable frame rate: {average:.2f} fps on average, frames {info.interval_min * 1000:.0f} to "
            f"{info.interval_max * 1000:.0f} ms apart; resampled to 25 fps by nearest frame"
        )
        yield Finding(level="warning", code="vfr", text=text)
    elif abs(average - float(DEFAULT_FPS)) > 0.01:
        text = f"{average:.3f} fps instead of 25; frames are dropped or repeated, which SyncNet's numbers notice"
        yield Finding(level="warning", code="fps", text=text)
    if info.video_seconds * DEFAULT_FPS < SHORT_FRAMES:
        text = (
            f"{float(info.video_seconds):.2f} s: fewer than {SHORT_FRAMES} frames at 25 fps, too short for some metrics"
        )
        yield Finding(level="warning", code="short", text=text)
    if info.rotation:
        text = f"the file asks players to rotate it by {info.rotation} degrees; that is applied"
        yield Finding(level="note", code="rotated", text=text)
    if info.pixel_aspect != 1:
        text = f"pixels are not square ({info.pixel_aspect}); faces are measured as stored, that is distorted"
        yield Finding(level="warning", code="pixel_aspect", text=text)
    if info.width * info.height > HUGE_PIXELS:
        text = f"{info.width}x{info.height} pixels: decoding will be slow; consider cropping to the face"
        yield Finding(level="note", code="huge", text=text)
    if min(info.width, info.height) < SMALL_SIDE:
        text = f"{info.width}x{info.height} pixels: too small for reliable face metrics"
        yield Finding(level="warning", code="small", text=text)
    if info.n_video_streams > 1:
        text = f"{info.n_video_streams} video streams; the first is used"
        yield Finding(level="warning", code="several_video_streams", text=text)
    yield from noted(info.notes)
    size = (info.width, info.height)
    yield from noted(
        colour_notes(pixel_format=info.pixel_format, matrix=info.colour_matrix, transfer=info.transfer, size=size)
    )
    if info.is_interlaced:
        text = "interlaced frames; they are not deinterlaced, so moving edges look like combs"
        yield Finding(level="warning", code="interlaced", text=text)
    if is_gray(info.pixel_format):
        yield Finding(level="note", code="gray", text=f"frames without colour ({info.pixel_format})")


def noted(notes: Iterable[Note]) -> Iterator[Finding]:
    """Notes as findings: warnings, unless what they tell of is ordinary."""
    for note in notes:
        level: Level = "note" if note.code in ORDINARY_NOTES | ROUTINE else "warning"
        yield Finding(level=level, code=note.code, text=str(note))


def _content_findings(path: Path, info: MediaInfo, limits: Limits) -> Iterator[Finding]:
    """Findings that need the pixels: frames without colour, and frames that never change."""
    chroma = change = 0
    last: NDArray[np.int16] | None = None
    # Small frames suffice, and averaging removes coding noise.
    for piece in open_video(path, fps=CONTENT_FPS, size=CONTENT_SIZE, limits=limits).open():
        for frame in piece.astype(np.int16):
            chroma = max(chroma, int(np.ptp(frame, axis=2).max()))
            change = max(change, int(np.abs(frame - last).max())) if last is not None else 0
            last = frame
    if chroma <= GRAY_LEVELS and not is_gray(info.pixel_format):
        yield Finding(level="note", code="gray", text="the frames have no colour")
    if change <= STILL_LEVELS and info.n_frames > 1:
        text = "the frames do not change: a still, whose motion metrics are undefined"
        yield Finding(level="warning", code="still", text=text)


def _audio_findings(found: Scan) -> Iterator[Finding]:
    info = found.info
    if not info.has_audio:
        text = "there is no audio inside the video and none beside it"
        yield Finding(level="error", code=NoAudioError.code, text=text)
        return
    if info.audio_rate != DEFAULT_RATE:
        text = f"audio at {info.audio_rate} Hz; resampled to {DEFAULT_RATE} Hz"
        level: Level = "warning" if info.audio_rate < DEFAULT_RATE else "note"
        yield Finding(level=level, code="sample_rate", text=text)
    if info.channels > 1 and not (found.sample_facts and found.sample_facts.first_channel):
        yield Finding(level="note", code="channels", text=f"{info.channels} audio channels; their mean is used")
    if found.sample_facts is not None:
        yield from noted(sample_notes(found.sample_facts))
        silent = found.sample_facts.silent_share * float(info.audio_seconds)
        if found.sample_facts.peak >= SILENCE and silent > SILENT_SECONDS:
            text = f"{silent:.2f} s of the audio are digital silence"
            yield Finding(level="note", code="digital_silence", text=text)
    if info.n_audio_streams > 1:
        text = f"{info.n_audio_streams} audio streams; the first is used"
        yield Finding(level="warning", code="several_audio_streams", text=text)


def _pair_findings(seen: MediaInfo, audio: MediaInfo, *, inside: bool) -> Iterator[Finding]:
    if not (seen.has_video and audio.has_audio):
        return
    offset = audio.audio_start - seen.video_start if inside else Fraction(0)
    frame = 1 / DEFAULT_FPS
    if abs(offset) >= frame:
        side = "after" if offset > 0 else "before"
        text = f"audio starts {abs(float(offset)):.3f} s {side} the video; aligned by the file's own time stamps"
        yield Finding(level="note", code="audio_offset", text=text)
    difference = offset + audio.audio_seconds - seen.video_seconds
    if abs(difference) >= frame:
        longer, shorter = ("audio", "video") if difference > 0 else ("video", "audio")
        text = f"the {longer} ends {abs(float(difference)):.3f} s after the {shorter}; the common span is used"
        level: Level = "warning" if abs(difference) > Fraction(1, 2) else "note"
        yield Finding(level=level, code="durations", text=text)
    if not inside and not seen.has_audio:
        return
    if not inside:
        text = "there is audio inside the video too; the file beside it is used"
        yield Finding(level="note", code="two_audio_sources", text=text)
