"""Per-clip protocols on the synth networks; the computation is that of the open family, see ``as_open``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import (
    ClipFeatures,
    ClipMetric,
    Direction,
    Family,
    Granularity,
    Need,
    ProtocolSpec,
    Unscored,
    ValueSpec,
)
from emo_metrics.extractors.loudness_pitch import AUDIO
from emo_metrics.faces.gaps import close_gaps, face_arrays, longest_gap
from emo_metrics.metrics.f_sim import FSimMobileFaceNet
from emo_metrics.metrics.head_motion import HeadVelocity
from emo_metrics.metrics.lmd import LmdInterocular
from emo_metrics.metrics.mouth_audio import MouthAudio
from emo_metrics.synth.as_open import as_open, as_open_or_none, synth_spec
from emo_metrics.synth.face import FACE, IDENTITY

TRUTH: Final = "truth/hdtf-synth@1"
"""Where the truth of a synthetic clip stands among the features of its ground truth."""
TRUTH_FPS: Final = 25
"""Rows of the truth a second."""
LEAST_FRAMES: Final = 25
_NONE: Final[frozenset[str]] = frozenset()


class FSimSynth(FSimMobileFaceNet):
    """Cosine between each frame's identity and that of the reference image, times 100."""

    spec: ClassVar[ProtocolSpec] = synth_spec(FSimMobileFaceNet.spec, "f-sim/synth@1", (FACE, IDENTITY), blind_to=_NONE)

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """As ``f-sim/mobilefacenet@1``."""
        return super().score_clip(as_open(generated), as_open_or_none(truth))


class HeadVelocitySynth(HeadVelocity):
    """Mean and variance of the head's rotation per frame."""

    spec: ClassVar[ProtocolSpec] = synth_spec(HeadVelocity.spec, "head-velocity/synth@1", (FACE,), blind_to=_NONE)

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """As ``head-velocity/mediapipe@1``."""
        return super().score_clip(as_open(generated), as_open_or_none(truth))


class LmdSynth(LmdInterocular):
    """Landmark distance to the ground truth in eye distances."""

    spec: ClassVar[ProtocolSpec] = synth_spec(LmdInterocular.spec, "lmd/synth@1", (FACE,), blind_to=_NONE)

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """As ``lmd/iod@1``."""
        return super().score_clip(as_open(generated), as_open_or_none(truth))


class MouthAudioSynth(MouthAudio):
    """Correlation of the mouth's opening with the loudness of the audio, and its lag."""

    floor: ClassVar[float] = 0.0  # measured on photographed faces only: docs/protocols/motion-floors.md
    spec: ClassVar[ProtocolSpec] = synth_spec(MouthAudio.spec, "mouth-audio/synth@1", (FACE, AUDIO), blind_to=_NONE)

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """As ``mouth-audio/mediapipe@2``."""
        return super().score_clip(as_open(generated), as_open_or_none(truth))


class MouthTruth(ClipMetric):
    """How well the mouth that is seen opens as the truth of HDTF-Synth says for this audio.

    ``mouth-truth`` is Lin's concordance correlation, ``2 cov / (var + var + (difference of means)²)``: 1 only when both
    curves are equal, 0 for a mouth that does not move. ``mouth-truth-r`` is Pearson's correlation, undefined for a
    mouth that does not move; ``mouth-truth-error`` the mean absolute difference in head units.
    """

    spec: ClassVar[ProtocolSpec] = ProtocolSpec(
        name="mouth-truth/synth@1",
        title="Mouth opening against the truth of HDTF-Synth",
        family=Family.SYNTH,
        granularity=Granularity.CLIP,
        values=(
            ValueSpec(key="mouth-truth", label="Mouth truth", direction=Direction.HIGHER),
            ValueSpec(key="mouth-truth-r", label="Mouth truth r", direction=Direction.HIGHER, primary=False),
            ValueSpec(
                key="mouth-truth-error",
                label="Mouth error",
                direction=Direction.LOWER,
                unit="half heads",
                decimals=4,
                primary=False,
            ),
        ),
        extractors=(FACE,),
        needs=frozenset({Need.TRUTH}),
        source="docs/protocols/synth.md; Lin, Biometrics 45 (1989)",
        page="synth",
    )

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """The three values of one clip.

        Raises:
            Unscored: ``no_face``; ``not_applicable`` without truth or at another frame rate than 25; ``too_short`` with
                fewer than 25 known frames; ``undefined`` when the true mouth never moves.
        """
        known = {} if truth is None else truth.arrays.get(TRUTH, {})
        if "mouth_opening" not in known:
            raise Unscored("not_applicable", f"clip {generated.clip_id!r} is not of HDTF-Synth: it has no truth")
        if generated.fps != TRUTH_FPS:
            raise Unscored("not_applicable", f"the truth has 25 frames a second, the clip {generated.fps}")
        wanted = np.asarray(known["mouth_opening"], dtype=np.float64)
        seen = mouth_opening(generated)
        count = min(len(seen), len(wanted))
        valid = np.isfinite(seen[:count])
        if valid.sum() < LEAST_FRAMES:
            raise Unscored("too_short", f"{int(valid.sum())} frames with a mouth; {LEAST_FRAMES} are needed")
        a, b = seen[:count][valid], wanted[:count][valid]
        if np.ptp(b) == 0:
            raise Unscored("undefined", f"the true mouth of clip {generated.clip_id!r} never moves")
        return {
            "mouth-truth": concordance(a, b),
            "mouth-truth-r": float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) > 1e-9 else float("nan"),
            "mouth-truth-error": float(np.abs(a - b).mean()),
        }


def mouth_opening(clip: ClipFeatures) -> NDArray[np.float64]:
    """Height of the gap between the lips in head units, ``float64 [n]``; short gaps closed, longer ones NaN.

    Raises:
        Unscored: ``no_face`` when more than a fifth of the frames has none.
    """
    face_arrays(as_open(clip))
    opening = np.asarray(clip.arrays[FACE]["mouth"], dtype=np.float64)[:, 0]
    return close_gaps(opening, longest=longest_gap(clip))


def concordance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Lin's concordance correlation of two equally long signals, one of which varies.

    >>> concordance(np.array([0.0, 1.0]), np.array([0.0, 1.0])), concordance(np.array([1.0, 1.0]), np.array([0.0, 1.0]))
    (1.0, 0.0)
    """
    covariance = float(np.mean((a - a.mean()) * (b - b.mean())))
    return 2.0 * covariance / float(a.var() + b.var() + (a.mean() - b.mean()) ** 2)
