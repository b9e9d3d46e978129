"""Whether a file was cut off or damaged: compares its header, structure and checksums with what was decoded."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from emo_bench.media.audio_timeline import AudioTimeline
from emo_bench.media.notes import Note
from emo_bench.media.timeline import Timeline

DECLARES_DURATION = ("mov", "matroska", "wav", "flac")
"""Containers whose header states the duration of each stream; that of an AVI is adapted by the demuxer."""

MISSING_SECONDS = Fraction(1, 4)
"""A file may end this much earlier than its header says (a lost last packet, rounding); more is a truncated file."""


class DamagedError(Exception):
    """The file was cut off, or its container says that data are damaged."""


def check_end(facts: dict[str, Any], timeline: Timeline | None, audio: AudioTimeline | None) -> tuple[Note, ...]:
    """Notes about the end of a file.

    Args:
        facts: What the decoding process declared and measured.
        timeline: Of the frames, if they were decoded.
        audio: Of the audio, if it was decoded.

    Raises:
        DamagedError: more than ``MISSING_SECONDS`` are missing, or a checksum is wrong.
    """
    ends = {}
    if timeline is not None:
        ends["video"] = timeline.start + timeline.seconds
    if audio is not None:
        ends["audio"] = audio.start + audio.seconds
    where = f"after {len(timeline)} frames" if timeline is not None else f"after {float(ends.get('audio', 0)):.2f} s"
    if facts["container"].split(",")[0] in DECLARES_DURATION:
        for kind, decoded in ends.items():
            promised = facts[f"{kind}_end"]
            if promised and Fraction(*promised) - decoded > MISSING_SECONDS:
                raise DamagedError(_ended(where, f"the {kind}", decoded, Fraction(*promised)))
    _check_container(facts, ends, where)
    if facts["end"]["damaged"] is not None:
        raise DamagedError(f"the data from byte {facts['end']['damaged']} on are damaged (a checksum is wrong)")
    return _check_bytes(facts, ends, where)


def _check_container(facts: dict[str, Any], ends: dict[str, Fraction], where: str) -> None:
    """Matroska states one duration for all streams; it is comparable only when all of them were decoded."""
    every = facts["n_audio_streams"] + facts["n_video_streams"] == len(ends)
    if facts["container"] != "matroska,webm" or not facts["duration"] or not every:
        return
    promised, decoded = Fraction(*facts["duration"]), max(ends.values(), default=Fraction(0))
    if promised - decoded > MISSING_SECONDS:
        raise DamagedError(_ended(where, "the data", decoded, promised))


def _check_bytes(facts: dict[str, Any], ends: dict[str, Fraction], where: str) -> tuple[Note, ...]:
    end = facts["end"]
    if end["trailing"]:
        text = f"{end['trailing']} bytes after the end of the file (another file, perhaps) are not read"
        return (Note("trailing_data", text, {"bytes": end["trailing"]}),)
    if end["header_damaged"]:
        return (Note("damaged_header", "a checksum in the description is wrong: changed or damaged"),)
    if end["broken"] and facts["container"] == "ogg":
        raise DamagedError(f"{where} the file ends in the middle of a page: it was cut off")
    if end["broken"]:
        return (Note("cut_frame", "the last frame is incomplete: the file may have been cut off"),)
    if end["open"]:
        return (Note("no_end_mark", "the end-of-stream mark is missing: the file may have been cut off"),)
    if not end["missing"]:
        return ()
    text = f"the file ends {end['missing']} bytes before what it promises"
    decoded = max(ends.values(), default=Fraction(0))
    lost = decoded * end["missing"] / max(1, end["total"])
    if facts["container"] == "avi" and "video" in ends and facts["video_frames"]:
        lost = facts["video_frames"] * Fraction(*facts["time_base"]) - ends["video"]
    if lost > MISSING_SECONDS:
        raise DamagedError(f"{where} {text} (about {float(lost):.2f} s): it was cut off")
    return (Note("short_file", text, {"bytes": end["missing"]}),)


def _ended(where: str, what: str, decoded: Fraction, promised: Fraction) -> str:
    return (
        f"{where} {what} ends at {float(decoded):.2f} s, but the header promises {float(promised):.2f} s: "
        "the file was cut off"
    )
