"""Which clips there are: their split, identity, recording and audio offset."""

from __future__ import annotations

from dataclasses import dataclass

from hdtf_synth.identity import STYLES

SLICES = ("mini", "train", "validation", "test", "offsets")
N_IDENTITIES = 200
SECONDS = {"mini": 2, "train": 3, "validation": 3, "test": 3, "offsets": 3}
COUNTS = {"mini": 12, "train": 400, "validation": 40, "test": 60, "offsets": 10}
OFFSETS = (-10, -7, -5, -3, -1, 1, 3, 5, 7, 10)
"""Audio offsets of the ten clips of ``offsets``, in frames: positive means that the sound comes late."""

_GROUPS = N_IDENTITIES // len(STYLES)
_TEST_GROUPS = tuple(group for group in range(_GROUPS) if group % 10 == 9)
_VALIDATION_GROUPS = tuple(group for group in range(_GROUPS) if group % 20 == 4)


@dataclass(frozen=True)
class ClipPlan:
    """One clip to make.

    Attributes:
        id: Name of the clip.
        slice: Which part of the set it belongs to; also its split in the manifest.
        number: Place within the slice.
        identity: Index of the identity.
        offset: By how many frames the sound comes late.
    """

    id: str
    slice: str
    number: int
    identity: int
    offset: int = 0


def identities_of(split: str) -> tuple[int, ...]:
    """Indices of the identities of a split; ``mini`` and ``offsets`` show people of the test split.

    >>> set(identities_of("train")) & set(identities_of("test"))
    set()
    >>> len(identities_of("test")) / N_IDENTITIES
    0.1
    """
    chosen = _TEST_GROUPS
    if split == "validation":
        chosen = _VALIDATION_GROUPS
    elif split == "train":
        chosen = tuple(g for g in range(_GROUPS) if g not in _TEST_GROUPS and g not in _VALIDATION_GROUPS)
    return tuple(group * len(STYLES) + k for group in chosen for k in range(len(STYLES)))


def clips_of(name: str) -> tuple[ClipPlan, ...]:
    """The clips of a slice, or of the whole set for ``all``."""
    if name == "all":
        return tuple(clip for part in SLICES for clip in clips_of(part))
    people = identities_of(name)
    return tuple(
        ClipPlan(
            id=f"{name}-{number:03d}",
            slice=name,
            number=number,
            identity=people[number % len(people)],
            offset=OFFSETS[number] if name == "offsets" else 0,
        )
        for number in range(COUNTS[name])
    )
