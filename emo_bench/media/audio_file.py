"""The audio of a file alone, with the notes that it would have beside a video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emo_bench.media.audio_samples import sample_notes
from emo_bench.media.child import shown_name
from emo_bench.media.limits import DEFAULT_LIMITS, Limits
from emo_bench.media.notes import Note, distinct
from emo_bench.media.probe import Scan, scan
from emo_bench.media.types import Audio
from emo_core.errors import NoAudioError


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedAudio:
    """Audio alone.

    Attributes:
        audio: Mono, float32.
        notes: What was done to it or assumed about it; empty when nothing was.
    """

    audio: Audio
    notes: tuple[Note, ...]


def load_audio(path: Path, *, rate: int, limits: Limits = DEFAULT_LIMITS) -> LoadedAudio:
    """The audio of an audio or video file from its first sample on: mono, float32, resampled by soxr (HQ).

    Args:
        path: A regular file; symbolic links are followed, so resolve and check them before.
        rate: Samples per second of the result.
        limits: What it may cost.

    Raises:
        NoAudioError: the file has no audio stream.
        DecodeError: not a readable media file, damaged, or cut off.
        LimitError: a limit is exceeded.
    """
    found = scan(path, video=False, rate=rate, limits=limits)
    if found.audio is None:
        raise no_audio(path)
    notes = (*conversion_notes(found, rate=rate), *stream_notes(found), *found.info.notes, *quality_notes(found))
    return LoadedAudio(audio=found.audio, notes=distinct(notes))


def conversion_notes(found: Scan, *, rate: int) -> Iterator[Note]:
    """The note on another rate or number of channels than those asked for."""
    info = found.info
    if info.audio_rate != rate or info.channels != 1:
        shape = {1: "mono", 2: "stereo"}.get(info.channels, f"{info.channels} channels")
        text = f"audio converted from {info.audio_rate} Hz {shape} to {rate} Hz mono"
        yield Note("audio_converted", text, {"rate": info.audio_rate, "channels": info.channels})


def stream_notes(found: Scan) -> Iterator[Note]:
    """The note on audio streams that are not used."""
    if found.info.n_audio_streams > 1:
        yield Note("several_audio_streams", f"first of {found.info.n_audio_streams} audio streams used")


def quality_notes(found: Scan) -> tuple[Note, ...]:
    """Notes on the samples themselves."""
    return sample_notes(found.sample_facts) if found.sample_facts is not None else ()


def no_audio(path: Path) -> NoAudioError:
    """The error of a file without an audio stream."""
    return NoAudioError(
        f"{shown_name(path)} has no audio",
        expected="one audio stream",
        found="none",
        fix="name an audio file beside it",
    )
