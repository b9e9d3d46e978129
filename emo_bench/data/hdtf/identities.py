"""Who is seen in HDTF's videos, and the identity-disjoint test split: a tenth of the people, chosen by digest.

The paper of EMO names neither its identities nor its list. Ours: the names as published without the digits that number
a person's videos (radio hosts, who are only numbered, each count as one), one pair joined that is the same man; of
these the tenth with the smallest ``SHA-256("seed|identity")``.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from emo_core.errors import DataError
from emo_core.hashing import sha256_bytes

RADIO = "RD"
SEED = 0
SHARE = 0.1
LIST_NAME = "test_identities.txt"
SAME_PERSON = {"WhipJimClyburn": "JamesClyburn"}
"""Names as published -> the name of the same person elsewhere."""


def identity_of(part: str, name: str) -> str:
    """The person of a video.

    >>> identity_of("WDA", "AdamSchiff"), identity_of("WRA", "JohnKasich3"), identity_of("RD", "Radio11")
    ('AdamSchiff', 'JohnKasich', 'Radio11')
    """
    if part == RADIO:
        return name
    person = name.rstrip("0123456789") or name
    return SAME_PERSON.get(person, person)


def draw(identity: str, *, seed: int = SEED) -> str:
    """The digest that decides: hex SHA-256 of ``seed|identity``."""
    return sha256_bytes(f"{seed}|{identity}".encode())


def choose_test_identities(identities: Iterable[str], *, seed: int = SEED, share: float = SHARE) -> list[str]:
    """The identities with the smallest digests, in order of their names.

    Args:
        identities: All of them; doubles count once.
        seed: Another seed gives another choice.
        share: Of all identities; rounded, at least one.

    >>> choose_test_identities(["a", "b", "c", "d"], share=0.5)
    ['a', 'c']
    """
    ranked = sorted(set(identities), key=lambda identity: draw(identity, seed=seed))
    return sorted(ranked[: max(1, round(len(ranked) * share))])


def read_test_identities(path: Path | None = None) -> frozenset[str]:
    """A list of identities, one a line; lines that begin with '#' are remarks.

    Args:
        path: Another list than the committed one.

    Raises:
        DataError: when it is missing or empty.
    """
    try:
        source = path if path is not None else files("emo_bench.data.hdtf") / LIST_NAME
        text = source.read_text(encoding="utf-8")
        text = text.removeprefix("\ufeff")  # editors put it there; it would be part of the first name
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the list of test identities {path} cannot be read", found=str(error)) from None
    lines = (line.strip() for line in text.splitlines())
    names = frozenset(line for line in lines if line and not line.startswith("#"))
    if not names:
        raise DataError(f"the list of test identities {path} is empty", expected="one identity a line")
    return names


def list_text(identities: Iterable[str], *, seed: int = SEED, share: float = SHARE) -> str:
    """The committed list: remarks that tell how it came about, then the names."""
    everyone = set(identities)
    chosen = choose_test_identities(everyone, seed=seed, share=share)
    largest = max(draw(identity, seed=seed) for identity in chosen)
    head = [
        "# HDTF, test split: identities with the smallest SHA-256 of 'seed|identity' (emo_bench.data.hdtf.identities).",
        f"# seed: {seed}",
        f"# share: {share}",
        f"# identities in all: {len(everyone)}",
        f"# largest digest chosen: {largest}",
    ]
    return "\n".join([*head, *chosen]) + "\n"


def main() -> None:
    """Prints the list for a folder of annotation files: ``python -m emo_bench.data.hdtf.identities FOLDER``."""
    import sys

    from emo_bench.data.hdtf.annotations import read_annotations

    videos = read_annotations(Path(sys.argv[1])).videos
    sys.stdout.write(list_text(identity_of(video.part, video.name) for video in videos))


if __name__ == "__main__":
    main()
