"""Where the frames of a video can be read again, as plain values: a stored file, a user's file, or a change of one.

A recipe costs a few hundred bytes where a lossless copy costs megabytes. ``systems.recipes`` reads it with the code
that made the video, so its frames are the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator

from emo_bench.config.schema import Frozen, rate_from_text
from emo_bench.media.types import Video

ObjectName = Annotated[str, Field(pattern=r"^[0-9a-f]{64}(\.[a-z0-9]{1,8})?$")]
"""SHA-256 of a stored file's bytes, and its ending."""


class LosslessFrames(Frozen):
    """All frames of a lossless clip in the store.

    Attributes:
        name: The stored file.
    """

    kind: Literal["lossless"] = "lossless"
    name: ObjectName


class EncodedFrames(Frozen):
    """All frames of an H.264 file that the project wrote, as it decodes them.

    Attributes:
        name: The stored file; empty while it is not stored.
        path: The file until it is stored.
        width: In pixels, without padding.
        height: In pixels.
        fps: Exact rate as a fraction in text.
        n_frames: Number of frames.
    """

    kind: Literal["encoded"] = "encoded"
    name: ObjectName | Literal[""] = ""
    path: str = ""
    width: int
    height: int
    fps: str
    n_frames: int


class FileFrames(Frozen):
    """Chosen frames of a video file of any origin, decoded in the limited child process.

    Attributes:
        path: Absolute path; of no meaning once the file is stored under ``name``.
        sha256: Of its bytes.
        name: The stored copy; empty when the file is read in place.
        runs: Indices of the frames to show, as (first index, how many follow each other).
        width: Of the decoded frames before they are turned, in pixels.
        height: As ``width``.
        turns: Counter-clockwise quarter turns that make them upright.
        mirror: Whether left and right are exchanged after turning.
        fps: Exact rate of the result as a fraction in text.
        source_pixels: Pixels of a frame in the file.
    """

    kind: Literal["file"] = "file"
    path: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    name: ObjectName | Literal[""] = ""
    runs: tuple[tuple[int, int], ...]
    width: int
    height: int
    turns: int = Field(ge=0, le=3)
    mirror: bool
    fps: str
    source_pixels: int

    @field_validator("fps")
    @classmethod
    def _is_a_rate(cls, value: str) -> str:
        if rate_from_text(value) == 0:
            raise ValueError("expected frames per second")
        return value

    @property
    def n_decoded(self) -> int:
        """How many frames of the file a reading decodes: all up to the last one that is shown."""
        return max((first + count for first, count in self.runs), default=0)


class OtherLength(Frozen):
    """Another video, cut, or lengthened by holding its last frame or by playing it forth and back.

    Attributes:
        of: The other video.
        how: What is done to it.
        n_frames: Frames of the result.
    """

    kind: Literal["length"] = "length"
    of: Recipe
    how: Literal["fit", "hold"]
    n_frames: int


class OtherSize(Frozen):
    """Another video, resized.

    Attributes:
        of: The other video.
        width: Of the result in pixels.
        height: Of the result in pixels.
        crop: Whether it is cut to the aspect ratio first.
    """

    kind: Literal["size"] = "size"
    of: Recipe
    width: int
    height: int
    crop: bool


class NoFrames(Frozen):
    """Frames that were deleted after everything had been computed from them."""

    kind: Literal["none"] = "none"


Leaf = LosslessFrames | EncodedFrames | FileFrames | NoFrames
Recipe = Annotated[
    LosslessFrames | EncodedFrames | FileFrames | NoFrames | OtherLength | OtherSize, Field(discriminator="kind")
]

OtherLength.model_rebuild()
OtherSize.model_rebuild()


def leaf_of(recipe: Recipe) -> Leaf:
    """The file that a recipe starts from."""
    while isinstance(recipe, (OtherLength, OtherSize)):
        recipe = recipe.of
    return recipe


def object_of(recipe: Recipe) -> str:
    """Name of the stored file that a recipe starts from; empty when there is none."""
    leaf = leaf_of(recipe)
    return "" if isinstance(leaf, NoFrames) else leaf.name


def with_leaf(recipe: Recipe, leaf: Leaf) -> Recipe:
    """The same recipe from another file."""
    if isinstance(recipe, (OtherLength, OtherSize)):
        return recipe.model_copy(update={"of": with_leaf(recipe.of, leaf)})
    return leaf


def derived(video: Video, change: Callable[[Recipe], Recipe]) -> Callable[[], Recipe] | None:
    """How to describe what is made from a video; None when the video itself cannot be described."""
    describe = video.recipe
    return None if describe is None else lambda: change(describe())


def runs_of(indices: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Runs of indices that follow each other.

    >>> runs_of([0, 1, 2, 2, 3, 7])
    ((0, 3), (2, 2), (7, 1))
    """
    runs: list[tuple[int, int]] = []
    for index in indices:
        if runs and index == sum(runs[-1]):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((index, 1))
    return tuple(runs)


def indices_of(runs: Sequence[tuple[int, int]]) -> Iterator[int]:
    """The indices again.

    >>> list(indices_of([(0, 3), (2, 2)]))
    [0, 1, 2, 2, 3]
    """
    for first, count in runs:
        yield from range(first, first + count)
