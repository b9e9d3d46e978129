"""FVD and KVD: how far the videos of a system are from the true videos, as sets of windows of 16 frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import AFTER_THE_PAPER, Direction, Family, Granularity, Need, ProtocolSpec, ValueSpec
from emo_metrics.distances.frechet import frechet_distance
from emo_metrics.distances.kernel import polynomial_mmd2
from emo_metrics.metrics.fid import FrameDistance

FVD_VALUES: Final = (ValueSpec(key="fvd", label="FVD", direction=Direction.LOWER, decimals=2),)
KVD_VALUES: Final = (ValueSpec(key="kvd", label="KVD", direction=Direction.LOWER, decimals=3),)
_STYLEGANV: Final = "TorchScript I3D of StyleGAN-V"
_CD: Final = "I3D state dict of cd-fvd"


def _spec(name: str, extractor: str, how: str, values: tuple[ValueSpec, ...], source: str) -> ProtocolSpec:
    title = "Fréchet Video Distance" if values is FVD_VALUES else "Kernel Video Distance"
    return ProtocolSpec(
        name=name,
        title=f"{title}, windows of 16 frames ({how})",
        family=Family.REFERENCE,
        granularity=Granularity.SET,
        values=values,
        extractors=(extractor,),
        needs=frozenset({Need.GROUND_TRUTH}),
        minimum_samples=2,
        source=source,
        page=name.split("@")[0].replace("/", "-") if values is FVD_VALUES else "kvd",
        order=40 if values is FVD_VALUES else AFTER_THE_PAPER,
    )


class FvdStyleganV(FrameDistance):
    """FVD on StyleGAN-V's network, with the unbiased covariance of fvd-comparison; StyleGAN-V itself divides by N."""

    spec: ClassVar[ProtocolSpec] = _spec(
        "fvd/styleganv-16f@1",
        "i3d/styleganv@1",
        _STYLEGANV,
        FVD_VALUES,
        "arXiv 1812.01717; network of github.com/universome/stylegan-v, estimator of universome/fvd-comparison",
    )


class FvdCdI3d(FrameDistance):
    """FVD as cd-fvd (and StyleGAN-V) computes it from features: covariance over N, not N − 1."""

    spec: ClassVar[ProtocolSpec] = _spec(
        "fvd/cd-i3d@1",
        "i3d/cd@1",
        _CD,
        FVD_VALUES,
        "arXiv 1812.01717, 2404.12391; github.com/songweige/content-debiased-fvd",
    )

    def distance(self, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> Mapping[str, float]:
        """The distance from all windows of both sides."""
        return {"fvd": frechet_distance(ours, theirs, covariance="population")}


class _KernelVideo(FrameDistance):
    """Unbiased cubic-kernel MMD² of the logits."""

    def distance(self, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> Mapping[str, float]:
        """The distance from all windows of both sides."""
        return {"kvd": polynomial_mmd2(ours, theirs)}


class KvdStyleganV(_KernelVideo):
    """KVD on the logits of StyleGAN-V's file."""

    spec: ClassVar[ProtocolSpec] = _spec(
        "kvd/styleganv-16f@1", "i3d/styleganv@1", _STYLEGANV, KVD_VALUES, "arXiv 1812.01717, 1801.01401"
    )


class KvdCdI3d(_KernelVideo):
    """KVD on the logits of cd-fvd's file."""

    spec: ClassVar[ProtocolSpec] = _spec("kvd/cd-i3d@1", "i3d/cd@1", _CD, KVD_VALUES, "arXiv 1812.01717, 1801.01401")
