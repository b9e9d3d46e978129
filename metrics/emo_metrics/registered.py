"""Every extractor and protocol of this package by name, and where its class is; nothing is imported before its use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXTRACTORS: Final[Mapping[str, str]] = {
    # open networks and plain computations
    "face/mediapipe-landmarker@1": "emo_metrics.extractors.face_landmarks:FaceAnalysis",
    "identity/mobilefacenet@1": "emo_metrics.extractors.mobilefacenet:MobileFaceNet",
    "expression/3ddfa-v2@1": "emo_metrics.extractors.morphable_face:MorphableFace",
    "audio/loudness-pitch@1": "emo_metrics.extractors.loudness_pitch:LoudnessAndPitch",
    "pixels/psnr-ssim@1": "emo_metrics.extractors.paired_pixels:PairedPixels",
    "brisque/frames@1": "emo_metrics.extractors.brisque_frames:BrisqueFrames",
    "clip-iqa/frames@1": "emo_metrics.extractors.clip_quality_frames:ClipQualityFrames",
    "face-crop/quality@2": "emo_metrics.extractors.face_crop_quality:FaceCropQuality",
    "sync/open@1": "emo_metrics.extractors.open_sync:SyncOpen",
    "pixels/flicker@1": "emo_metrics.extractors.flicker_pixels:FlickerPixels",
    # the networks that papers use
    "inception/pytorch-fid@1": "emo_metrics.extractors.inception_frames:InceptionPytorchFid",
    "inception/torch-fidelity@1": "emo_metrics.extractors.inception_frames:InceptionTorchFidelity",
    "inception/clean@1": "emo_metrics.extractors.inception_frames:InceptionClean",
    "inception/open@1": "emo_metrics.extractors.open_inception:InceptionOpen",
    "i3d/styleganv@1": "emo_metrics.extractors.video_windows:I3dStyleganV",
    "i3d/cd@1": "emo_metrics.extractors.video_windows:I3dCd",
    "syncnet/joonson@1": "emo_metrics.extractors.sync_windows:SyncNetJoonson",
    "syncnet/mocha@1": "emo_metrics.extractors.sync_windows:SyncNetMocha",
    "syncnet/short@1": "emo_metrics.extractors.sync_windows:SyncNetShort",
    "lpips-frames/alex@0.1": "emo_metrics.extractors.lpips_frames:LpipsAlexFrames",
    "lpips-frames/vgg@0.1": "emo_metrics.extractors.lpips_frames:LpipsVggFrames",
    "identity/arcface-w600k-r50@1": "emo_metrics.extractors.arcface:ArcFaceR50",
    "identity/arcface-glint-r100@1": "emo_metrics.extractors.arcface:ArcFaceR100",
    "expression/deep3d@1": "emo_metrics.extractors.deep3d_expression:Deep3dExpression",
    # the networks of HDTF-Synth
    "face/synth@1": "emo_metrics.extractors.synth_face:FaceSynth",
    "identity/synth@1": "emo_metrics.extractors.synth_face:IdentitySynth",
    "appearance/synth@1": "emo_metrics.extractors.synth_frames:AppearanceSynth",
    "video/synth@1": "emo_metrics.extractors.synth_frames:VideoSynth",
    "sync/synth@1": "emo_metrics.extractors.synth_sync:SyncSynth",
}
"""Extractor name -> ``module:Class``."""

METRICS: Final[Mapping[str, str]] = {
    "f-sim/mobilefacenet@1": "emo_metrics.metrics.f_sim:FSimMobileFaceNet",
    "e-fid/mediapipe-52@1": "emo_metrics.metrics.e_fid:EFidMediaPipe",
    "e-fid/3ddfa-exp10@1": "emo_metrics.metrics.e_fid:EFid3ddfa",
    "lmd/px@1": "emo_metrics.metrics.lmd:LmdPixels",
    "lmd/iod@1": "emo_metrics.metrics.lmd:LmdInterocular",
    "head-velocity/mediapipe@1": "emo_metrics.metrics.head_motion:HeadVelocity",
    "psnr/rgb@1": "emo_metrics.metrics.psnr_ssim:Psnr",
    "ssim/gauss11@1": "emo_metrics.metrics.psnr_ssim:Ssim",
    "mouth-audio/mediapipe@2": "emo_metrics.metrics.mouth_audio:MouthAudio",
    "blink-rate/mediapipe@1": "emo_metrics.metrics.blink:BlinkRate",
    "blink-length/mediapipe@1": "emo_metrics.metrics.blink:BlinkLength",
    "expressiveness/mediapipe@2": "emo_metrics.metrics.expressiveness:Expressiveness",
    "beat-alignment/mediapipe@2": "emo_metrics.metrics.beat_alignment:BeatAlignment",
    "brisque/live@1": "emo_metrics.metrics.brisque:Brisque",
    "clip-iqa/transformers@1": "emo_metrics.metrics.clip_iqa:ClipIqa",
    "sharpness/face@1": "emo_metrics.metrics.face_sharpness:FaceSharpness",
    "drift/open@2": "emo_metrics.metrics.drift:Drift",
    "drift-sync/open@1": "emo_metrics.metrics.sync_drift:SyncDrift",
    "emotion/mediapipe@1": "emo_metrics.metrics.emotion:Emotion",
    "pose-fd/mediapipe@1": "emo_metrics.metrics.motion_distance:PoseDistance",
    "landmark-velocity-fd/mediapipe@1": "emo_metrics.metrics.motion_distance:LandmarkVelocityDistance",
    "sync/open@1": "emo_metrics.metrics.open_lip_sync:SyncOpenProtocol",
    "flicker/luma@1": "emo_metrics.metrics.flicker:Flicker",
    "fid/pytorch-fid@1": "emo_metrics.metrics.fid:FidPytorchFid",
    "fid/torch-fidelity@1": "emo_metrics.metrics.fid:FidTorchFidelity",
    "fid/clean@1": "emo_metrics.metrics.fid:FidClean",
    "fid/open-inception@1": "emo_metrics.metrics.fid:FidOpen",
    "kid/pytorch-fid@1": "emo_metrics.metrics.fid:KidPytorchFid",
    "kid/torch-fidelity@1": "emo_metrics.metrics.fid:KidTorchFidelity",
    "kid/clean@1": "emo_metrics.metrics.fid:KidClean",
    "kid/open-inception@1": "emo_metrics.metrics.fid:KidOpen",
    "fid-infinity/pytorch-fid@1": "emo_metrics.metrics.fid:FidInfinityPytorchFid",
    "fid-infinity/torch-fidelity@1": "emo_metrics.metrics.fid:FidInfinityTorchFidelity",
    "fid-infinity/clean@1": "emo_metrics.metrics.fid:FidInfinityClean",
    "fid-infinity/open-inception@1": "emo_metrics.metrics.fid:FidInfinityOpen",
    "fvd/styleganv-16f@1": "emo_metrics.metrics.fvd:FvdStyleganV",
    "fvd/cd-i3d@1": "emo_metrics.metrics.fvd:FvdCdI3d",
    "kvd/styleganv-16f@1": "emo_metrics.metrics.fvd:KvdStyleganV",
    "kvd/cd-i3d@1": "emo_metrics.metrics.fvd:KvdCdI3d",
    "sync/joonson@1": "emo_metrics.metrics.lip_sync:SyncJoonson",
    "sync/joonson-short@1": "emo_metrics.metrics.lip_sync:SyncShort",
    "sync/mocha@1": "emo_metrics.metrics.lip_sync:SyncMocha",
    "lpips/alex@0.1": "emo_metrics.metrics.lpips:LpipsAlex",
    "lpips/vgg@0.1": "emo_metrics.metrics.lpips:LpipsVgg",
    "f-sim/arcface-w600k-r50@1": "emo_metrics.metrics.f_sim:FSimArcFaceR50",
    "f-sim/arcface-glint-r100@1": "emo_metrics.metrics.f_sim:FSimArcFaceR100",
    "e-fid/deep3d-exp64@1": "emo_metrics.metrics.e_fid:EFidDeep3d",
    "fid/synth@1": "emo_metrics.metrics.synth_sets:FidSynth",
    "kid/synth@1": "emo_metrics.metrics.synth_sets:KidSynth",
    "fid-infinity/synth@1": "emo_metrics.metrics.synth_sets:FidInfinitySynth",
    "fvd/synth@1": "emo_metrics.metrics.synth_sets:FvdSynth",
    "kvd/synth@1": "emo_metrics.metrics.synth_sets:KvdSynth",
    "e-fid/synth@1": "emo_metrics.metrics.synth_sets:EFidSynth",
    "sync/synth@1": "emo_metrics.metrics.synth_lip_sync:SyncOnSynth",
    "f-sim/synth@1": "emo_metrics.metrics.synth_clips:FSimSynth",
    "head-velocity/synth@1": "emo_metrics.metrics.synth_clips:HeadVelocitySynth",
    "lmd/synth@1": "emo_metrics.metrics.synth_clips:LmdSynth",
    "mouth-audio/synth@1": "emo_metrics.metrics.synth_clips:MouthAudioSynth",
    "mouth-truth/synth@1": "emo_metrics.metrics.synth_clips:MouthTruth",
}
"""Protocol name -> ``module:Class``; everything else about a protocol is in its class's ``spec``."""

SERIES: Final[tuple[tuple[str, tuple[str, str, int | None]], ...]] = (
    ("mouth_opening", ("face/mediapipe-landmarker@1", "blendshapes", 25)),
    ("yaw", ("face/mediapipe-landmarker@1", "pose_degrees", 0)),
    ("pitch", ("face/mediapipe-landmarker@1", "pose_degrees", 1)),
    ("roll", ("face/mediapipe-landmarker@1", "pose_degrees", 2)),
    ("loudness_db", ("audio/loudness-pitch@1", "loudness_db", None)),
    ("pitch_hz", ("audio/loudness-pitch@1", "pitch_hz", None)),
    ("mouth_opening", ("face/synth@1", "mouth", 0)),
    ("yaw", ("face/synth@1", "pose", 0)),
    ("pitch", ("face/synth@1", "pose", 1)),
    ("roll", ("face/synth@1", "pose", 2)),
)
"""Trace for plots, and its extractor, array and column (None for arrays of one column); the first available counts."""

IDENTITY_SERIES: Final[tuple[str, ...]] = (
    "identity/arcface-glint-r100@1",
    "identity/arcface-w600k-r50@1",
    "identity/mobilefacenet@1",
    "identity/synth@1",
)
"""Extractors of ``embedding`` and ``reference_embedding``; the first available gives the trace ``identity``."""

SYNC_SERIES: Final[tuple[tuple[str, int], ...]] = (
    ("syncnet/joonson@1", 2),
    ("syncnet/short@1", 2),
    ("syncnet/mocha@1", 2),
    ("sync/open@1", 6),
    ("sync/synth@1", 4),
)
"""Extractors of ``distances`` at 25 fps, and how many frames lie before the middle of a window; the first available
gives the trace ``sync_distance``."""

LAG_CURVES: Final[Mapping[str, tuple[str, str]]] = {
    "lag:sync/synth@1": ("sync/synth@1", "distances"),
}
"""Curve for plots -> extractor, array of distances between mouth and audio, one column a lag."""
