"""From phonemes (IPA, as espeak-ng names them) to mouth shapes that look alike on the lips: visemes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Viseme:
    """What the mouth aims at during a sound; all in [0, 1].

    Attributes:
        name: Short name.
        jaw: Lowering of the jaw.
        stretch: Corners outwards.
        pucker: Lips narrow and forward.
        funnel: Lips open and round.
        press: Lips closed firmly.
        tuck: Lower lip under the upper teeth.
        tongue: Tip of the tongue up.
        upper: Upper lip raised.
        lower: Lower lip lowered.
        weight: How strongly the sound insists on its shape against its neighbours.
    """

    name: str
    jaw: float = 0.0
    stretch: float = 0.0
    pucker: float = 0.0
    funnel: float = 0.0
    press: float = 0.0
    tuck: float = 0.0
    tongue: float = 0.0
    upper: float = 0.0
    lower: float = 0.0
    weight: float = 1.0


VISEMES = (
    Viseme("sil", weight=0.55),
    Viseme("pp", press=1.0, jaw=0.02, weight=3.0),
    Viseme("ff", tuck=1.0, jaw=0.10, upper=0.35, weight=2.4),
    Viseme("th", jaw=0.20, tongue=0.75, stretch=0.10, lower=0.2, weight=1.2),
    Viseme("dd", jaw=0.20, tongue=0.85, stretch=0.12, lower=0.15, weight=0.9),
    Viseme("kk", jaw=0.28, stretch=0.08, lower=0.1, weight=0.6),
    Viseme("ch", jaw=0.16, funnel=0.65, pucker=0.35, upper=0.35, lower=0.3, weight=1.6),
    Viseme("ss", jaw=0.08, stretch=0.38, upper=0.30, lower=0.45, weight=1.5),
    Viseme("nn", jaw=0.20, tongue=0.80, stretch=0.10, weight=0.8),
    Viseme("rr", jaw=0.22, funnel=0.35, pucker=0.25, tongue=0.2, weight=0.9),
    Viseme("ww", jaw=0.08, pucker=0.95, weight=2.0),
    Viseme("aa", jaw=0.95, stretch=0.08, upper=0.15, lower=0.25, weight=1.5),
    Viseme("ae", jaw=0.72, stretch=0.42, upper=0.25, lower=0.35, weight=1.4),
    Viseme("eh", jaw=0.48, stretch=0.40, upper=0.15, lower=0.30, weight=1.2),
    Viseme("ih", jaw=0.24, stretch=0.70, upper=0.15, lower=0.35, weight=1.2),
    Viseme("uh", jaw=0.38, stretch=0.05, lower=0.10, weight=0.7),
    Viseme("oh", jaw=0.58, funnel=0.80, pucker=0.30, weight=1.5),
    Viseme("ou", jaw=0.22, funnel=0.35, pucker=0.95, weight=1.7),
)
"""All visemes; the index into this tuple is what the truth files store. Order never changes."""

VISEME_NAMES = tuple(viseme.name for viseme in VISEMES)

_SOUNDS = {
    "pp": "p b m ʙ ph",
    "ff": "f v ʋ ɱ pf",
    "th": "θ ð",
    "dd": "t d th ɾ ʈ ɖ l ɫ ɬ ɭ ʎ",
    "kk": "k ɡ g ŋ x χ h ɦ ʔ q ɣ ʁ ç c ʝ ħ ʕ ɢ kh",
    "ch": "ʃ ʒ tʃ dʒ ʂ ʐ tʂ ɕ ʑ tɕ dʑ tɕh ɻ",
    "ss": "s z ts dz tsh",
    "nn": "n ɲ ɳ ɴ",
    "rr": "ɹ r ɚ ɝ ʀ ɽ ɺ",
    "ww": "w ɥ ʍ",
    "aa": "a ä ɑ ɐ ʌ ɒ",
    "ae": "æ",
    "eh": "e ɛ e̞ ɜ ø œ",
    "ih": "i ɪ j ᵻ ɨ ʲ y.i",
    "uh": "ə ɘ ɵ ɤ",
    "oh": "o ɔ o̞",
    "ou": "u ʊ ɯ y ʏ ʉ",
}
_OF_SOUND = {sound: name for name, sounds in _SOUNDS.items() for sound in sounds.split()}
_MARKS = "ˈˌːˑ̩̯̃ʰ̪ᵝ̊̈̚.ʼ-1234567890"


def viseme_index(name: str) -> int:
    """The index of a viseme in ``VISEMES``."""
    return VISEME_NAMES.index(name)


def visemes_of(phoneme: str) -> list[str]:
    """Names of the visemes of a phoneme, in order; two for a diphthong; ``["sil"]`` for a pause.

    >>> visemes_of("ˈaɪ"), visemes_of("b"), visemes_of(""), visemes_of("tʃ")
    (['aa', 'ih'], ['pp'], ['sil'], ['ch'])
    """
    plain = "".join(c for c in phoneme if c not in _MARKS)
    if not plain or plain.startswith(("(", "_")):
        return ["sil"]
    found: list[str] = []
    place = 0
    while place < len(plain):
        for length in (3, 2, 1):
            name = _OF_SOUND.get(plain[place : place + length])
            if name is not None and len(plain[place : place + length]) == min(length, len(plain) - place):
                if not found or found[-1] != name:
                    found.append(name)
                place += length
                break
        else:
            place += 1
    return found or ["uh"]
