"""Statistics of natural scenes, as BRISQUE takes them from an image (Mittal, Moorthy and Bovik 2012)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Image = NDArray[np.float64]
FEATURES: Final = 36
_TAPS: Final = 7
_DEVIATION: Final = 7 / 6
_FLOOR: Final = 1 / 255
_SHAPES: Final = np.linspace(0.05, 20.0, 4096)


def _ratios(shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared mean magnitude over mean square of a generalised Gaussian; grows with its shape."""
    found: NDArray[np.float64] = np.exp(2 * gammaln(2 / shape) - gammaln(1 / shape) - gammaln(3 / shape))
    return found


_TABLE: Final = _ratios(_SHAPES)


def normalised_contrast(grey: Image) -> Image:
    """Each pixel about its local mean, over its local deviation (Gaussian window 7 x 7, zeros beyond the edges).

    Args:
        grey: ``[h, w]`` in [0, 1].
    """
    import cv2

    offsets = np.arange(_TAPS) - _TAPS // 2
    taps = np.exp(-np.square(offsets) / (2 * _DEVIATION**2))
    taps /= taps.sum()

    def local(image: Image) -> Image:
        return np.asarray(cv2.sepFilter2D(image, cv2.CV_64F, taps, taps, borderType=cv2.BORDER_CONSTANT))

    mean = local(grey)
    deviation = np.sqrt(np.abs(np.square(mean) - local(np.square(grey))))
    contrast: Image = (grey - mean) / (deviation + _FLOOR)
    return contrast


def shape_of(ratio: float) -> float:
    """The shape of a generalised Gaussian with this ratio of squared mean magnitude to mean square.

    >>> round(shape_of(2 / np.pi), 4)   # a Gaussian has the shape 2
    2.0
    """
    from scipy.optimize import brentq

    if not _TABLE[0] < ratio < _TABLE[-1]:
        return float(_SHAPES[0] if ratio <= _TABLE[0] else _SHAPES[-1])
    place = int(np.searchsorted(_TABLE, ratio))
    low, high = _SHAPES[place - 1], _SHAPES[place]
    return float(brentq(lambda shape: float(_ratios(np.array([shape]))[0]) - ratio, low, high, xtol=1e-10))


def asymmetric_fit(values: Image) -> tuple[float, float, float, float]:
    """Shape, mean, and left and right deviation of an asymmetric generalised Gaussian, by its moments.

    Args:
        values: Of any shape; both signs must occur.

    Raises:
        ValueError: when they do not: the image is uniform.
    """
    x = values.ravel()
    negative, positive = x[x < 0], x[x >= 0]
    squares = float(np.square(positive).mean()) if len(positive) else 0.0
    if len(negative) == 0 or squares <= 0:
        raise ValueError("the image is uniform")
    left, right = float(np.sqrt(np.square(negative).mean())), float(np.sqrt(squares))
    g = left / right
    ratio = float(np.abs(x).mean()) ** 2 / float(np.square(x).mean())
    shape = shape_of(ratio * (g**3 + 1) * (g + 1) / (g**2 + 1) ** 2)
    scale = np.exp(0.5 * (gammaln(1 / shape) - gammaln(3 / shape)) + gammaln(2 / shape) - gammaln(1 / shape))
    return shape, float((right - left) * scale), left, right


def scene_statistics(grey: Image) -> NDArray[np.float64]:
    """The 36 features: 18 of the image, 18 of the image at half its size.

    Args:
        grey: ``[h, w]`` in [0, 1].

    Raises:
        ValueError: when the image is uniform or smaller than 16 pixels.
    """
    import cv2

    if min(grey.shape) < 16:
        raise ValueError(f"the image has {grey.shape[1]}x{grey.shape[0]} pixels; at least 16 are needed")
    half: Image = np.asarray(cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_CUBIC), dtype=np.float64)
    return np.array([value for image in (grey, half) for value in _of_one_scale(image)])


def _of_one_scale(grey: Image) -> list[float]:
    c = normalised_contrast(grey)
    shape, _, left, right = asymmetric_fit(c)
    found = [shape, (left**2 + right**2) / 2]
    products = (c[:, :-1] * c[:, 1:], c[:-1] * c[1:], c[:-1, :-1] * c[1:, 1:], c[1:, :-1] * c[:-1, 1:])
    for product in products:
        shape, mean, left, right = asymmetric_fit(product)
        found += [shape, mean, left**2, right**2]
    return found
