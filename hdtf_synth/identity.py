"""Who is seen: an identity is a point in a space of continuous parameters plus a few kinds (style, hair, clothes)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from hdtf_synth.exact import Draws

Colour = tuple[float, float, float]

STYLES = ("photo", "painting", "anime", "sketch", "cg")
HAIR_KINDS = ("bald", "buzz", "short", "parted", "spiky", "bob", "long", "wavy", "curly", "bun")
CLOTHES_KINDS = ("tee", "shirt", "suit", "hoodie", "turtleneck", "vneck")
BACKGROUND_KINDS = ("studio", "bokeh", "window", "gradient", "wall", "shelf")
GLASSES_KINDS = ("none", "round", "square")
BEARD_KINDS = ("none", "stubble", "moustache", "goatee", "full")

_SKIN_TONES: tuple[Colour, ...] = (
    (0.96, 0.80, 0.70),
    (0.93, 0.74, 0.61),
    (0.87, 0.67, 0.52),
    (0.78, 0.56, 0.41),
    (0.62, 0.42, 0.30),
    (0.50, 0.34, 0.25),
    (0.42, 0.28, 0.21),
)
_NATURAL_HAIR: tuple[Colour, ...] = (
    (0.07, 0.06, 0.07),
    (0.14, 0.09, 0.07),
    (0.26, 0.16, 0.10),
    (0.40, 0.26, 0.15),
    (0.62, 0.45, 0.25),
    (0.80, 0.66, 0.42),
    (0.52, 0.22, 0.10),
    (0.62, 0.61, 0.60),
)
_FANTASY_HAIR: tuple[Colour, ...] = (
    (0.16, 0.17, 0.30),
    (0.86, 0.42, 0.55),
    (0.28, 0.48, 0.78),
    (0.35, 0.64, 0.55),
    (0.93, 0.78, 0.45),
    (0.58, 0.38, 0.70),
    (0.78, 0.30, 0.24),
    (0.80, 0.82, 0.88),
    (0.30, 0.18, 0.14),
)
_EYE_COLOURS: tuple[Colour, ...] = (
    (0.26, 0.15, 0.08),
    (0.36, 0.22, 0.11),
    (0.34, 0.33, 0.16),
    (0.25, 0.42, 0.30),
    (0.28, 0.45, 0.62),
    (0.42, 0.50, 0.55),
)
_VIVID_EYES: tuple[Colour, ...] = (
    (0.62, 0.30, 0.14),
    (0.20, 0.52, 0.76),
    (0.22, 0.62, 0.40),
    (0.52, 0.32, 0.72),
    (0.76, 0.26, 0.30),
    (0.72, 0.55, 0.16),
)
_CLOTH_COLOURS: tuple[Colour, ...] = (
    (0.15, 0.18, 0.26),
    (0.24, 0.25, 0.28),
    (0.55, 0.16, 0.18),
    (0.20, 0.36, 0.36),
    (0.84, 0.82, 0.78),
    (0.30, 0.42, 0.62),
    (0.72, 0.56, 0.30),
    (0.42, 0.28, 0.42),
    (0.36, 0.44, 0.30),
    (0.80, 0.50, 0.46),
)
_WALL_COLOURS: tuple[Colour, ...] = (
    (0.62, 0.66, 0.70),
    (0.72, 0.66, 0.58),
    (0.46, 0.54, 0.60),
    (0.50, 0.58, 0.50),
    (0.70, 0.60, 0.62),
    (0.34, 0.38, 0.46),
    (0.58, 0.52, 0.62),
    (0.78, 0.76, 0.72),
)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """One person; lengths are in head units (1 = half of the head's height), colours are RGB in [0, 1].

    Attributes:
        index: Which identity this is; everything else follows from it.
        name: ``person-`` and three digits.
        style: One of ``STYLES``.
        width: Half-width of the head.
        depth: Half-depth of the head.
        jaw: Extra width at the jaw; negative is a narrow jaw.
        cheek: Extra width at the cheekbones.
        temple: Extra width at the temples.
        chin: Strength of the chin's relief.
        skin: Skin colour.
        flush: Redness of cheeks and nose.
        freckles: Strength of freckles.
        age: 0 young to 1 old: lines and hollows.
        eye_x: Distance of each eye from the middle.
        eye_y: Height of the eyes, downwards from the head's centre.
        eye_width: Half-width of an eye.
        eye_open: Opening of the eye relative to its half-width.
        eye_tilt: Slant of the eyes; positive lifts the outer corner.
        eye_colour: Iris colour.
        lashes: Strength of the lashes.
        brow_y: Distance of the brows above the eyes.
        brow_thick: Thickness of the brows.
        brow_arch: Arch of the brows.
        brow_tilt: Slant of the brows.
        nose_width: Half-width of the nose at its wings.
        nose_length: Height of the nose's tip, downwards from the head's centre.
        nose_height: How far the nose stands out.
        mouth_y: Height of the mouth, downwards from the head's centre.
        mouth_width: Half-width of the mouth at rest.
        lip_upper: Thickness of the upper lip.
        lip_lower: Thickness of the lower lip.
        lip_bow: Depth of the cupid's bow.
        lip_colour: Colour of the lips.
        hair: One of ``HAIR_KINDS``.
        hair_colour: Colour of hair and brows.
        hair_line: Height of the hairline, downwards from the head's centre.
        hair_part: Where the hair parts, across the head.
        hair_volume: How far the hair stands off the skull.
        hair_seed: Seed of strands and locks.
        beard: One of ``BEARD_KINDS``.
        glasses: One of ``GLASSES_KINDS``.
        glasses_colour: Colour of the frame.
        clothes: One of ``CLOTHES_KINDS``.
        cloth_colour: Main colour of the clothes.
        cloth_accent: Colour of shirt, tie or cord.
        shoulders: Width of the shoulders relative to the usual.
        neck: Half-width of the neck.
        background: One of ``BACKGROUND_KINDS``.
        wall_colour: Main colour of the background.
        light_x: Where the key light comes from: -1 left to 1 right.
        light_y: How high the key light stands.
        warmth: Colour of the key light: -1 cool to 1 warm.
        liveliness: How much this person moves the head and the face.
    """

    index: int
    name: str
    style: str
    width: float
    depth: float
    jaw: float
    cheek: float
    temple: float
    chin: float
    skin: Colour
    flush: float
    freckles: float
    age: float
    eye_x: float
    eye_y: float
    eye_width: float
    eye_open: float
    eye_tilt: float
    eye_colour: Colour
    lashes: float
    brow_y: float
    brow_thick: float
    brow_arch: float
    brow_tilt: float
    nose_width: float
    nose_length: float
    nose_height: float
    mouth_y: float
    mouth_width: float
    lip_upper: float
    lip_lower: float
    lip_bow: float
    lip_colour: Colour
    hair: str
    hair_colour: Colour
    hair_line: float
    hair_part: float
    hair_volume: float
    hair_seed: int
    beard: str
    glasses: str
    glasses_colour: Colour
    clothes: str
    cloth_colour: Colour
    cloth_accent: Colour
    shoulders: float
    neck: float
    background: str
    wall_colour: Colour
    light_x: float
    light_y: float
    warmth: float
    liveliness: float


def blend(a: Colour, b: Colour, t: float) -> Colour:
    """The colour between ``a`` (t = 0) and ``b`` (t = 1)."""
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t)


@lru_cache(maxsize=512)
def identity_from_seed(index: int) -> Identity:
    """The identity number ``index``: the same on every machine, different from every other index.

    >>> identity_from_seed(7).name, identity_from_seed(7) == identity_from_seed(7)
    ('person-007', True)
    """
    draws = Draws(f"identity/{index}")
    style = STYLES[index % len(STYLES)]
    drawn = style in ("anime", "cg")
    soft = draws.uniform("soft")  # 0: angular and heavy-boned, 1: soft and fine-boned; only correlates the rest
    place = draws.uniform("skin") * (0.75 if style == "anime" else 1.0)
    skin = _skin(draws, style, place)
    # Fair hair and eyes go with fair skin.
    tones, irises = (3, 2) if place > 0.42 else (len(_NATURAL_HAIR) - 1, len(_EYE_COLOURS))
    hair = _hair(draws, soft, style)
    bearded = soft < 0.45 and style != "anime" and draws.chance("bearded", 0.6)
    natural = _NATURAL_HAIR[-1] if draws.chance("grey", 0.12) else draws.choice("hair colour", _NATURAL_HAIR[:tones])
    hair_colour = draws.choice("fantasy hair", _FANTASY_HAIR) if style == "anime" else natural
    eye_scale = {"anime": 1.34, "cg": 1.22}.get(style, 1.0)
    return Identity(
        index=index,
        name=f"person-{index:03d}",
        style=style,
        width=draws.around("width", 0.735, 0.06),
        depth=draws.around("depth", 0.84, 0.05),
        jaw=draws.around("jaw", 0.06 - 0.12 * soft, 0.09) - (0.06 if style == "anime" else 0.0),
        cheek=draws.around("cheek", 0.02, 0.05),
        temple=draws.around("temple", 0.0, 0.05),
        chin=draws.around("chin", 1.0, 0.5),
        skin=skin,
        flush=draws.between("flush", 0.1, 0.55),
        freckles=draws.between("freckles", 0.3, 1.0) if draws.chance("freckled", 0.2) else 0.0,
        age=draws.uniform("age") * draws.uniform("age again") * (0.3 if drawn else 1.0),
        eye_x=draws.around("eye x", 0.305, 0.028) + (0.01 if drawn else 0.0),
        eye_y=draws.around("eye y", 0.0, 0.05) + {"anime": 0.12, "cg": 0.05}.get(style, 0.0),
        eye_width=draws.around("eye width", 0.166, 0.018) * eye_scale,
        eye_open=draws.around("eye open", 0.52 + 0.08 * soft, 0.12) * {"anime": 1.42, "cg": 1.3}.get(style, 1.0),
        eye_tilt=draws.around("eye tilt", 0.06, 0.14),
        eye_colour=draws.choice("eye colour", _VIVID_EYES if style == "anime" else _EYE_COLOURS[:irises]),
        lashes=draws.between("lashes", 0.2, 0.5) + 0.5 * soft,
        brow_y=draws.around("brow y", 0.242, 0.03) + (0.05 if style == "anime" else 0.0),
        brow_thick=draws.around("brow thick", 0.045 - 0.015 * soft, 0.014),
        brow_arch=draws.around("brow arch", 0.058, 0.03),
        brow_tilt=draws.around("brow tilt", -0.01, 0.08),
        nose_width=draws.around("nose width", 0.15 - 0.02 * soft, 0.03),
        nose_length=draws.around("nose length", 0.34, 0.04),
        nose_height=draws.around("nose height", 0.18, 0.05),
        mouth_y=draws.around("mouth y", 0.585, 0.03),
        mouth_width=draws.around("mouth width", 0.275, 0.03) * (0.86 if style == "anime" else 1.0),
        lip_upper=draws.around("lip upper", 0.052 + 0.012 * soft, 0.02),
        lip_lower=draws.around("lip lower", 0.075 + 0.018 * soft, 0.025),
        lip_bow=draws.between("lip bow", 0.2, 0.7),
        lip_colour=_lips(draws, skin, soft),
        hair=hair,
        hair_colour=hair_colour,
        hair_line=draws.around("hair line", -0.54, 0.08),
        hair_part=draws.between("hair part", -0.4, 0.4),
        hair_volume=draws.between("hair volume", 0.07, 0.13),
        hair_seed=draws.integer("hair seed") & 0xFFFF,
        beard=draws.choice("beard", BEARD_KINDS[1:]) if bearded else "none",
        glasses=draws.choice("glasses kind", GLASSES_KINDS[1:]) if draws.chance("glasses", 0.24) else "none",
        glasses_colour=draws.choice("frame", ((0.08, 0.08, 0.09), (0.28, 0.15, 0.09), (0.62, 0.50, 0.30))),
        clothes=draws.choice("clothes", CLOTHES_KINDS),
        cloth_colour=blend(draws.choice("cloth", _CLOTH_COLOURS), draws.choice("cloth 2", _CLOTH_COLOURS), 0.2),
        cloth_accent=draws.choice("accent", _CLOTH_COLOURS),
        shoulders=draws.around("shoulders", 1.05 - 0.12 * soft, 0.1),
        neck=draws.around("neck", 0.42 - 0.08 * soft, 0.04) * (0.85 if style == "anime" else 1.0),
        background=draws.choice("background", BACKGROUND_KINDS),
        wall_colour=blend(draws.choice("wall", _WALL_COLOURS), draws.choice("wall 2", _WALL_COLOURS), 0.35),
        light_x=draws.between("light side", 0.3, 0.75) * (1.0 if draws.chance("light right", 0.5) else -1.0),
        light_y=draws.between("light y", 0.35, 0.75),
        warmth=draws.between("warmth", -0.6, 1.0),
        liveliness=draws.between("liveliness", 0.5, 1.7),
    )


def _skin(draws: Draws, style: str, share: float) -> Colour:
    place = share * (len(_SKIN_TONES) - 1.001)
    low = int(place)
    base = blend(_SKIN_TONES[low], _SKIN_TONES[low + 1], place - low)
    warm = draws.between("skin warmth", -0.02, 0.02)
    lift = 0.04 if style in ("anime", "cg") else 0.0
    return (min(base[0] + warm + lift, 0.99), base[1] + 0.5 * lift, base[2] - warm + 0.5 * lift)


def _hair(draws: Draws, soft: float, style: str) -> str:
    if style == "anime" and soft <= 0.55:
        return draws.choice("anime hair", ("spiky", "short", "spiky", "parted", "curly"))
    if soft > 0.55:
        return draws.choice("long hair", ("bob", "long", "wavy", "bun", "parted", "curly", "long", "wavy", "bob"))
    return draws.choice("short hair", ("short", "parted", "spiky", "buzz", "bald", "short", "curly", "short", "parted"))


def _lips(draws: Draws, skin: Colour, soft: float) -> Colour:
    natural = (skin[0] * 0.86, skin[1] * 0.58, skin[2] * 0.58)
    painted = draws.choice("lipstick", ((0.70, 0.20, 0.24), (0.78, 0.36, 0.38), (0.56, 0.18, 0.26)))
    return blend(natural, painted, 0.55 if soft > 0.6 and draws.chance("painted lips", 0.5) else 0.1)
