"""The one family of errors that emo-bench raises on purpose, and the exit codes of its command line."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """What the process returns to the shell."""

    OK = 0
    GATE_FAILED = 1
    USAGE = 2
    INCOMPLETE = 3
    INTERRUPTED = 130


class EmoBenchError(Exception):
    """Base of all deliberate errors: says what is wrong, what was expected, what was found and what to do.

    Args:
        message: What is wrong, in one sentence.
        expected: What would have been right.
        found: What was there instead.
        fix: What the user can do about it.

    >>> print(EmoBenchError("no audio track", expected="one audio stream", found="none", fix="add a WAV beside it"))
    no audio track
      expected: one audio stream
      found:    none
      to do:    add a WAV beside it
    """

    code = "error"
    exit_code = ExitCode.USAGE

    def __init__(self, message: str, *, expected: str = "", found: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.found = found
        self.fix = fix

    def __str__(self) -> str:
        rows = [("expected:", self.expected), ("found:   ", self.found), ("to do:   ", self.fix)]
        return "\n".join([self.message, *(f"  {label} {text}" for label, text in rows if text)])

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions with keyword-only arguments do not survive pickling between processes by themselves.
        return (_rebuild, (type(self), self.message, self.expected, self.found, self.fix))


def _rebuild(kind: type[EmoBenchError], message: str, expected: str, found: str, fix: str) -> EmoBenchError:
    return kind(message, expected=expected, found=found, fix=fix)


def one_line(error: BaseException) -> str:
    """The text of an error as one line of at most 600 characters, for records: without the user's home folder."""
    parts = [line.strip() for line in without_home(str(error)).splitlines() if line.strip()]
    return "; ".join(parts)[:600]


def without_home(text: str) -> str:
    """A text in which ``~`` stands for the home folder, whose name is often its user's."""
    try:
        home = str(Path.home())
    except RuntimeError:
        return text
    if len(home) < 2:
        return text
    return re.sub(rf"(?<![\w/.-]){re.escape(home)}(?![\w.-])", "~", text)


class ConfigError(EmoBenchError):
    """A configuration file, an override or a command-line value is wrong."""

    code = "config"


class DataError(EmoBenchError):
    """A manifest or a data set is wrong as a whole (a single bad clip is a status, not an exception)."""

    code = "data"


class WeightsError(EmoBenchError):
    """A file of network weights is missing, has the wrong bytes, or is not allowed by the licence policy."""

    code = "weights"


class RecordError(EmoBenchError):
    """A run record cannot be read: damaged, or written by a newer version."""

    code = "record"


class ClipError(EmoBenchError):
    """One clip cannot be processed; becomes that clip's status and reason, and the run continues.

    The class attribute ``code`` of each subclass is the status that reports count.
    """

    code = "failed"
    exit_code = ExitCode.INCOMPLETE


class DecodeError(ClipError):
    """The bytes are not a readable video or audio file, or they are truncated."""

    code = "decode_error"


class LimitError(ClipError):
    """Decoding exceeded a stated limit of memory, time, frames or pixels."""

    code = "limit_exceeded"


class NoAudioError(ClipError):
    """There is no audio, neither inside the video nor beside it."""

    code = "no_audio"


class NoFaceError(ClipError):
    """No face was found where one is needed."""

    code = "no_face"


class TooShortError(ClipError):
    """The clip has fewer frames than the protocol can work with."""

    code = "too_short"


class GenerationError(ClipError):
    """A system did not produce the requested video."""

    code = "system_error"
