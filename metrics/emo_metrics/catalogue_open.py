"""What the open family and the motion protocols register: names and where the classes are, nothing loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXTRACTORS: Final[Mapping[str, str]] = {
    "face/mediapipe-landmarker@1": "emo_metrics.faces.analysis:FaceAnalysis",
    "identity/mobilefacenet@1": "emo_metrics.faces.mobilefacenet:MobileFaceNet",
    "expression/3ddfa-v2@1": "emo_metrics.faces.expression_3ddfa:MorphableFace",
    "audio/loudness-pitch@1": "emo_metrics.audio_features:LoudnessAndPitch",
    "pixels/psnr-ssim@1": "emo_metrics.image_similarity:PairedPixels",
    "pixels/flicker@1": "emo_metrics.flicker:FlickerPixels",
}
"""Extractor name -> ``module:Class``."""

METRICS: Final[Mapping[str, str]] = {
    "f-sim/mobilefacenet@1": "emo_metrics.f_sim:FSimMobileFaceNet",
    "e-fid/mediapipe-52@1": "emo_metrics.e_fid:EFidMediaPipe",
    "e-fid/3ddfa-exp10@1": "emo_metrics.e_fid:EFid3ddfa",
    "lmd/px@1": "emo_metrics.lmd:LmdPixels",
    "lmd/iod@1": "emo_metrics.lmd:LmdInterocular",
    "head-velocity/mediapipe@1": "emo_metrics.head_motion:HeadVelocity",
    "psnr/rgb@1": "emo_metrics.image_similarity:Psnr",
    "ssim/gauss11@1": "emo_metrics.image_similarity:Ssim",
    "mouth-audio/mediapipe@1": "emo_metrics.mouth_audio:MouthAudio",
    "blink-rate/mediapipe@1": "emo_metrics.blink:BlinkRate",
    "blink-length/mediapipe@1": "emo_metrics.blink:BlinkLength",
    "expressiveness/mediapipe@1": "emo_metrics.expressiveness:Expressiveness",
    "beat-alignment/mediapipe@1": "emo_metrics.beat_alignment:BeatAlignment",
    "flicker/luma@1": "emo_metrics.flicker:Flicker",
}
"""Protocol name -> ``module:Class``."""

SERIES: Final[Mapping[str, tuple[str, str, int | None]]] = {
    "mouth_opening": ("face/mediapipe-landmarker@1", "blendshapes", 25),
    "yaw": ("face/mediapipe-landmarker@1", "pose_degrees", 0),
    "pitch": ("face/mediapipe-landmarker@1", "pose_degrees", 1),
    "roll": ("face/mediapipe-landmarker@1", "pose_degrees", 2),
    "loudness_db": ("audio/loudness-pitch@1", "loudness_db", None),
    "pitch_hz": ("audio/loudness-pitch@1", "pitch_hz", None),
}
"""Trace for plots -> extractor, array, column (None for arrays of one column)."""
