"""Whose face a clip shows, as a unit vector of the identity network of F-SIM, and which clips look alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emo_bench.data.manifest import Manifest, ManifestEntry
from emo_bench.extract.weights import WeightsFinder
from emo_bench.media.types import FrameArray
from emo_core.errors import ClipError, DataError

SAME_PERSON = 0.5
"""Cosine similarity from which two faces count as one person's; measured in docs/guide/identities.md."""

FRAMES = 4
"""Frames of a clip that are looked at, evenly over it."""

THUMBNAIL = 96


@dataclass(frozen=True, eq=False)
class ClipFace:
    """The face of a clip.

    Attributes:
        clip: Its id.
        vector: Unit vector ``float64 [d]``, the mean over frames.
        picture: The first face as ``uint8 RGB [96, 96, 3]``.
    """

    clip: str
    vector: NDArray[np.float64]
    picture: FrameArray


class FaceReader:
    """Reads faces with the networks of ``f-sim/mobilefacenet@1``.

    Args:
        weights: Finds them.

    Raises:
        WeightsError: when one is missing or has other bytes.
    """

    def __init__(self, weights: WeightsFinder) -> None:
        from emo_metrics.extractors.mobilefacenet import NETWORK_FILE, IdentityNetwork
        from emo_metrics.faces.finder import FACE_FILES, make_finder

        paths = {name: weights.require(name) for name in (NETWORK_FILE, *FACE_FILES)}
        self._network = IdentityNetwork(paths[NETWORK_FILE])
        self._finder = make_finder(paths)

    def read(self, clip: str, images: Iterable[FrameArray]) -> ClipFace | None:
        """The face of some frames of a clip, ``uint8 RGB [H, W, 3]`` each; None when none shows one."""
        from emo_metrics.faces.landmark_sets import five_points

        vectors, picture = [], None
        for image in images:
            face = self._finder.find(np.ascontiguousarray(image)).face
            if face is not None:
                vectors.append(self._network.embed(image, five_points(face.landmarks)).astype(np.float64))
                picture = _thumbnail(image, face.box) if picture is None else picture
        if picture is None:
            return None
        mean = np.mean(vectors, axis=0)
        return ClipFace(clip, mean / np.linalg.norm(mean), picture)


def clip_images(manifest: Manifest, entry: ManifestEntry, *, frames: int = FRAMES) -> Iterator[FrameArray]:
    """The portrait of a wild clip, or frames spread evenly over a video.

    Raises:
        ClipError: when the file cannot be read.
        DataError: when it lies outside the manifest's folder.
    """
    from emo_bench.media.decode import open_video
    from emo_bench.media.image import read_image

    if entry.portrait is not None:
        yield read_image(manifest.path(entry.portrait))
        return
    video = open_video(manifest.path(entry.files["video"]))
    wanted = set(np.linspace(0, video.spec.n_frames - 1, frames).round().astype(int).tolist())
    seen = 0
    for piece in video.open():
        yield from (piece[index - seen] for index in range(seen, seen + len(piece)) if index in wanted)
        seen += len(piece)


def read_faces(
    manifest: Manifest, reader: FaceReader, entries: Sequence[ManifestEntry], *, frames: int = FRAMES
) -> Iterator[tuple[ManifestEntry, ClipFace | None, str]]:
    """Each clip with its face, or None and the reason."""
    for entry in entries:
        try:
            face = reader.read(entry.id, clip_images(manifest, entry, frames=frames))
        except (ClipError, DataError) as error:
            yield entry, None, error.message
            continue
        yield entry, face, "" if face is not None else "no face was found"


def similarities(faces: Sequence[ClipFace]) -> NDArray[np.float64]:
    """Cosine similarity of every two faces, ``float64 [n, n]``."""
    vectors = np.array([face.vector for face in faces])
    return np.asarray(vectors @ vectors.T)


def groups_of(faces: Sequence[ClipFace], threshold: float) -> list[list[int]]:
    """Faces by person: average linkage, joined while the mean similarity of two groups is at least ``threshold``.

    Returns:
        Indices of each group, groups in order of their first face.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(faces) < 2:
        return [[index] for index in range(len(faces))]
    distances = np.clip(1 - similarities(faces), 0, 2)
    np.fill_diagonal(distances, 0)
    tree = linkage(squareform(distances, checks=False), method="average")
    labels = fcluster(tree, t=1 - threshold, criterion="distance")
    found: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        found.setdefault(int(label), []).append(index)
    return sorted(found.values())


def lookalikes(
    faces: Sequence[ClipFace], identities: Mapping[str, str], threshold: float = SAME_PERSON
) -> list[tuple[str, str, float]]:
    """Pairs of clips under different identities whose faces are at least so similar, the most similar first."""
    table = similarities(faces) if len(faces) else np.zeros((0, 0))
    found = [
        (faces[i].clip, faces[j].clip, float(table[i, j]))
        for i in range(len(faces))
        for j in range(i + 1, len(faces))
        if table[i, j] >= threshold and identities[faces[i].clip] != identities[faces[j].clip]
    ]
    return sorted(found, key=lambda pair: (-pair[2], pair[:2]))


def lookalike_notice(path: Path, entries: Sequence[ManifestEntry], weights: WeightsFinder) -> str:
    """A sentence on clips that are identities of their own and show one face; empty when there are none.

    Args:
        path: The manifest.
        entries: Its clips.
        weights: Finds the face networks; without them the sentence says that nothing was compared.
    """
    from emo_core.errors import WeightsError

    people = {entry.id: entry.identity for entry in entries}
    if len(entries) < 2 or len(set(people.values())) < len(entries):
        return ""
    try:
        reader = FaceReader(weights)
    except WeightsError:
        return (
            "every clip is an identity of its own, and faces were not compared: the weights of f-sim/mobilefacenet@1 "
            "are not here (emo-bench weights fetch --family open); `emo-bench data identify` groups clips by face"
        )
    manifest = Manifest(path.parent, entries)
    faces = [face for _, face, _ in read_faces(manifest, reader, manifest.entries, frames=1) if face is not None]
    pairs = lookalikes(faces, people)
    if not pairs:
        return ""
    first = f"{pairs[0][0]} and {pairs[0][1]} ({pairs[0][2]:.2f})"
    shown = "a pair of clips shows" if len(pairs) == 1 else f"{len(pairs)} pairs of clips show"
    return (
        f"every clip is an identity of its own, and {shown} faces alike, first {first}; "
        "intervals resample identities and would be too narrow: give --identity, or `emo-bench data identify`"
    )


def _thumbnail(image: FrameArray, box: NDArray[np.floating]) -> FrameArray:
    from PIL import Image

    left, top, right, bottom = (float(value) for value in box)
    side = 1.4 * max(right - left, bottom - top)
    x, y = (left + right) / 2, (top + bottom) / 2
    crop = Image.fromarray(image).crop(
        (round(x - side / 2), round(y - side / 2), round(x + side / 2), round(y + side / 2))
    )
    return np.asarray(crop.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC), np.uint8)
