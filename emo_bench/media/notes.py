"""What was done to, or should be known of, a file or clip: a stable code, a sentence, and the amounts in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Note:
    """One correction, assumption or small damage.

    Attributes:
        code: Short stable name, equal for equal kinds of notes.
        text: One sentence for the reader; what ``str()`` gives.
        amounts: The numbers in the sentence, by name.
    """

    code: str
    text: str
    amounts: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text


def distinct(notes: Iterable[Note]) -> tuple[Note, ...]:
    """The notes in their order, each sentence once."""
    return tuple({note.text: note for note in notes}.values())
