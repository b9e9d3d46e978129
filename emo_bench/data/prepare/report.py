"""What a preparation made and what it could not make, each with a code that is counted and a reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from emo_bench.data.manifest import ManifestEntry
from emo_core.errors import ClipError


@dataclass(frozen=True, order=True)
class Problem:
    """Something that is wrong with one line, video or clip.

    Attributes:
        code: One word that reports count, for example 'missing_video' or 'no_audio'.
        name: The line, video or clip.
        reason: What was expected, what was found.
    """

    code: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.code}: {self.name}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class PrepareReport:
    """What a preparation did.

    Attributes:
        manifest: The manifest's path.
        entries: Its clips.
        made: Clips written now.
        kept: Clips that an earlier run had finished, with the right bytes.
        problems: Everything that is missing or wrong, in order of code and name.
        notes: What was done to the material that a user should know, one sentence each.
        seconds: Duration of all clips.
        n_bytes: Size of all clips.
    """

    manifest: Path
    entries: tuple[ManifestEntry, ...]
    made: int
    kept: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    n_bytes: int = 0

    @property
    def identities(self) -> int:
        """Number of different identities."""
        return len({entry.identity for entry in self.entries})

    def counts(self) -> dict[str, int]:
        """How often each code occurs, in order of the codes."""
        return dict(sorted(Counter(problem.code for problem in self.problems).items()))

    def summary(self) -> str:
        """One line: clips, identities, size, and what is wrong, counted."""
        told = ", ".join(f"{count} {code}" for code, count in self.counts().items()) or "nothing missing"
        clips = f"{len(self.entries)} clips ({self.made} made, {self.kept} kept)"
        size = f"{self.seconds / 60:.1f} min, {self.n_bytes / 1e6:.1f} MB"
        return f"{self.manifest}: {clips} of {self.identities} identities, {size}; {told}"


def problem_of(error: ClipError, name: str) -> Problem:
    """A clip's failure in one line."""
    return Problem(error.code, name, "; ".join(str(error).split("\n  ")))
