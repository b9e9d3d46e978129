"""What a user gives beside the audio, in the form that the networks read: the portrait's square and the face region."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the image."""


def region_mask(region: Box | NDArray[np.float32] | None, size: int) -> Tensor:
    """Face region as a mask ``float32 [1, 1, size, size]``; ``None`` is white: no guidance.

    >>> region_mask((0.0, 0.0, 0.5, 1.0), 4)[0, 0, 0].tolist()
    [1.0, 1.0, 0.0, 0.0]
    >>> region_mask((0.99, 0.0, 1.0, 1.0), 4)[0, 0, 0].tolist()
    [0.0, 0.0, 0.0, 1.0]
    """
    if region is None:
        return torch.ones(1, 1, size, size)
    if isinstance(region, np.ndarray):
        if region.ndim != 2:
            raise ValueError(f"expected a face mask of shape [h, w], found {region.shape}")
        mask = torch.from_numpy(np.ascontiguousarray(region, np.float32))[None, None]
        return F.interpolate(mask, (size, size), mode="area").clamp(0, 1)
    left, top, right, bottom = region
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError(f"expected a face box (left, top, right, bottom) as fractions in [0, 1], found {region}")
    mask = torch.zeros(1, 1, size, size)
    mask[..., _pixels(top, bottom, size), _pixels(left, right, size)] = 1
    return mask


def _pixels(first: float, last: float, size: int) -> slice:
    """Pixels between two fractions, at least one: an empty mask would mean that there is no face anywhere."""
    start = min(round(first * size), size - 1)
    return slice(start, max(round(last * size), start + 1))


def middle_square(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The middle square of ``uint8 [H, W, 3]`` at ``size`` pixels a side.

    Raises:
        ValueError: It is no RGB image, or smaller than 16 pixels.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected an RGB image uint8 [H, W, 3], found {image.dtype} {image.shape}")
    height, width = image.shape[:2]
    side = min(height, width)
    if side < 16:
        raise ValueError(f"expected an image of at least 16 pixels a side, found {width}x{height}")
    top, left = (height - side) // 2, (width - side) // 2
    middle = image[top : top + side, left : left + side]
    if side == size:
        return np.ascontiguousarray(middle)
    tensor = torch.from_numpy(np.ascontiguousarray(middle)).movedim(-1, 0)[None].float()
    resized = F.interpolate(tensor, (size, size), mode="bicubic", antialias=True, align_corners=False)
    return resized[0].movedim(0, -1).round().clamp(0, 255).to(torch.uint8).numpy()
