"""What the synth family registers: names and where the classes are, nothing loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXTRACTORS: Final[Mapping[str, str]] = {
    "face/synth@1": "emo_metrics.synth.face:FaceSynth",
    "identity/synth@1": "emo_metrics.synth.face:IdentitySynth",
    "appearance/synth@1": "emo_metrics.synth.frames_and_windows:AppearanceSynth",
    "video/synth@1": "emo_metrics.synth.frames_and_windows:VideoSynth",
    "sync/synth@1": "emo_metrics.synth.sync:SyncSynth",
}
"""Extractor name -> ``module:Class``."""

METRICS: Final[Mapping[str, str]] = {
    "fid/synth@1": "emo_metrics.synth.set_metrics:FidSynth",
    "kid/synth@1": "emo_metrics.synth.set_metrics:KidSynth",
    "fid-infinity/synth@1": "emo_metrics.synth.set_metrics:FidInfinitySynth",
    "fvd/synth@1": "emo_metrics.synth.set_metrics:FvdSynth",
    "kvd/synth@1": "emo_metrics.synth.set_metrics:KvdSynth",
    "e-fid/synth@1": "emo_metrics.synth.set_metrics:EFidSynth",
    "sync/synth@1": "emo_metrics.synth.sync:SyncOnSynth",
    "f-sim/synth@1": "emo_metrics.synth.clip_metrics:FSimSynth",
    "head-velocity/synth@1": "emo_metrics.synth.clip_metrics:HeadVelocitySynth",
    "lmd/synth@1": "emo_metrics.synth.clip_metrics:LmdSynth",
    "mouth-audio/synth@1": "emo_metrics.synth.clip_metrics:MouthAudioSynth",
    "mouth-truth/synth@1": "emo_metrics.synth.clip_metrics:MouthTruth",
}
"""Protocol name -> ``module:Class``."""

SERIES: Final[Mapping[str, tuple[str, str, int | None]]] = {
    "mouth_opening": ("face/synth@1", "mouth", 0),
    "yaw": ("face/synth@1", "pose", 0),
    "pitch": ("face/synth@1", "pose", 1),
    "roll": ("face/synth@1", "pose", 2),
}
"""Trace for plots -> extractor, array, column (None for arrays of one column)."""

LAG_CURVES: Final[Mapping[str, tuple[str, str]]] = {"lag:sync/synth@1": ("sync/synth@1", "distances")}
"""Curve for plots -> extractor, array of distances between mouth and sound, one column a lag."""
