"""Who is who: groups the clips of a manifest by face and writes the groups as identities, with a sheet to check."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emo_bench.data.carry_over import set_by
from emo_bench.data.faces_alike import FRAMES, SAME_PERSON, THUMBNAIL, ClipFace, FaceReader, groups_of, read_faces
from emo_bench.data.faces_alike import similarities as similarities_of
from emo_bench.data.manifest import read_manifest, write_manifest
from emo_bench.extract.weights import WeightsFinder
from emo_core.atomic import write_bytes
from emo_core.errors import ConfigError, DataError
from emo_core.progress import Display, Silent

DOUBTFUL = 0.1
"""Similarities this near the threshold are listed to be checked by eye."""

SHEET_COLUMNS = 10
CAPTION = 12
LABEL = 15
"""Letters of a caption."""


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Two clips whose similarity lies near the threshold.

    Attributes:
        first: A clip.
        second: Another.
        similarity: Cosine of their faces.
        together: Whether they are now one identity.
    """

    first: str
    second: str
    similarity: float
    together: bool


@dataclass(frozen=True, kw_only=True)
class Identified:
    """What was found.

    Attributes:
        manifest: Where the identities were written.
        sheet: The contact sheet: a row or more for each person.
        people: Identity -> clips, in order.
        faceless: Clip -> why it keeps the identity that it had.
        doubts: Pairs to check by eye, the nearest to the threshold first.
    """

    manifest: Path
    sheet: Path
    people: dict[str, tuple[str, ...]]
    faceless: dict[str, str]
    doubts: tuple[Doubt, ...]


def identify(
    path: Path,
    *,
    threshold: float = SAME_PERSON,
    output: Path | None = None,
    sheet: Path | None = None,
    weights: tuple[Path, ...] = (),
    display: Display | None = None,
) -> Identified:
    """Groups clips by face and writes the groups into the identity field of the manifest.

    Args:
        path: The manifest.
        threshold: Cosine similarity of faces from which clips are one person's (average linkage).
        output: Where to write; the manifest itself when absent. In the same folder, since paths start there.
        sheet: The contact sheet; ``<manifest>-identities.png`` when absent.
        weights: Folders of weight files.
        display: Shows progress.

    Raises:
        WeightsError: when the face networks are missing.
        DataError: when the manifest is wrong, or no clip shows a face.
        ConfigError: when ``output`` lies in another folder, or the threshold is no similarity.
    """
    display, target = display or Silent(), output or path
    if not 0 < threshold < 1:
        raise ConfigError("--threshold is out of range", expected="between 0 and 1", found=f"{threshold:g}")
    if target.parent.resolve() != path.parent.resolve():
        raise ConfigError(
            "the new manifest must lie beside the old one", expected=f"a file in {path.parent}", found=str(target)
        )
    manifest = read_manifest(path)
    reader = FaceReader(WeightsFinder(folders=weights))
    display.stage("identify", len(manifest.entries))
    faces: list[ClipFace] = []
    faceless: dict[str, str] = {}
    for entry, face, reason in read_faces(manifest, reader, manifest.entries, frames=FRAMES):
        display.step(entry.id)
        if face is None:
            faceless[entry.id] = reason
        else:
            faces.append(face)
    if not faces:
        raise DataError("no clip shows a face", expected="clips with one clearly visible face", found=str(path))
    groups = groups_of(faces, threshold)
    taken = {entry.identity for entry in manifest.entries if entry.id in faceless}
    names = _names(len(groups), taken)
    people = {name: tuple(faces[index].clip for index in members) for name, members in zip(names, groups, strict=True)}
    identity = {clip: name for name, clips in people.items() for clip in clips}
    # Other commands may have written the manifest meanwhile: only people are added, to the clips that were seen.
    seen = {entry.id: entry.listed for entry in manifest.entries if entry.id in identity}
    now = read_manifest(path).entries
    write_manifest(
        target,
        [
            set_by(entry, "identity", identity[entry.id], "data identify")
            if entry.listed == seen.get(entry.id)
            else entry
            for entry in now
        ],
    )
    picture = sheet or target.with_name(f"{target.stem}-identities.png")
    write_bytes(picture, contact_sheet(faces, groups, names))
    return Identified(
        manifest=target, sheet=picture, people=people, faceless=faceless, doubts=_doubts(faces, identity, threshold)
    )


def _names(count: int, taken: set[str]) -> list[str]:
    """Names of so many people that nobody has yet: person-001 and so on."""
    names: list[str] = []
    number = 0
    while len(names) < count:
        number += 1
        name = f"person-{number:03d}"
        if name not in taken:
            names.append(name)
    return names


def _doubts(faces: Sequence[ClipFace], identity: dict[str, str], threshold: float) -> tuple[Doubt, ...]:
    table = similarities_of(faces)
    found = [
        Doubt(
            first=faces[i].clip,
            second=faces[j].clip,
            similarity=float(table[i, j]),
            together=identity[faces[i].clip] == identity[faces[j].clip],
        )
        for i in range(len(faces))
        for j in range(i + 1, len(faces))
        if abs(table[i, j] - threshold) < DOUBTFUL
        or (table[i, j] >= threshold) != (identity[faces[i].clip] == identity[faces[j].clip])
    ]
    return tuple(sorted(found, key=lambda doubt: (abs(doubt.similarity - threshold), doubt.first, doubt.second)))


def contact_sheet(faces: Sequence[ClipFace], groups: Sequence[Sequence[int]], names: Sequence[str]) -> bytes:
    """A PNG with the faces of each person in rows, its name before them and the clip's id below each."""
    from PIL import Image, ImageDraw

    rows = [
        (name if start == 0 else "", members[start : start + SHEET_COLUMNS])
        for name, members in zip(names, groups, strict=True)
        for start in range(0, len(members), SHEET_COLUMNS)
    ]
    longest = max((len(members) for _, members in rows), default=0)
    height, width = len(rows) * (THUMBNAIL + CAPTION), (longest + 1) * THUMBNAIL
    page = Image.fromarray(np.full((height, width, 3), 255, np.uint8))
    draw = ImageDraw.Draw(page)
    for line, (name, members) in enumerate(rows):
        top = line * (THUMBNAIL + CAPTION)
        draw.text((4, top + THUMBNAIL // 2), name, fill=(0, 0, 0))
        for column, index in enumerate(members, start=1):
            page.paste(Image.fromarray(faces[index].picture), (column * THUMBNAIL, top))
            draw.text((column * THUMBNAIL + 2, top + THUMBNAIL), label_of(faces[index].clip), fill=(60, 60, 60))
    buffer = io.BytesIO()
    page.save(buffer, format="PNG")
    return buffer.getvalue()


def label_of(clip: str) -> str:
    """The end of a clip's id, as much as stands below its face; dots where the start is left out."""
    short = clip if len(clip) <= LABEL else f"..{clip[2 - LABEL :]}"
    return short.encode("ascii", "replace").decode()
