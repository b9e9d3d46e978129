"""The extractor ``pixels/psnr-ssim@1``: PSNR and SSIM of each frame against the one of the ground truth."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import (
    Accumulator,
    Arrays,
    ClipInputs,
    Extractor,
    FrameArray,
    Need,
    Piece,
    Unscored,
)

PAIRED: Final = "pixels/psnr-ssim@1"
PSNR_CAP_DB: Final = 100.0
WINDOW: Final = 11
SIGMA: Final = 1.5
C1: Final = (0.01 * 255.0) ** 2
C2: Final = (0.03 * 255.0) ** 2
STRIPE: Final = 32
"""Rows of pixels that SSIM works on at a time; no number depends on it beyond rounding."""


def psnr(first: FrameArray, second: FrameArray) -> float:
    """Peak signal-to-noise ratio of two frames over all pixels and channels, in decibels, at most 100.

    Args:
        first: ``uint8 [H, W, 3]``.
        second: The same shape.

    >>> black = np.zeros((4, 4, 3), dtype=np.uint8)
    >>> psnr(black, black), psnr(black, black + 255)
    (100.0, 0.0)
    """
    difference = first.astype(np.int32) - second.astype(np.int32)
    flat = difference.reshape(-1)
    squared_error = float(np.square(flat).sum(dtype=np.int64)) / flat.size
    if squared_error == 0.0:
        return PSNR_CAP_DB
    return min(PSNR_CAP_DB, float(10.0 * np.log10(255.0**2 / squared_error)))


def gaussian_window() -> NDArray[np.float64]:
    """The weights of SSIM's window along one axis, ``float64 [11]``, sum 1."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-np.square(offsets) / (2.0 * SIGMA**2))
    window: NDArray[np.float64] = weights / weights.sum()
    return window


def ssim(first: FrameArray, second: FrameArray) -> float:
    """Structural similarity (Wang et al. 2004) of two frames: Gaussian 11 x 11 window, sigma 1.5, each RGB channel.

    The frame is continued by reflection (the edge pixel not repeated) and the mean is over all pixels and channels, as
    torchmetrics 1.9 has it.

    Args:
        first: ``uint8 [H, W, 3]``, at least 11 pixels high and wide.
        second: The same shape.

    Returns:
        A number in [-1, 1]; 1 for equal frames.

    Raises:
        ValueError: for smaller frames.
    """
    import cv2

    if min(first.shape[:2]) < WINDOW:
        raise ValueError(f"SSIM needs frames of at least {WINDOW} x {WINDOW} pixels, found {first.shape[1::-1]}")
    if np.array_equal(first, second):  # as in the ground truth's own row; what follows gives 1 too
        return 1.0
    margin = WINDOW // 2
    x, y = (cv2.copyMakeBorder(image, margin, margin, 0, 0, cv2.BORDER_REFLECT_101) for image in (first, second))
    total = 0.0
    for top in range(0, len(first), STRIPE):  # a stripe's arrays stay in the cache, which makes it almost twice as fast
        rows = slice(top, top + STRIPE + 2 * margin)
        total += _similarity_sum(x[rows].astype(np.float64), y[rows].astype(np.float64))
    return total / first.size


def _similarity_sum(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Sum of the local similarities of two stripes ``[h + 10, W, 3]`` over their inner h rows; overwrites both."""
    import cv2

    window, margin = gaussian_window(), WINDOW // 2

    def smooth(image: NDArray[np.float64]) -> NDArray[np.float64]:
        filtered = cv2.sepFilter2D(image, cv2.CV_64F, window, window, borderType=cv2.BORDER_REFLECT_101)
        return np.asarray(filtered, dtype=np.float64)[margin:-margin]

    mean_x, mean_y = smooth(x), smooth(y)
    product = x * y
    squares = np.add(np.square(x, out=x), np.square(y, out=y), out=x)
    mean_product = mean_x * mean_y
    mean_squares = np.square(mean_x) + np.square(mean_y)
    contrast = 2.0 * (smooth(product) - mean_product) + C2
    contrast /= smooth(squares) - mean_squares + C2
    contrast *= 2.0 * mean_product + C1
    contrast /= mean_squares + C1
    return float(contrast.sum())


class PairedPixels(Extractor):
    """PSNR and SSIM of every frame.

    Arrays: ``psnr`` and ``ssim``, float64 [n]; NaN where the ground truth has no frame of that index.
    """

    name: ClassVar[str] = PAIRED
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GROUND_TRUTH})

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        return _PairedRows()


class _PairedRows(Accumulator):
    def update(self, piece: Piece) -> Arrays:
        count = len(piece.frames)
        rows = {"psnr": np.full(count, np.nan), "ssim": np.full(count, np.nan)}
        truth = piece.ground_truth
        if truth is None:
            return rows
        for index, (ours, theirs) in enumerate(zip(piece.frames, truth, strict=False)):
            if ours.shape != theirs.shape:
                raise Unscored(
                    "not_applicable",
                    f"the frames are {ours.shape[1]} x {ours.shape[0]} and the ground truth's {theirs.shape[1]} x "
                    f"{theirs.shape[0]}; pixels can only be compared at equal sizes",
                )
            rows["psnr"][index] = psnr(ours, theirs)
            if min(ours.shape[:2]) >= WINDOW:
                rows["ssim"][index] = ssim(ours, theirs)
        return rows

    def finish(self) -> Arrays:
        return {}
