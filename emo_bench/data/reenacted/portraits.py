"""Stills that can be made to move: read, judged, cropped to their face, or left out with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emo_bench.data.naming import clip_id
from emo_bench.data.reenacted.faces import FaceReader
from emo_bench.data.reenacted.motion import Points, lip_gap
from emo_bench.data.reenacted.tables import path_below, table_rows
from emo_core.errors import ClipError, DataError, NoFaceError
from emo_core.hashing import sha256_file

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True, kw_only=True)
class PortraitRules:
    """Which stills are left out.

    Attributes:
        most_yaw: Degrees to either side.
        most_pitch: Degrees up or down.
        widest_mouth: Gap between the lips over the height of the face; a narrower one is closed by the warp.
        least_scale: Side of the crop in the source over the side of the clip; below it the clip would be blurred.
    """

    most_yaw: float = 25.0
    most_pitch: float = 25.0
    widest_mouth: float = 0.04
    least_scale: float = 0.5


class UnfitPortraitError(ClipError):
    """A still that is left out."""

    code = "unfit_portrait"


@dataclass(frozen=True, eq=False)
class Portrait:
    """A still with its face.

    Attributes:
        id: Path below the folder as a clip's id.
        image: ``uint8 RGB [H, W, 3]``.
        points: ``[478, 3]`` pixels.
        rotation: ``[3, 3]`` of the head; MediaPipe's axes.
        translation: ``[3]`` centimetres.
        lip_gap: Gap between the lips over the height of the face.
    """

    id: str
    image: NDArray[np.uint8]
    points: Points
    rotation: Points
    translation: Points
    lip_gap: float


@dataclass(frozen=True, eq=False)
class Crop:
    """A square around the face, at the clip's size.

    Attributes:
        image: ``uint8 RGB [S, S, 3]``.
        points: ``[478, 3]`` pixels of it.
        window: Left, top, side in the source.
    """

    image: NDArray[np.uint8]
    points: Points
    window: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Still:
    """An image that may become a portrait.

    Attributes:
        id: Path as a clip's id.
        path: The file.
        style: Photograph, painting, engraving ...; empty when not told.
        licence: As the source says; empty when not told.
    """

    id: str
    path: Path
    style: str = ""
    licence: str = ""


def read_stills(source: Path) -> dict[str, Still]:
    """Images below a folder by id, or those of a table.

    A table is a ``.csv`` with the column ``file`` (below the table's folder) and, if it has them, ``medium``
    and ``licence``.

    Raises:
        DataError: when there is nothing, or two images have one id.
    """
    if source.suffix.lower() == ".csv":
        listed = _listed_stills(source)
    elif source.is_dir():
        paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in EXTENSIONS)
        inside = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(source).parts)]
        listed = [Still(id=clip_id(path.relative_to(source)), path=path) for path in inside]
    else:
        raise DataError(f"no folder {source}", expected="a folder of portraits, or a table of them (.csv)")
    found: dict[str, Still] = {}
    for still in listed:
        if still.id in found:
            raise DataError(
                f"two portraits have the id {still.id!r}", expected="one", found=f"{found[still.id].path}, {still.path}"
            )
        found[still.id] = still
    if not found:
        raise DataError(f"no portraits in {source}", expected=", ".join(sorted(EXTENSIONS)), found="none")
    return found


def _listed_stills(table: Path) -> list[Still]:
    return [
        Still(
            id=clip_id(Path(row["file"])),
            path=path_below(table, row["file"]),
            style=row.get("medium") or "",
            licence=row.get("licence") or "",
        )
        for row in table_rows(table, of="a table of portraits (.csv)")
    ]


def open_portrait(name: str, path: Path, faces: FaceReader, rules: PortraitRules) -> Portrait:
    """Reads a still and judges it.

    Raises:
        DecodeError: when it is no image.
        NoFaceError: when it shows no face.
        UnfitPortraitError: when it breaks a rule.
    """
    from emo_bench.media.image import read_image
    from emo_metrics.faces.rotation import pose_degrees

    image = read_image(path)
    tracks = faces.tracks(image[None], digest=sha256_file(path))
    if not tracks.valid[0]:
        raise NoFaceError(f"no face in {name}", expected="one face", found="none")
    points = tracks.points[0]
    yaw, pitch, _ = pose_degrees(tracks.rotation[0])
    gap = float(lip_gap(points)) / face_height(points)
    checks = [
        (tracks.faces_seen[0] <= 1, "one face", f"{tracks.faces_seen[0]} faces"),
        (abs(yaw) <= rules.most_yaw, f"a turn of at most {rules.most_yaw:g} degrees", f"{yaw:.0f}"),
        (abs(pitch) <= rules.most_pitch, f"a tilt of at most {rules.most_pitch:g} degrees", f"{pitch:.0f}"),
        (gap <= rules.widest_mouth, f"lips at most {rules.widest_mouth:g} of the face's height apart", f"{gap:.3f}"),
    ]
    for fine, expected, found in checks:
        if not fine:
            raise UnfitPortraitError(f"portrait {name} is left out", expected=expected, found=found)
    return Portrait(name, image, points, tracks.rotation[0], tracks.translation[0], gap)


def face_height(points: Points) -> float:
    """Height of the face from forehead to chin, in the unit of the points."""
    return float(np.linalg.norm(points[10, :2] - points[152, :2]))


def crop_side(portrait: Portrait, *, size: int, framing: float, rules: PortraitRules) -> int:
    """Side of the square around the face in pixels of the source, at most the image's shorter side.

    Raises:
        UnfitPortraitError: when it would have to be enlarged too much.
    """
    height, width = portrait.image.shape[:2]
    side: int = min(round(framing * face_height(portrait.points)), height, width)
    if side < rules.least_scale * size:
        raise UnfitPortraitError(
            f"portrait {portrait.id} is too small",
            expected=f"a square of at least {rules.least_scale * size:.0f} pixels around the face",
            found=f"{side}",
        )
    return side


def crop_portrait(
    portrait: Portrait, *, size: int, framing: float, offset: tuple[float, float], rules: PortraitRules
) -> Crop:
    """A square of ``framing`` times the face's height around the face, as far as the image goes.

    Args:
        portrait: The still.
        size: Side of the result.
        framing: Side of the square over the height of the face.
        offset: Shift of the square, right and down, over the height of the face.
        rules: The least scale.

    Raises:
        UnfitPortraitError: when the square would have to be enlarged too much.
    """
    import cv2

    height, width = portrait.image.shape[:2]
    face = face_height(portrait.points)
    side = crop_side(portrait, size=size, framing=framing, rules=rules)
    middle = (portrait.points[10, :2] + portrait.points[152, :2]) / 2 + np.array([0.0, -0.04 * face])
    corner = middle + np.array(offset) * face - side / 2
    left = int(np.clip(round(float(corner[0])), 0, width - side))
    top = int(np.clip(round(float(corner[1])), 0, height - side))
    part = np.ascontiguousarray(portrait.image[top : top + side, left : left + side])
    how = cv2.INTER_AREA if side >= size else cv2.INTER_CUBIC
    image = np.asarray(cv2.resize(part, (size, size), interpolation=how), np.uint8)
    points = (portrait.points - np.array([left, top, 0.0])) * size / side
    return Crop(image, points, (left, top, side))
