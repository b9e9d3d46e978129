"""The voices: an espeak-ng language and variant with its pitch; each belongs to one split only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Voice:
    """One speaker.

    Attributes:
        name: Unique; language and a word.
        language: BCP 47 tag.
        espeak: Name of the voice and variant in espeak-ng.
        pitch: espeak-ng's pitch, 0 to 99.
        pitch_range: espeak-ng's range of intonation, 0 to 99.
        high: Whether it is a high voice (matched with faces without beards).
    """

    name: str
    language: str
    espeak: str
    pitch: int
    pitch_range: int
    high: bool


def _voice(name: str, language: str, espeak: str, pitch: int, pitch_range: int) -> Voice:
    return Voice(name, language, espeak, pitch, pitch_range, "+f" in espeak or pitch >= 62)


VOICES: dict[str, tuple[Voice, ...]] = {
    "train": (
        _voice("en-ash", "en-US", "en-us+m3", 38, 55),
        _voice("en-birch", "en-US", "en-us+f2", 60, 60),
        _voice("en-cedar", "en-GB", "en-gb-x-rp+m1", 44, 60),
        _voice("en-dahlia", "en-GB", "en-gb-x-rp+f5", 66, 65),
        _voice("en-elm", "en-US", "en-us+m7", 26, 45),
        _voice("de-fichte", "de", "de+m2", 40, 55),
        _voice("de-ginster", "de", "de+f3", 60, 60),
        _voice("zh-he", "zh", "cmn+f1", 60, 50),
        _voice("zh-shan", "zh", "cmn+m4", 40, 50),
        _voice("ja-momo", "ja", "ja+f4", 66, 55),
        _voice("ja-sugi", "ja", "ja+m5", 42, 50),
        _voice("fr-orme", "fr", "fr+m3", 46, 60),
        _voice("fr-rose", "fr", "fr+f2", 64, 60),
        _voice("es-pino", "es", "es+m1", 40, 60),
    ),
    "validation": (
        _voice("en-fir", "en-US", "en-us+m6", 48, 60),
        _voice("en-heather", "en-GB", "en-gb-x-rp+f1", 62, 55),
        _voice("de-iris", "de", "de+f5", 68, 60),
        _voice("zh-lan", "zh", "cmn+m2", 36, 50),
        _voice("ja-ume", "ja", "ja+f2", 62, 55),
    ),
    "test": (
        _voice("en-juniper", "en-US", "en-us+f4", 58, 60),
        _voice("en-larch", "en-GB", "en-gb-x-rp+m2", 36, 60),
        _voice("en-maple", "en-US", "en-us+m8", 46, 55),
        _voice("de-nelke", "de", "de+f1", 64, 60),
        _voice("de-ulme", "de", "de+m6", 34, 55),
        _voice("zh-mei", "zh", "cmn+f3", 64, 50),
        _voice("ja-take", "ja", "ja+m3", 38, 50),
        _voice("fr-tulipe", "fr", "fr+f4", 60, 60),
    ),
    "mini": (
        _voice("en-oak", "en-US", "en-us+m2", 40, 60),
        _voice("en-poppy", "en-GB", "en-gb-x-rp+f3", 62, 60),
        _voice("de-quitte", "de", "de+m3", 44, 55),
        _voice("zh-song", "zh", "cmn+f5", 60, 50),
        _voice("ja-yuri", "ja", "ja+f1", 64, 55),
        _voice("es-rama", "es", "es+f2", 60, 60),
    ),
    "offsets": (
        _voice("en-spruce", "en-US", "en-us+m4", 42, 60),
        _voice("en-violet", "en-GB", "en-gb-x-rp+f2", 64, 60),
    ),
}
"""Voices of each split; no voice is in two."""
