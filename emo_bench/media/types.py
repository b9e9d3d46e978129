"""The only forms in which frames and audio travel through emo-bench."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emo_bench.media.recipe import Recipe

    FrameArray = NDArray[np.uint8]
else:
    # Checking a suite file names these types too, and must not load numpy.
    FrameArray = "NDArray[np.uint8]"
"""Frames as ``uint8 [t, H, W, 3]``, RGB order."""

PIECE_LENGTH = 32
"""Frames that travel together; bounds memory whatever the length of a clip."""


@dataclass(frozen=True, kw_only=True)
class VideoSpec:
    """Size, exact frame rate and number of frames of a video.

    Attributes:
        width: In pixels.
        height: In pixels.
        fps: Exact frames per second.
        n_frames: How many frames there are.
    """

    width: int
    height: int
    fps: Fraction
    n_frames: int

    @property
    def seconds(self) -> float:
        """Duration: frames divided by frame rate."""
        return float(self.n_frames / self.fps)


@dataclass(frozen=True, eq=False)
class Video:
    """A video that is read piece by piece, any number of times; it is never held in memory as a whole.

    Attributes:
        spec: What the pieces add up to.
        open: Starts reading from the first frame: yields ``uint8 RGB [t, H, W, 3]`` with ``1 <= t <= PIECE_LENGTH``,
            ``spec.n_frames`` frames in total. Raises a ``ClipError`` when the source turns out to be broken.
        recipe: Where the same frames can be read again; None when they exist in this process only.
        sha256: Digest of the frames as the clip store counts it; empty when it is not known.
    """

    spec: VideoSpec
    open: Callable[[], Iterator[FrameArray]]
    recipe: Callable[[], Recipe] | None = None
    sha256: str = ""

    def read_all(self) -> FrameArray:
        """All frames at once, ``uint8 RGB [T, H, W, 3]``; for short clips and tests."""
        import numpy as np

        return np.concatenate(list(self.open()), axis=0)


@dataclass(frozen=True, eq=False)
class Audio:
    """Mono audio.

    Attributes:
        samples: ``float32 [n]`` in [-1, 1].
        rate: Samples per second.
    """

    samples: NDArray[np.float32]
    rate: int

    @property
    def seconds(self) -> float:
        """Duration: samples divided by rate."""
        return len(self.samples) / self.rate


def video_from_array(frames: FrameArray, *, fps: Fraction) -> Video:
    """A ``Video`` over frames in memory.

    >>> import numpy as np
    >>> video = video_from_array(np.zeros((40, 4, 6, 3), np.uint8), fps=Fraction(25))
    >>> [len(piece) for piece in video.open()], video.spec.width, video.spec.seconds
    ([32, 8], 6, 1.6)
    """
    if frames.dtype != "uint8" or frames.ndim != 4 or frames.shape[3] != 3:
        raise TypeError(f"expected uint8 [T, H, W, 3], found {frames.dtype} {frames.shape}")

    def pieces() -> Iterator[FrameArray]:
        for start in range(0, len(frames), PIECE_LENGTH):
            yield frames[start : start + PIECE_LENGTH]

    spec = VideoSpec(width=frames.shape[2], height=frames.shape[1], fps=fps, n_frames=len(frames))
    return Video(spec, pieces)


def frames_for_samples(n_samples: int, *, rate: int, fps: Fraction) -> int:
    """How many frames a video has that is exactly as long as the audio: the duration in frames, rounded up.

    >>> frames_for_samples(16000, rate=16000, fps=Fraction(25)), frames_for_samples(16001, rate=16000, fps=Fraction(25))
    (25, 26)
    """
    return -(-n_samples * fps.numerator // (rate * fps.denominator))


def samples_for_frames(n_frames: int, *, rate: int, fps: Fraction) -> int:
    """How many audio samples last as long as ``n_frames``, rounded down.

    >>> samples_for_frames(25, rate=16000, fps=Fraction(25))
    16000
    """
    return n_frames * fps.denominator * rate // fps.numerator
