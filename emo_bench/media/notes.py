"""Notes on a file or clip: a sentence with a stable code and the amounts in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

ROUTINE = frozenset(
    {
        *("audio_converted", "audio_longer", "video_longer", "frame_rate", "variable_rate", "matrix_assumed"),
        *("resized", "rotated", "audio_offset"),
    }
)
"""Codes of routine corrections; shortened lists name the others first."""


class Note(str):
    """One correction, assumption or small damage: a sentence for the reader that also carries what it is about.

    It is a string, so that systems may pass plain sentences where notes are expected.

    Attributes:
        code: Short stable name, equal for equal kinds of notes.
        amounts: The numbers in the sentence, by name.
    """

    code: str
    amounts: Mapping[str, float]
    __slots__ = ("amounts", "code")

    def __new__(cls, code: str, text: str, amounts: Mapping[str, float] | None = None) -> Note:
        """A note of that code which reads ``text``."""
        note = super().__new__(cls, text)
        note.code = code
        note.amounts = dict(amounts or {})
        return note

    def __reduce__(self) -> tuple[Any, ...]:
        """Keeps code and amounts when a note travels between processes."""
        return (Note, (self.code, str(self), dict(self.amounts)))


def code_of(note: str) -> str:
    """The code of a note; ``other`` for a plain sentence."""
    return note.code if isinstance(note, Note) else "other"


def amounts_of(note: str) -> dict[str, float]:
    """The numbers of a note; none for a plain sentence."""
    return dict(note.amounts) if isinstance(note, Note) else {}


def distinct(notes: Iterable[Note]) -> tuple[Note, ...]:
    """The notes in their order, each sentence once."""
    return tuple({str(note): note for note in notes}.values())


def most_telling(notes: Iterable[tuple[str, str, str]], *, at_most: int) -> tuple[list[str], int]:
    """The notes of many clips in few lines: what is out of the ordinary first, then what concerns most clips.

    Args:
        notes: Triples of code, sentence and clip.
        at_most: Largest number of lines.

    Returns:
        A line for each kind of note, with its first sentence and the number of its clips, and how many kinds are left
        out. Where the sentences differ, the line says so.

    >>> most_telling([("resized", "resized", "a"), ("silent", "silent", "a"), ("resized", "resized", "b")], at_most=1)
    (['silent (1 clip: a)'], 1)
    >>> most_telling([("resized", "8 -> 4", "a"), ("resized", "6 -> 4", "b")], at_most=1)
    (['for example: 8 -> 4 (2 clips: a, b)'], 0)
    """
    kinds: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for code, text, clip in notes:
        texts, clips = kinds.setdefault(code, ({}, {}))
        texts[text] = clips[clip] = None
    order = sorted(kinds, key=lambda code: (code in ROUTINE, -len(kinds[code][1]), code))
    return [_line(*kinds[code]) for code in order[:at_most]], max(0, len(order) - at_most)


def _line(texts: Mapping[str, None], clips: Mapping[str, None]) -> str:
    count = "1 clip" if len(clips) == 1 else f"{len(clips)} clips"
    text = next(iter(texts)) if len(texts) == 1 else f"for example: {next(iter(texts))}"
    return f"{text} ({count}: {', '.join(list(clips)[:2])}{', ...' if len(clips) > 2 else ''})"
