"""The distances as stateful metrics for a training loop: ``update``, ``compute``, ``reset``, torchmetrics' contract.

They follow torch.distributed by themselves: every process updates with its own samples, ``compute`` gathers the states.
Images and videos are ``uint8`` tensors in torch's order; floats are refused, because their range would have to be
guessed.

    fid = FrechetInceptionDistance(InceptionPytorchFid({WEIGHTS: path}))
    fid.update(true_images, real=True)
    fid.update(generated_images, real=False)
    value = fid.compute()
"""

from __future__ import annotations

import itertools
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics import Metric
from torchmetrics.utilities.distributed import gather_all_tensors

from emo_metrics.contract import FrameArray, Unscored
from emo_metrics.distances.frechet import Moments, frechet_from_moments
from emo_metrics.distances.kernel import polynomial_mmd2

_NUMBERS: Final = itertools.count(1)


class FrameFeatures(Protocol):
    """Anything that turns frames into features, such as the Inception extractors."""

    def features(self, frames: FrameArray) -> NDArray[np.float32]:
        """``uint8 RGB [n, H, W, 3]`` to ``float32 [n, d]``."""


class WindowFeatures(Protocol):
    """Anything that turns a window of 16 frames into features, such as the I3D extractors."""

    def window_features(self, frames: FrameArray) -> NDArray[np.float32]:
        """``uint8 RGB [16, H, W, 3]`` to ``float32 [d]``."""


class PairDistance(Protocol):
    """Anything that compares two frames, such as the LPIPS extractors."""

    def distance(self, generated: FrameArray, truth: FrameArray) -> float:
        """Distance of two frames ``uint8 RGB [H, W, 3]``."""


class FrechetDistance(Metric):
    """Fréchet distance of features, streamed as counts, means and scatter matrices in float64.

    Args:
        width: Dimension of the features.
        kwargs: Of ``torchmetrics.Metric``.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = True

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for side in ("generated", "truth"):
            # Without a reduction the states of all processes arrive one above the other and are merged exactly.
            self.add_state(f"{side}_count", torch.zeros((), dtype=torch.long), dist_reduce_fx=None)
            self.add_state(f"{side}_mean", torch.zeros(width, dtype=torch.float64), dist_reduce_fx=None)
            self.add_state(f"{side}_scatter", torch.zeros(width, width, dtype=torch.float64), dist_reduce_fx=None)

    def update(self, features: torch.Tensor, *, real: bool) -> None:
        """Adds features.

        Args:
            features: ``[n, width]``; n may be 0.
            real: Whether they are of the truth.

        Raises:
            Unscored: ``undefined`` for NaN, infinity or another dimension.
        """
        self.add_features(features.detach().cpu().double().numpy(), real=real)

    def add_features(self, features: NDArray[np.floating], *, real: bool) -> None:
        """The same for an array."""
        if not len(features):
            return
        side = "truth" if real else "generated"
        merged = self._moments(side).merged(Moments.of(features))
        device = getattr(self, f"{side}_mean").device
        setattr(self, f"{side}_count", torch.tensor(merged.count, device=device))
        setattr(self, f"{side}_mean", torch.from_numpy(merged.mean).to(device))
        setattr(self, f"{side}_scatter", torch.from_numpy(merged.scatter).to(device))

    def compute(self) -> torch.Tensor:
        """The distance over all processes, ``float64 []``.

        Raises:
            Unscored: ``too_few`` with fewer than two samples on a side.
        """
        value = frechet_from_moments(self._moments("generated"), self._moments("truth"))
        return torch.tensor(value, dtype=torch.float64)

    def _moments(self, side: str) -> Moments:
        count, mean, scatter = (getattr(self, f"{side}_{part}").cpu() for part in ("count", "mean", "scatter"))
        counts = count.reshape(-1)
        width = mean.shape[-1]
        means, scatters = mean.reshape(-1, width), scatter.reshape(-1, width, width)
        total = Moments.empty(width)
        for n, m, s in zip(counts, means, scatters, strict=True):
            total = total.merged(Moments(count=int(n), mean=m.numpy(), scatter=s.numpy()))
        return total


class FrechetInceptionDistance(FrechetDistance):
    """FID of images.

    Args:
        extractor: One of the Inception extractors; it fixes the protocol.
        width: Dimension of its features.
        kwargs: Of ``torchmetrics.Metric``.
    """

    def __init__(self, extractor: FrameFeatures, *, width: int = 2048, **kwargs: Any) -> None:
        super().__init__(width, **kwargs)
        self._extractor = extractor
        _keep_apart(self)

    def update(self, images: torch.Tensor, *, real: bool) -> None:
        """Adds images.

        Args:
            images: ``uint8 RGB [n, 3, H, W]``.
            real: Whether they are true.

        Raises:
            TypeError: for anything but uint8 in that shape.
        """
        self.add_features(self._extractor.features(_frames(images, "n")), real=real)


class FrechetVideoDistance(FrechetDistance):
    """FVD of windows of 16 frames.

    Args:
        extractor: One of the I3D extractors; it fixes the protocol.
        width: Dimension of its features.
        kwargs: Of ``torchmetrics.Metric``.
    """

    def __init__(self, extractor: WindowFeatures, *, width: int = 400, **kwargs: Any) -> None:
        super().__init__(width, **kwargs)
        self._extractor = extractor
        _keep_apart(self)

    def update(self, videos: torch.Tensor, *, real: bool) -> None:
        """Adds videos.

        Args:
            videos: ``uint8 RGB [n, 16, 3, H, W]``.
            real: Whether they are true.

        Raises:
            TypeError: for anything but uint8 in that shape.
        """
        if videos.ndim != 5 or videos.shape[1] != 16:
            raise TypeError(f"expected uint8 videos [n, 16, 3, H, W], found {videos.dtype} {tuple(videos.shape)}")
        rows = [self._extractor.window_features(_frames(video, "16")) for video in videos]
        if rows:
            self.add_features(np.stack(rows), real=real)


class KernelDistance(Metric):
    """Unbiased cubic-kernel MMD² of features (KID, KVD); keeps all features.

    Args:
        kwargs: Of ``torchmetrics.Metric``.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    generated: list[torch.Tensor]
    truth: list[torch.Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dist_sync_fn": _gathered_rows, **kwargs})
        self.add_state("generated", [], dist_reduce_fx="cat")
        self.add_state("truth", [], dist_reduce_fx="cat")

    def update(self, features: torch.Tensor, *, real: bool) -> None:
        """Adds features ``[n, d]`` of the truth or of the generated side."""
        (self.truth if real else self.generated).append(features.detach().double())

    def compute(self) -> torch.Tensor:
        """The distance over all processes, ``float64 []``; slightly negative values mean no difference.

        Raises:
            Unscored: ``too_few`` with fewer than two samples on a side, ``undefined`` for NaN or infinity.
        """
        sides = []
        collected: tuple[list[torch.Tensor] | torch.Tensor, ...] = (self.generated, self.truth)
        for side in collected:
            # After a gathering the list has become one tensor.
            parts = [side] if isinstance(side, torch.Tensor) else side
            if not sum(len(part) for part in parts):
                raise Unscored("too_few", "no features were added on one side")
            sides.append(torch.cat(parts).cpu().numpy())
        return torch.tensor(polynomial_mmd2(*sides), dtype=torch.float64)


class PerceptualDistance(Metric):
    """Mean LPIPS of pairs of images.

    Args:
        extractor: One of the LPIPS extractors; it fixes the protocol.
        kwargs: Of ``torchmetrics.Metric``.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    total: torch.Tensor
    count: torch.Tensor

    def __init__(self, extractor: PairDistance, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._extractor = extractor
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        _keep_apart(self)

    def update(self, generated: torch.Tensor, truth: torch.Tensor) -> None:
        """Adds pairs.

        Args:
            generated: ``uint8 RGB [n, 3, H, W]``.
            truth: The same shape.

        Raises:
            TypeError: for anything but uint8 in that shape.
            ValueError: when the shapes differ.
        """
        if generated.shape != truth.shape:
            raise ValueError(f"expected images of one shape, found {tuple(generated.shape)} and {tuple(truth.shape)}")
        for ours, theirs in zip(_frames(generated, "n"), _frames(truth, "n"), strict=True):
            self.total += self._extractor.distance(ours, theirs)
            self.count += 1

    def compute(self) -> torch.Tensor:
        """The mean, ``float64 []``.

        Raises:
            Unscored: ``too_few`` without any pair.
        """
        if not int(self.count):
            raise Unscored("too_few", "no pair of images was added")
        return self.total / self.count


def _keep_apart(metric: Metric) -> None:
    """Gives a metric a state that no other has.

    A MetricCollection lets metrics share one state for good when theirs are equal after the first batch, which those
    of two extractors are for black images or equal pairs.
    """
    metric.add_state("own_number", torch.tensor(next(_NUMBERS)), dist_reduce_fx="max")


def _gathered_rows(rows: torch.Tensor, group: Any = None) -> list[torch.Tensor]:
    """The rows ``[n, d]`` of every process; one that has none, and so a tensor ``[0]``, gives ``[0, d]``."""
    # Processes can only gather tensors of one type and of as many dimensions as the others have.
    width = torch.tensor([rows.shape[1] if rows.ndim == 2 else 0], device=rows.device)
    widest = max(int(found) for found in gather_all_tensors(width, group))
    own = rows if rows.ndim == 2 else rows.new_zeros((0, widest), dtype=torch.float64)
    return gather_all_tensors(own, group)


def _frames(images: torch.Tensor, count: str) -> FrameArray:
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise TypeError(
            f"expected uint8 RGB [{count}, 3, H, W], found {images.dtype} {tuple(images.shape)}; "
            "convert floats yourself, for example (x * 255).round().clamp(0, 255).byte() for a range of 0 to 1"
        )
    return np.ascontiguousarray(images.permute(0, 2, 3, 1).cpu().numpy())
