"""LSE-C, LSE-D and the offset between video and audio as protocols; ``signals.sync_curve`` defines the measures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import numpy as np

from emo_metrics.contract import (
    ClipFeatures,
    ClipMetric,
    Direction,
    Family,
    Granularity,
    Need,
    ProtocolSpec,
    ValueSpec,
)
from emo_metrics.signals.sync_curve import SyncScores, sync_scores

VALUES: Final = (
    ValueSpec(key="lse-c", label="LSE-C", direction=Direction.HIGHER),
    ValueSpec(key="lse-d", label="LSE-D", direction=Direction.LOWER),
    # The clip's LSE-C once more, ranked by its distance from the ground truth's: speech need not beat real speech.
    ValueSpec(key="delta-sync", label="ΔSync", direction=Direction.CLOSER_TO_GT, primary=False),
    ValueSpec(
        key="offset", label="AV offset", direction=Direction.CLOSER_TO_GT, unit="frames", decimals=2, primary=False
    ),
    ValueSpec(key="lse-d-0", label="LSE-D@0", direction=Direction.LOWER, primary=False),
    ValueSpec(key="n-windows", label="windows", direction=Direction.HIGHER, decimals=0, primary=False),
    ValueSpec(key="n-tracks", label="tracks", direction=Direction.CLOSER_TO_GT, decimals=1, primary=False),
)


class _Sync(ClipMetric):
    """Scores each track of a clip, then joins the tracks."""

    def score_clip(self, generated: ClipFeatures, truth: ClipFeatures | None) -> Mapping[str, float]:
        """LSE-C, LSE-D, offset, LSE-D without shift, windows and tracks of one clip."""
        (extractor,) = self.spec.extractors
        arrays = generated.arrays[extractor]
        distances = np.asarray(arrays["distances"], dtype=np.float64)
        labels = np.asarray(arrays["track"])
        tracks = [sync_scores(distances[labels == label]) for label in np.unique(labels)]
        joined = self.joined(tracks)
        return {
            **joined,
            "delta-sync": joined["lse-c"],
            "n-windows": float(len(distances)),
            "n-tracks": float(len(tracks)),
        }

    @abstractmethod
    def joined(self, tracks: Sequence[SyncScores]) -> Mapping[str, float]:
        """One value of each kind from those of the tracks."""


def _spec(name: str, extractor: str, title: str, source: str, *, page: str) -> ProtocolSpec:
    return ProtocolSpec(
        name=name,
        title=title,
        family=Family.REFERENCE,
        granularity=Granularity.CLIP,
        values=VALUES,
        extractors=(extractor,),
        needs=frozenset({Need.AUDIO}),
        reads_audio_video_sync=True,
        source=source,
        page=page,
        order=20,
    )


class SyncJoonson(_Sync):
    """Means over tracks; the offset is that of the longest track."""

    spec: ClassVar[ProtocolSpec] = _spec(
        "sync/joonson@1",
        "syncnet/joonson@1",
        "SyncNet, tracks over 100 frames, mean over tracks",
        "github.com/joonson/syncnet_python; Chung and Zisserman 2016; Prajwal et al. 2020 (LSE)",
        page="sync-joonson",
    )

    def joined(self, tracks: Sequence[SyncScores]) -> Mapping[str, float]:
        """Means, and the offset of the longest track."""
        longest = max(tracks, key=lambda track: track.windows)
        return {
            "lse-c": float(np.mean([track.confidence for track in tracks])),
            "lse-d": float(np.mean([track.distance for track in tracks])),
            "offset": float(longest.offset),
            "lse-d-0": float(np.mean([track.distance_at_zero for track in tracks])),
        }


class SyncShort(SyncJoonson):
    """The same for tracks of more than 25 frames."""

    spec: ClassVar[ProtocolSpec] = _spec(
        "sync/joonson-short@1",
        "syncnet/short@1",
        "SyncNet, tracks over 25 frames, mean over tracks",
        "as sync/joonson@1 with a shorter least track; clips under 60 windows are biased",
        page="sync-joonson",
    )


class SyncMocha(_Sync):
    """The largest LSE-C and the smallest LSE-D of all tracks; the offset is that of the surest track."""

    spec: ClassVar[ProtocolSpec] = _spec(
        "sync/mocha@1",
        "syncnet/mocha@1",
        "SyncNet, tracks over 50 frames, best over tracks",
        "github.com/congwei1230/MoChaBench, eval-lipsync; package syncnet-python",
        page="sync-mocha",
    )

    def joined(self, tracks: Sequence[SyncScores]) -> Mapping[str, float]:
        """The best of each."""
        surest = max(tracks, key=lambda track: track.confidence)
        return {
            "lse-c": surest.confidence,
            "lse-d": min(track.distance for track in tracks),
            "offset": float(surest.offset),
            "lse-d-0": min(track.distance_at_zero for track in tracks),
        }
