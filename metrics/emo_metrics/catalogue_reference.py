"""Names of the reference protocols and their extractors; nothing is imported until one is used."""

from __future__ import annotations

from typing import Final

_NETWORKS: Final = "emo_metrics.networks"

EXTRACTORS: Final[dict[str, str]] = {
    "inception/pytorch-fid@1": f"{_NETWORKS}.inception_extractors:InceptionPytorchFid",
    "inception/torch-fidelity@1": f"{_NETWORKS}.inception_extractors:InceptionTorchFidelity",
    "inception/clean@1": f"{_NETWORKS}.inception_extractors:InceptionClean",
    "inception/open@1": f"{_NETWORKS}.open_inception:InceptionOpen",
    "i3d/styleganv@1": f"{_NETWORKS}.video_extractors:I3dStyleganV",
    "i3d/cd@1": f"{_NETWORKS}.video_extractors:I3dCd",
    "syncnet/joonson@1": f"{_NETWORKS}.sync_extractors:SyncNetJoonson",
    "syncnet/mocha@1": f"{_NETWORKS}.sync_extractors:SyncNetMocha",
    "syncnet/short@1": f"{_NETWORKS}.sync_extractors:SyncNetShort",
    "lpips-frames/alex@0.1": "emo_metrics.lpips_metric:LpipsAlexFrames",
    "lpips-frames/vgg@0.1": "emo_metrics.lpips_metric:LpipsVggFrames",
    "identity/arcface-w600k-r50@1": "emo_metrics.arcface:ArcFaceR50",
    "identity/arcface-glint-r100@1": "emo_metrics.arcface:ArcFaceR100",
    "expression/deep3d@1": "emo_metrics.deep3d:Deep3dExpression",
}
"""Extractor name -> ``module:Class``."""

METRICS: Final[dict[str, str]] = {
    "fid/pytorch-fid@1": "emo_metrics.fid:FidPytorchFid",
    "fid/torch-fidelity@1": "emo_metrics.fid:FidTorchFidelity",
    "fid/clean@1": "emo_metrics.fid:FidClean",
    "fid/open-inception@1": "emo_metrics.fid:FidOpen",
    "kid/pytorch-fid@1": "emo_metrics.fid:KidPytorchFid",
    "kid/torch-fidelity@1": "emo_metrics.fid:KidTorchFidelity",
    "kid/clean@1": "emo_metrics.fid:KidClean",
    "kid/open-inception@1": "emo_metrics.fid:KidOpen",
    "fid-infinity/pytorch-fid@1": "emo_metrics.fid:FidInfinityPytorchFid",
    "fid-infinity/torch-fidelity@1": "emo_metrics.fid:FidInfinityTorchFidelity",
    "fid-infinity/clean@1": "emo_metrics.fid:FidInfinityClean",
    "fid-infinity/open-inception@1": "emo_metrics.fid:FidInfinityOpen",
    "fvd/styleganv-16f@1": "emo_metrics.fvd:FvdStyleganV",
    "fvd/cd-i3d@1": "emo_metrics.fvd:FvdCdI3d",
    "kvd/styleganv-16f@1": "emo_metrics.fvd:KvdStyleganV",
    "kvd/cd-i3d@1": "emo_metrics.fvd:KvdCdI3d",
    "sync/joonson@1": "emo_metrics.sync:SyncJoonson",
    "sync/joonson-short@1": "emo_metrics.sync:SyncShort",
    "sync/mocha@1": "emo_metrics.sync:SyncMocha",
    "lpips/alex@0.1": "emo_metrics.lpips_metric:LpipsAlex",
    "lpips/vgg@0.1": "emo_metrics.lpips_metric:LpipsVgg",
    "f-sim/arcface-w600k-r50@1": "emo_metrics.arcface:FSimArcFaceR50",
    "f-sim/arcface-glint-r100@1": "emo_metrics.arcface:FSimArcFaceR100",
    "e-fid/deep3d-exp64@1": "emo_metrics.deep3d:EFidDeep3d",
}
"""Protocol name -> ``module:Class``."""
