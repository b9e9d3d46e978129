"""Known damage to a clip in steps of known strength: a registry of small pure functions of images and audio.

Every function is lazy: it returns a video that is read piece by piece, whatever the length of the clip. Draws depend on
the clip and the kind of damage but not on the level, so that a higher level is the same accident made worse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from emo_bench.media.types import Audio, Video
from emo_core.errors import ClipError, ConfigError
from emo_core.registry import Registry

if TYPE_CHECKING:
    import numpy as np

Box = tuple[float, float, float, float]
Draw = Callable[[], "np.random.Generator"]
"""Makes the generator of this clip and kind of damage, from its start each time."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Original:
    """What a distortion is applied to.

    Attributes:
        video: The ground truth.
        audio: Its audio.
        face_box: Left, top, right, bottom of the face in pixels, for distortions that declare ``needs_face``.
        partner: Another person's video of the same size and length, for those that declare ``needs_partner``.
        draw: The only source of randomness.
    """

    video: Video
    audio: Audio
    draw: Draw
    face_box: Box | None = None
    partner: Video | None = None

    @property
    def face(self) -> Box:
        """The face box.

        Raises:
            ClipError: when nobody knows it.
        """
        if self.face_box is None:
            raise ClipError("no face box is known", expected="one in the manifest", found="none")
        return self.face_box

    @property
    def stranger(self) -> Video:
        """The other person's video.

        Raises:
            ClipError: when the set has only one person.
        """
        if self.partner is None:
            raise ClipError("there is no second identity", expected="at least two in the set", found="one")
        return self.partner


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """One kind of damage with its severity levels.

    Attributes:
        name: Key in the registry.
        title: Column header.
        unit: Unit of the level in words.
        levels: From the mildest to the worst.
        change_video: From original and level to the damaged images; None leaves them as they are.
        change_audio: The same for the audio.
        anchor: The anchor that this kind of damage leads to; metrics declare their blindness in those words.
        needs_face: Whether it must know where the face is.
        needs_partner: Whether it shows another person.
        most: The largest level that means anything, such as 1 for a share.
        whole: Whether levels between whole numbers would be rounded.
        version: Raised whenever the same level could give other frames or samples.
    """

    name: str
    title: str
    unit: str
    levels: tuple[float, ...]
    change_video: Callable[[Original, float], Video] | None = None
    change_audio: Callable[[Original, float], Audio] | None = None
    anchor: str = ""
    needs_face: bool = False
    needs_partner: bool = False
    most: float = math.inf
    whole: bool = False
    version: int = 1


@dataclass(frozen=True, kw_only=True)
class Corruption:
    """A distortion with the levels that were asked for."""

    distortion: Distortion
    levels: tuple[float, ...]

    @property
    def name(self) -> str:
        """Name of the distortion."""
        return self.distortion.name

    def system(self, level: float) -> str:
        """What a level is called where systems have names."""
        return f"{self.name}@{level:g}"


distortions: Registry[Distortion] = Registry("distortion", entry_point_group="emo_bench.distortions")
for _name, _target in {
    "blur": "emo_bench.audit.damaged_frames:BLUR",
    "noise": "emo_bench.audit.damaged_frames:NOISE",
    "compression": "emo_bench.audit.damaged_frames:COMPRESSION",
    "frozen": "emo_bench.audit.damaged_time:FROZEN",
    "jitter": "emo_bench.audit.damaged_time:JITTER",
    "audio-late": "emo_bench.audit.damaged_audio:LATE",
    "audio-early": "emo_bench.audit.damaged_audio:EARLY",
    "mouth-warp": "emo_bench.audit.damaged_faces:MOUTH_WARP",
    "mouth-jitter": "emo_bench.audit.damaged_faces:MOUTH_JITTER",
    "identity-swap": "emo_bench.audit.damaged_faces:IDENTITY_SWAP",
    "creeping-blur": "emo_bench.audit.damaged_gradually:CREEPING_BLUR",
    "creeping-colour": "emo_bench.audit.damaged_gradually:CREEPING_COLOUR",
    "segment-colour": "emo_bench.audit.damaged_gradually:SEGMENT_COLOUR",
}.items():
    distortions.add(_name, _target)

STANDARD_ORDER = (
    "blur", "noise", "compression", "frozen", "jitter", "mouth-warp", "mouth-jitter", "identity-swap",
    "audio-late", "audio-early", "creeping-blur", "creeping-colour", "segment-colour",
)  # fmt: skip
"""Columns of the table: images, time, face, audio, drift; those of other packages come after them."""


def chosen_corruptions(names: Sequence[str] = (), levels: Sequence[str] = ()) -> tuple[Corruption, ...]:
    """The corruptions of an audit.

    Args:
        names: Distortions; all registered ones when empty.
        levels: Other levels than the usual ones, as ``blur=0.5,1,2``.

    Raises:
        ConfigError: for unknown names, repeated names, and levels that are no positive numbers, do not rise, mean
            nothing to the distortion, or cannot be told apart by six digits.
    """
    rank = {name: place for place, name in enumerate(STANDARD_ORDER)}
    chosen = list(names) or sorted(distortions.names(), key=lambda name: (rank.get(name, len(rank)), name))
    if len(set(chosen)) != len(chosen):
        raise ConfigError("a distortion is named twice", expected="each name once", found=", ".join(chosen))
    given = [_read_levels(text) for text in levels]
    other = dict(given)
    if len(other) < len(given):
        raise ConfigError("the levels of a distortion are given twice", expected="one list each, as blur=0.5,1,2")
    for name in other:
        if name not in chosen:
            distortions.target(name)  # says which names there are
            raise ConfigError(f"levels are given for {name!r}, which is not part of this audit")
    made = [distortions.get(name) for name in chosen]
    for kind in made:
        _check_levels(kind, other.get(kind.name, kind.levels))
    return tuple(Corruption(distortion=kind, levels=other.get(kind.name, kind.levels)) for kind in made)


def _check_levels(kind: Distortion, levels: tuple[float, ...]) -> None:
    """Two levels that show the same would look like a metric that does not tell them apart."""
    if levels[-1] > kind.most or (kind.whole and any(level != round(level) for level in levels)):
        numbers = "whole numbers" if kind.whole else "numbers"
        upto = f" of at most {kind.most:g}" if math.isfinite(kind.most) else ""
        raise ConfigError(
            f"{kind.name} has no such levels ({kind.unit})",
            expected=f"{numbers}{upto}",
            found=", ".join(f"{level:g}" for level in levels),
        )
    if len({f"{level:g}" for level in levels}) < len(levels):
        raise ConfigError(
            f"levels of {kind.name} are too close to each other", expected="levels that differ within six digits"
        )


def _read_levels(text: str) -> tuple[str, tuple[float, ...]]:
    name, _, numbers = text.partition("=")
    try:
        values = tuple(float(part) for part in numbers.split(","))
    except ValueError:
        values = ()
    rising = all(a < b for a, b in pairwise(values))
    if not values or not rising or not all(math.isfinite(value) and value > 0 for value in values):
        raise ConfigError(
            f"{text!r} gives no levels", expected="rising positive numbers, for example blur=0.5,1,2", found=numbers
        )
    return name, values
