"""FID and KID: how far the frames of a system are from the true frames, as sets of Inception features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import (
    AFTER_THE_PAPER,
    ClipFeatures,
    Direction,
    Family,
    Granularity,
    Need,
    ProtocolSpec,
    SetMetric,
    Unscored,
    ValueSpec,
)
from emo_metrics.distances.frechet import frechet_distance
from emo_metrics.distances.infinity import frechet_infinity
from emo_metrics.distances.kernel import polynomial_mmd2
from emo_metrics.distances.samples import joined

FID_VALUES = (ValueSpec(key="fid", label="FID", direction=Direction.LOWER, decimals=2),)
KID_VALUES = (ValueSpec(key="kid", label="KID x 1000", direction=Direction.LOWER, decimals=3),)
INFINITY_VALUES = (
    ValueSpec(key="fid-infinity", label="FID∞", direction=Direction.LOWER, decimals=2),
    ValueSpec(key="r2", label="R² of FID∞", direction=Direction.HIGHER, decimals=3, primary=False),
)


class FrameDistance(SetMetric):
    """A distance between two sets of frame features; every sampled frame is one sample."""

    def samples(self, clip: ClipFeatures) -> NDArray[np.float64]:
        """The features of the clip, ``float64 [k, d]``."""
        (extractor,) = self.spec.extractors
        return np.asarray(clip.arrays[extractor]["features"], dtype=np.float64)

    def compute(
        self, generated: Sequence[NDArray[np.float64]], truth: Sequence[NDArray[np.float64]]
    ) -> Mapping[str, float]:
        """The distance over all clips.

        Raises:
            Unscored: ``too_few`` for fewer samples than the protocol allows, ``undefined`` for features not finite.
        """
        ours, theirs = joined(generated), joined(truth)
        least = self.spec.minimum_samples
        if min(len(ours), len(theirs)) < least:
            raise Unscored("too_few", f"{len(ours)} generated and {len(theirs)} true samples; {least} are needed")
        return self.distance(ours, theirs)

    def distance(self, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> Mapping[str, float]:
        """The values from all samples of both sides; Fréchet unless a protocol says otherwise."""
        (value,) = self.spec.values
        return {value.key: frechet_distance(ours, theirs)}


@dataclass(frozen=True)
class _Variant:
    name: str
    extractor: str
    how: str
    source: str
    family: Family = Family.REFERENCE


_PYTORCH = _Variant(
    "pytorch-fid@1", "inception/pytorch-fid@1", "pytorch-fid's resize", "github.com/mseitzer/pytorch-fid"
)
_FIDELITY = _Variant(
    "torch-fidelity@1", "inception/torch-fidelity@1", "TensorFlow 1's resize", "github.com/toshas/torch-fidelity"
)
_CLEAN = _Variant(
    "clean@1", "inception/clean@1", "clean-fid's resize", "github.com/GaParmar/clean-fid; arXiv 2104.11222"
)
_OPEN = _Variant(
    "open-inception@1",
    "inception/open@1",
    "open network, compares with nothing published",
    "an Inception v3 under the MIT licence",
    Family.OPEN,
)
_KINDS = {
    "fid": ("Fréchet Inception Distance", FID_VALUES, "arXiv 1706.08500"),
    "kid": ("Kernel Inception Distance x 1000", KID_VALUES, "arXiv 1801.01401"),
    "fid-infinity": ("FID extrapolated to infinitely many clips", INFINITY_VALUES, "arXiv 1911.07023"),
}


def _spec(kind: str, variant: _Variant) -> ProtocolSpec:
    title, values, paper = _KINDS[kind]
    return ProtocolSpec(
        name=f"{kind}/{variant.name}",
        title=f"{title} ({variant.how})",
        family=variant.family,
        granularity=Granularity.SET,
        values=values,
        extractors=(variant.extractor,),
        needs=frozenset({Need.GROUND_TRUTH}),
        minimum_samples=2,
        source=f"{paper}; {variant.source}",
        page=f"fid-{variant.name.split('@')[0]}" if kind == "fid" else kind,
        order=10 if kind == "fid" else AFTER_THE_PAPER,
    )


class FidPytorchFid(FrameDistance):
    """FID as pytorch-fid computes it."""

    spec: ClassVar[ProtocolSpec] = _spec("fid", _PYTORCH)


class FidTorchFidelity(FrameDistance):
    """FID as torch-fidelity and the TensorFlow original compute it."""

    spec: ClassVar[ProtocolSpec] = _spec("fid", _FIDELITY)


class FidClean(FrameDistance):
    """FID as clean-fid computes it."""

    spec: ClassVar[ProtocolSpec] = _spec("fid", _CLEAN)


class FidOpen(FrameDistance):
    """FID on an openly licensed Inception."""

    spec: ClassVar[ProtocolSpec] = _spec("fid", _OPEN)


class _Kernel(FrameDistance):
    """Unbiased cubic-kernel MMD² over all samples; the mean of KID's random subsets has this as its expectation."""

    def distance(self, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> Mapping[str, float]:
        """The distance times 1000."""
        (value,) = self.spec.values
        return {value.key: 1000.0 * polynomial_mmd2(ours, theirs)}


class KidPytorchFid(_Kernel):
    """KID on features prepared as pytorch-fid does."""

    spec: ClassVar[ProtocolSpec] = _spec("kid", _PYTORCH)


class KidTorchFidelity(_Kernel):
    """KID on features prepared as torch-fidelity does."""

    spec: ClassVar[ProtocolSpec] = _spec("kid", _FIDELITY)


class KidClean(_Kernel):
    """KID on features prepared as clean-fid does."""

    spec: ClassVar[ProtocolSpec] = _spec("kid", _CLEAN)


class KidOpen(_Kernel):
    """KID on an openly licensed Inception."""

    spec: ClassVar[ProtocolSpec] = _spec("kid", _OPEN)


class _Infinity(FrameDistance):
    """FID fitted over 1 / N on parts of both sides made of whole clips; the parts are drawn with seed 0."""

    def compute(
        self, generated: Sequence[NDArray[np.float64]], truth: Sequence[NDArray[np.float64]]
    ) -> Mapping[str, float]:
        """The extrapolated distance and R² of the fit.

        Raises:
            Unscored: ``too_few`` for fewer than eight clips on a side.
        """
        # The seed belongs to the protocol: the same features always give the same number.
        fit = frechet_infinity(generated, truth, generator=np.random.default_rng(0))
        return {"fid-infinity": fit.value, "r2": fit.r_squared}


class FidInfinityPytorchFid(_Infinity):
    """FID∞ on features prepared as pytorch-fid does."""

    spec: ClassVar[ProtocolSpec] = _spec("fid-infinity", _PYTORCH)


class FidInfinityTorchFidelity(_Infinity):
    """FID∞ on features prepared as torch-fidelity does."""

    spec: ClassVar[ProtocolSpec] = _spec("fid-infinity", _FIDELITY)


class FidInfinityClean(_Infinity):
    """FID∞ on features prepared as clean-fid does."""

    spec: ClassVar[ProtocolSpec] = _spec("fid-infinity", _CLEAN)


class FidInfinityOpen(_Infinity):
    """FID∞ on an openly licensed Inception."""

    spec: ClassVar[ProtocolSpec] = _spec("fid-infinity", _OPEN)
