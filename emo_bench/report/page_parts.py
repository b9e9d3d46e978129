"""Parts of a section that only a page can show: players, and clips ranked by one value at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RankedClips:
    """The worst and best clips of a system.

    Attributes:
        system: The system.
        worst: (clip, number), worst first.
        best: (clip, number), best first.
    """

    system: str
    worst: tuple[tuple[str, str], ...]
    best: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Ranking:
    """Worst and best clips by one value.

    Attributes:
        label: The value.
        rule: How clips are ordered.
        protocol: Protocol of the value.
        systems: One for each system.
    """

    label: str
    rule: str
    protocol: str
    systems: tuple[RankedClips, ...]


@dataclass(frozen=True)
class Rankings:
    """Worst and best clips, of which a page shows one value at a time; on a page only."""

    items: tuple[Ranking, ...]


@dataclass(frozen=True)
class Tile:
    """The place of one system's video among the players of a clip.

    Attributes:
        system: The system.
        anchor: Whether it is an anchor.
        video: Index of its video, or None.
        reason: Why there is none.
    """

    system: str
    anchor: bool
    video: int | None
    reason: str


@dataclass(frozen=True)
class PlayedClip:
    """A clip that can be played.

    Attributes:
        name: The clip.
        identity: The person.
        tiles: One for each system.
    """

    name: str
    identity: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Players:
    """Videos side by side; on a page only.

    Attributes:
        clips: What can be played.
        videos: MP4 files.
        fps: Frames per second, for single steps.
    """

    clips: tuple[PlayedClip, ...]
    videos: tuple[bytes, ...]
    fps: float
