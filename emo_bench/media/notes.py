"""What was done to, or should be known of, a file or clip: a sentence with a stable code and the amounts in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Note(str):
    """One correction, assumption or small damage: a sentence for the reader that also carries what it is about.

    It is a string, so that systems may give plain sentences where notes are asked for.

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
