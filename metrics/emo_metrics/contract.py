"""What a metric is: frames go in, features are kept, numbers with a protocol name come out.

Two kinds of parts:

* an **extractor** turns the frames (and the audio) of one clip into arrays. Frames arrive in order, in pieces of a few
  dozen, always ``uint8 RGB [t, H, W, 3]``; nothing here ever guesses a range. Memory must not grow with the length of
  the clip beyond the features themselves.
* a **metric** is a pure function of the stored arrays, in float64. It is either per clip or over the whole set.

Both carry a name and a version; together they fix a protocol such as ``f-sim/mobilefacenet@1``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

FrameArray = NDArray[np.uint8]
"""Frames as ``uint8 [t, H, W, 3]``, RGB order."""

Arrays = Mapping[str, NDArray[np.generic]]
"""The features of one extractor for one clip; arrays with one row a frame have the frame axis first."""


class Direction(StrEnum):
    """Which way a value improves."""

    HIGHER = "higher"
    LOWER = "lower"
    CLOSER_TO_GT = "closer_to_gt"


class Family(StrEnum):
    """What the weights of a protocol allow: the paper's own files, open files for real faces, or the embedded ones."""

    REFERENCE = "reference"
    OPEN = "open"
    SYNTH = "synth"


class Granularity(StrEnum):
    """Whether a value exists for each clip or only for a whole set."""

    CLIP = "clip"
    SET = "set"


class Need(StrEnum):
    """What a protocol reads besides the generated frames."""

    REFERENCE_IMAGE = "reference_image"
    GROUND_TRUTH = "ground_truth"
    AUDIO = "audio"
    TRUTH = "truth"


class Unscored(Exception):  # noqa: N818 - it is an outcome, not a failure of the program
    """This clip or set has no value under this protocol; carries the status that reports count.

    Args:
        status: One of the status words: ``no_face``, ``too_short``, ``no_audio``, ``missing_weights``, ``too_few``,
            ``undefined``, ``not_applicable``.
        reason: One sentence for the user.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return (Unscored, (self.status, self.reason))


@dataclass(frozen=True, kw_only=True)
class ValueSpec:
    """One number that a protocol yields.

    Attributes:
        key: Short name within the protocol, for example ``f-sim`` or ``lse-c``.
        label: Column header, for example ``F-SIM``.
        direction: Which way it improves.
        unit: Unit in words, or empty.
        decimals: Digits after the point in tables.
        primary: Whether it belongs in the main table.
    """

    key: str
    label: str
    direction: Direction
    unit: str = ""
    decimals: int = 3
    primary: bool = True


@dataclass(frozen=True)
class TableGroup:
    """A table of the report.

    Attributes:
        key: Short name for files and anchors.
        title: Its headline.
    """

    key: str
    title: str


MAIN_RESULTS = TableGroup("main", "Main results")
"""Its values that are not primary stand under "Further values"; other groups hold all values of their protocols."""
HEAD_MOTION = TableGroup("motion", "Head motion")
BLINKS = TableGroup("blinks", "Blinks")
PICTURE_QUALITY = TableGroup("quality", "Picture quality without a reference")
DRIFT = TableGroup("drift", "Drift over time")

AFTER_THE_PAPER = 100
"""Place of the columns that EMO's Table 1 does not have."""


@dataclass(frozen=True, kw_only=True)
class ProtocolSpec:
    """Name and declared properties of a protocol.

    Attributes:
        name: ``metric/variant@version``; printed beside every number, and numbers of different names are never ranked.
        title: One line for lists.
        family: See ``Family``.
        granularity: See ``Granularity``.
        values: What it yields.
        extractors: Names of the extractors whose arrays it reads.
        needs: What it reads besides the generated frames.
        reads_audio_video_sync: Whether it can tell shifted or exchanged audio from the right one.
        blind_to: Anchors that it cannot tell from the ground truth by its nature (``other_identity``, ``frozen`` ...);
            the audio anchors are implied when ``reads_audio_video_sync`` is false.
        minimum_samples: Fewer samples (frames or windows) over the set than this are refused.
        source: Paper, equation or reference file that defines the number.
        page: Name of its page in docs/protocols, without ``.md``; empty for plug-ins, which document themselves.
        group: The table of the report that it stands in.
        order: Place of its columns there: smaller first, equal ones as the suite lists them. EMO's Table 1 has 10 to
            50, what people's votes agree with 60 to 69, what other papers print 70 to 90, and the rest follows.
    """

    name: str
    title: str
    family: Family
    granularity: Granularity
    values: tuple[ValueSpec, ...]
    extractors: tuple[str, ...]
    needs: frozenset[Need] = frozenset()
    reads_audio_video_sync: bool = False
    blind_to: frozenset[str] = frozenset()
    minimum_samples: int = 1
    source: str = ""
    page: str = ""
    group: TableGroup = MAIN_RESULTS
    order: int = AFTER_THE_PAPER


@dataclass(frozen=True, kw_only=True)
class ClipInputs:
    """What an extractor knows of a clip before its first frame.

    Attributes:
        clip_id: For messages only; no number may depend on it.
        fps: Exact frame rate.
        n_frames: How many frames will arrive.
        height: In pixels.
        width: In pixels.
        reference_image: The portrait that the system was given, ``uint8 RGB [H, W, 3]``, any size.
        audio: The clip's own audio track, mono float32 in [-1, 1], or None.
        audio_rate: Samples per second of ``audio``.
    """

    clip_id: str
    fps: Fraction
    n_frames: int
    height: int
    width: int
    reference_image: FrameArray
    audio: NDArray[np.float32] | None = None
    audio_rate: int = 16000


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some consecutive frames of a clip on their way through the extractors.

    Attributes:
        frames: ``uint8 RGB [t, H, W, 3]``.
        start: Index of the first of them in the clip.
        ground_truth: The ground-truth frames of the same indices and size, when the extractor needs them.
        upstream: For every extractor named in ``requires``, its rows for exactly these frames.

    Raises:
        TypeError: for frames of another type or shape, whose range would have to be guessed.
    """

    frames: FrameArray
    start: int
    ground_truth: FrameArray | None = None
    upstream: Mapping[str, Arrays] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, frames in (("frames", self.frames), ("ground_truth", self.ground_truth)):
            if frames is not None and (frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3):
                raise TypeError(
                    f"{name}: expected uint8 RGB [t, H, W, 3], found {frames.dtype} {list(frames.shape)}; scale frames "
                    "in [0, 1] by 255 and round them"
                )


class Accumulator(ABC):
    """The work of one extractor on one clip."""

    @abstractmethod
    def update(self, piece: Piece) -> Arrays:
        """Takes the next frames; returns its own per-frame rows for them (empty when it has none)."""

    @abstractmethod
    def finish(self) -> Arrays:
        """The arrays of the clip after the last frame.

        Per-frame rows that ``update`` returned are joined by the harness and need not be repeated here.

        Raises:
            Unscored: when the clip has no features, with the reason.
        """


class Extractor(ABC):
    """A network (or a plain computation) with its preprocessing; loaded once, used for many clips.

    Attributes:
        name: ``kind/variant@version``; the version changes whenever a number could change.
        weights: File names in the weights registry; the constructor receives their verified paths.
        requires: Names of extractors whose rows it reads (they see each piece first).
        engines: What its networks can be computed by; one with ``openvino`` takes ``engine="openvino"`` as an option.
        needs: ``GROUND_TRUTH`` makes each piece carry the ground-truth frames; ``AUDIO`` and ``REFERENCE_IMAGE``
            say what of ``ClipInputs`` it reads (they are part of the key under which features are stored).
    """

    name: ClassVar[str]
    weights: ClassVar[tuple[str, ...]] = ()
    requires: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[frozenset[Need]] = frozenset()
    engines: ClassVar[frozenset[str]] = frozenset({"torch"})

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        self.weight_paths = dict(weights)
        self.device = device

    @classmethod  # noqa: B027 - pinned files need no look
    def check(cls, weights: Mapping[str, Path]) -> None:
        """Checks files of the user's own before any work; nothing is loaded.

        Raises:
            ValueError: when they cannot be used, with the file.
        """

    @abstractmethod
    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""


@dataclass(frozen=True, kw_only=True)
class ClipFeatures:
    """All stored arrays of one clip of one system.

    Attributes:
        clip_id: Id of the clip in the manifest.
        identity: Identity label; the unit of resampling.
        fps: Frame rate.
        n_frames: Frames in the clip.
        arrays: Extractor name -> array name -> array.
    """

    clip_id: str
    identity: str
    fps: Fraction
    n_frames: int
    arrays: Mapping[str, Arrays]


class Metric(ABC):
    """A protocol; see ``ClipMetric`` and ``SetMetric``."""

    spec: ClassVar[ProtocolSpec]


def ordered_mean(values: NDArray[np.floating]) -> float:
    """The mean of numbers ``[n]``, added in order of size: equal to the last bit whatever order they arrive in."""
    return float(np.mean(np.sort(np.asarray(values, dtype=np.float64))))


class ClipMetric(Metric):
    """A protocol with a value for every clip."""

    @abstractmethod
    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """The values (by ``ValueSpec.key``) of one clip.

        Args:
            generated: Features of the generated clip.
            truth: Features of the ground-truth clip with the same id, when the protocol needs it.

        Raises:
            Unscored: when there is no value, with the reason.
        """

    def summarise(self, rows: Mapping[str, NDArray[np.float64]]) -> Mapping[str, float]:
        """The value of a set from the values of its clips; the mean unless a protocol says otherwise.

        The order of the clips must not matter, not even in the last bit (``ordered_mean`` sorts before it adds).

        Args:
            rows: For each key, one finite number per clip, all of the same length.
        """
        return {key: ordered_mean(values) for key, values in rows.items()}


class SetMetric(Metric):
    """A protocol that compares two sets of samples, such as a Fréchet distance."""

    @abstractmethod
    def samples(self, clip: ClipFeatures) -> NDArray[np.float64]:
        """The samples of one clip as ``float64 [n, d]``.

        Raises:
            Unscored: when the clip has none, with the reason.
        """

    @abstractmethod
    def compute(
        self, generated: Sequence[NDArray[np.float64]], truth: Sequence[NDArray[np.float64]]
    ) -> Mapping[str, float]:
        """The values of the set, from one array of samples per clip on either side; the order never matters.

        Raises:
            Unscored: when the value is undefined, for example with fewer samples than the protocol allows.
        """
