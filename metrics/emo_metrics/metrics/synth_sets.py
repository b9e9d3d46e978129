"""Distances between sets on the synth networks: FID, KID, FID∞, FVD, KVD and E-FID."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import AFTER_THE_PAPER, ClipFeatures, Family, Granularity, Need, ProtocolSpec, ValueSpec
from emo_metrics.extractors.synth_frames import APPEARANCE, VIDEO
from emo_metrics.metrics.e_fid import VALUES as E_FID_VALUES
from emo_metrics.metrics.e_fid import _ExpressionDistance
from emo_metrics.metrics.fid import FID_VALUES, INFINITY_VALUES, KID_VALUES, FidInfinityOpen, FrameDistance, KidOpen
from emo_metrics.metrics.fvd import FVD_VALUES, KVD_VALUES, KvdCdI3d
from emo_metrics.synth.as_open import as_open
from emo_metrics.synth.face import EXPRESSION_NAMES, FACE

_ANOTHER_ORDER: Final = frozenset({"other_identity"})
"""The videos of other people in the set are the same videos in another order, which a distance of sets cannot see."""


def _spec(
    name: str,
    title: str,
    values: tuple[ValueSpec, ...],
    extractor: str,
    *,
    minimum: int = 2,
    blind_to: frozenset[str] = _ANOTHER_ORDER,
) -> ProtocolSpec:
    return ProtocolSpec(
        name=name,
        title=f"{title} (HDTF-Synth network)",
        family=Family.SYNTH,
        granularity=Granularity.SET,
        values=values,
        extractors=(extractor,),
        needs=frozenset({Need.GROUND_TRUTH}),
        minimum_samples=minimum,
        blind_to=blind_to,
        source="docs/protocols/synth.md",
        page="synth",
        order={"fid": 10, "fvd": 40, "e-fid": 50}.get(values[0].key, AFTER_THE_PAPER),
    )


class FidSynth(FrameDistance):
    """Fréchet distance of frames."""

    spec: ClassVar[ProtocolSpec] = _spec("fid/synth@1", "Fréchet distance of frames", FID_VALUES, APPEARANCE)


class KidSynth(KidOpen):
    """Kernel distance of frames, times 1000."""

    spec: ClassVar[ProtocolSpec] = _spec("kid/synth@1", "Kernel distance of frames x 1000", KID_VALUES, APPEARANCE)


class FidInfinitySynth(FidInfinityOpen):
    """Fréchet distance of frames extrapolated to infinitely many clips."""

    spec: ClassVar[ProtocolSpec] = _spec(
        "fid-infinity/synth@1", "Fréchet distance of frames without sampling bias", INFINITY_VALUES, APPEARANCE
    )


class FvdSynth(FrameDistance):
    """Fréchet distance of windows of 16 frames."""

    spec: ClassVar[ProtocolSpec] = _spec("fvd/synth@1", "Fréchet distance of videos", FVD_VALUES, VIDEO)


class KvdSynth(KvdCdI3d):
    """Kernel distance of windows of 16 frames."""

    spec: ClassVar[ProtocolSpec] = _spec("kvd/synth@1", "Kernel distance of videos", KVD_VALUES, VIDEO)


class EFidSynth(_ExpressionDistance):
    """Fréchet distance of the 26 expression coefficients of all frames with a face."""

    extractor: ClassVar[str] = FACE
    array: ClassVar[str] = "expression"
    spec: ClassVar[ProtocolSpec] = _spec(
        "e-fid/synth@1", "Expression Fréchet distance", E_FID_VALUES, FACE, minimum=len(EXPRESSION_NAMES) + 1
    )

    def samples(self, clip: ClipFeatures) -> NDArray[np.float64]:
        """One row per frame with a face.

        Raises:
            Unscored: ``no_face`` when more than a fifth of the frames has none.
        """
        return super().samples(as_open(clip))
