"""Pixels of any Pillow mode as 8-bit sRGB: scaled and colour-managed by stated rules, or refused with a reason."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from emo_bench.media.image_colour import StatedColours, to_srgb

SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")


DARK_SHARE = 1 / 8
"""16-bit pixels that stay below this share of white are noted: unscaled 10- and 12-bit values look like that."""

_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0


def is_negative(image: Any) -> bool:
    """Whether an opened TIFF counts from white to black and Pillow does not turn its pixels (it does so for 8 bits)."""
    stated = getattr(image, "tag_v2", {}).get(_PHOTOMETRIC)
    return bool(image.mode in (*SIXTEEN_BIT, "F") and stated == _WHITE_IS_ZERO)


def as_srgb(image: Any, notes: list[str], *, negative: bool = False, stated: StatedColours | None = None) -> Any:
    """An upright Pillow image as 8-bit sRGB over white.

    * 16-bit gray is scaled by 1/257; 16-bit colours come from Pillow with 8 bits.
    * 32-bit float must lie in [0, 1] and is scaled by 255. 32-bit integers have no defined white level and are refused.
    * A colour profile is converted to sRGB (perceptual); a damaged one is left out with a note. CMYK without a profile
      is refused, because its colours are not stated.
    * Transparency is composited over white.

    Args:
        image: From Pillow.
        notes: What was converted or assumed is added here.
        stated: Colours that the file states without a profile, see ``image_colour``; a profile takes precedence.
        negative: Whether 16-bit or float pixels count from white to black, see ``is_negative``.

    Raises:
        ValueError: the values cannot be brought to 8 bits without guessing.
    """
    from PIL import Image

    image = _eight_bit(image, notes, negative=negative)
    profile = image.info.get("icc_profile")
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    alpha = image.convert("RGBA").getchannel("A") if _has_alpha(image) else None
    colours = _converted(image, profile, notes)
    if stated is not None and not profile:
        colours = Image.fromarray(to_srgb(np.asarray(colours), stated), "RGB")
        notes.append(f"colours converted to sRGB from what the file states ({stated.name})")
    if alpha is None:
        return colours
    colours.putalpha(alpha)
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), colours).convert("RGB")


def _has_alpha(image: Any) -> bool:
    return image.mode in ("RGBA", "LA", "RGBa", "La") or "transparency" in image.info


def _eight_bit(image: Any, notes: list[str], *, negative: bool) -> Any:
    from PIL import Image

    if image.mode in SIXTEEN_BIT:
        values = np.asarray(image).astype(np.uint32)
        if negative:
            values = 65535 - values
        if values.max(initial=0) < 256:
            raise ValueError(
                f"16-bit pixels of at most {values.max(initial=0)}: not scaled to 16 bits; convert the image to 8"
            )
        if values.max(initial=0) < DARK_SHARE * 65535:
            notes.append(f"16-bit pixels of at most {values.max(initial=0)} of 65535: the image is dark")
        scaled = Image.fromarray(((values + 128) // 257).astype(np.uint8), "L")
    elif image.mode == "F":
        values = np.asarray(image)
        low, high = float(values.min(initial=0)), float(values.max(initial=0))
        if not (np.isfinite(values).all() and low >= 0 and high <= 1):
            raise ValueError(f"float pixels from {low:g} to {high:g}; only values from 0 to 1 are supported")
        values = 1 - values if negative else values
        scaled = Image.fromarray(np.round(values * 255).astype(np.uint8), "L")
    elif image.mode == "I":
        raise ValueError("32-bit integer pixels have no stated white; convert the image to 8 or 16 bits")
    else:
        return image
    scaled.info = {key: value for key, value in image.info.items() if key == "icc_profile"}
    return scaled


def _converted(image: Any, profile: bytes | None, notes: list[str]) -> Any:
    from PIL import ImageCms

    base = {"1": "L", "LA": "L", "La": "L", "RGBA": "RGB", "RGBa": "RGB"}.get(image.mode, image.mode)
    # A premultiplied image must be divided by its alpha before its colours are converted.
    plain = image.convert({"RGBa": "RGBA", "La": "LA"}.get(image.mode, image.mode)).convert(base)
    if not profile:
        if base == "CMYK":
            raise ValueError("CMYK pixels without a colour profile; convert the image to sRGB")
        if base not in ("L", "RGB", "YCbCr", "LAB", "HSV"):
            raise ValueError(f"pixels of the kind {image.mode} are not read")
        return plain.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if base == "L" and source.profile.xcolor_space.strip() == "RGB":  # a colour image that was made gray
            plain = plain.convert("RGB")
        name = str(ImageCms.getProfileDescription(source)).strip()
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(plain, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        if base == "CMYK":
            raise ValueError("CMYK pixels with a damaged colour profile; convert the image to sRGB") from error
        notes.append("the colour profile of the image is damaged: sRGB assumed")
        return plain.convert("RGB")
    if name and not name.lower().startswith("srgb"):
        notes.append(f"colours converted from the profile {name[:60]!r} to sRGB")
    return converted
