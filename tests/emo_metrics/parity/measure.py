"""Prints how far every step is from its reference: ``python tests/emo_metrics/parity/measure.py [NAME ...]``."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import conftest
import numpy as np
import torch

_FRAMES = conftest.smooth_frames(4)


def _images() -> torch.Tensor:
    return torch.from_numpy(_FRAMES).permute(0, 3, 1, 2)


def inception() -> dict[str, float]:
    import pytorch_fid.inception as pytorch_fid
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    from emo_metrics.extractors.inception_frames import (
        WEIGHTS,
        InceptionClean,
        InceptionPytorchFid,
        InceptionTorchFidelity,
    )
    from emo_metrics.networks.image_resize import prepare_clean
    from emo_metrics.networks.inception_fid import InceptionFid

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / WEIGHTS
        torch.save(conftest.randomise(InceptionFid(), 0).state_dict(), path)
        pytorch_fid.load_state_dict_from_url = lambda *_, **__: torch.load(path)
        first = pytorch_fid.InceptionV3([3]).eval()
        second = FeatureExtractorInceptionV3("i", ["2048"], feature_extractor_weights_path=str(path))
        kinds = (InceptionPytorchFid, InceptionTorchFidelity, InceptionClean)
        ours = {kind.name: kind({WEIGHTS: path}).features(_FRAMES) for kind in kinds}
    clean = prepare_clean(_FRAMES)
    for block in first.blocks:
        clean = block(clean)
    theirs = {
        "inception/pytorch-fid@1": first(_images().float() / 255)[0][:, :, 0, 0].numpy(),
        "inception/torch-fidelity@1": second(_images())[0].numpy(),
        "inception/clean@1": clean[:, :, 0, 0].numpy(),
    }
    result = {f"{name}: features, absolute": float(np.abs(ours[name] - theirs[name]).max()) for name in theirs}
    result["size of the features"] = float(np.abs(theirs["inception/clean@1"]).mean())
    return result


def frechet() -> dict[str, float]:
    from pytorch_fid.fid_score import calculate_frechet_distance

    from emo_metrics.distances.frechet import Moments, frechet_distance, frechet_from_moments

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(500, 64)), rng.normal(size=(400, 64)) * 1.3 + 0.1
    value = frechet_distance(a, b)
    theirs = calculate_frechet_distance(a.mean(0), np.cov(a.T), b.mean(0), np.cov(b.T))
    few = rng.normal(size=(40, 512)), rng.normal(size=(30, 512)) + 0.1
    short = frechet_distance(*few)
    streamed = frechet_from_moments(Moments.of(a), Moments.of(b))
    streamed_short = frechet_from_moments(Moments.of(few[0]), Moments.of(few[1]))
    return {
        "Fréchet distance against sqrtm, relative": abs(value - theirs) / value,
        "samples against moments, full rank, relative": abs(streamed - value) / value,
        "samples against moments, 40 in 512 dimensions, relative": abs(streamed_short - short) / short,
        "a set against itself": frechet_distance(few[0], few[0]),
    }


def kernel() -> dict[str, float]:
    from cleanfid.fid import kernel_distance
    from torch_fidelity.metric_kid import kid_features_to_metric

    from emo_metrics.distances.kernel import polynomial_mmd2

    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(60, 16)), rng.normal(size=(60, 16)) + 0.2
    options = {"kid_subset_size": 60, "kid_subsets": 1, "verbose": False}
    theirs = kid_features_to_metric(torch.from_numpy(a), torch.from_numpy(b), **options)
    value = polynomial_mmd2(a, b)
    clean = kernel_distance(a, b, num_subsets=1, max_subset_size=60)
    return {
        "KID against torch-fidelity, relative": abs(value - theirs["kernel_inception_distance_mean"]) / value,
        "KID against clean-fid, relative": abs(value - clean) / value,
    }


def i3d() -> dict[str, float]:
    from cdfvd.third_party.i3d.pytorch_i3d import InceptionI3d

    from emo_metrics.extractors.video_windows import prepare_i3d
    from emo_metrics.networks.folding import fold_batch_norms
    from emo_metrics.networks.i3d import I3d

    ours = conftest.randomise(I3d(), 1)
    theirs = InceptionI3d(400, in_channels=3)
    theirs.load_state_dict(ours.state_dict())
    x = prepare_i3d(np.concatenate([_FRAMES] * 4)[:, :, :120])
    expected = theirs.eval()(x)
    return {
        "I3D logits, absolute": float((fold_batch_norms(ours)(x) - expected).abs().max()),
        "size of the logits": float(expected.abs().mean()),
    }


def syncnet() -> dict[str, float]:
    import python_speech_features
    from syncnet_python.SyncNetModel import S

    from emo_metrics.networks.folding import fold_batch_norms
    from emo_metrics.networks.syncnet import SyncNet
    from emo_metrics.signals.mfcc import mfcc

    ours = conftest.randomise(SyncNet(), 2)
    assert isinstance(ours, SyncNet)
    ours.netcnnlip[0].weight.data.div_(128.0)
    theirs = S()
    theirs.load_state_dict(ours.state_dict())
    theirs.eval()
    fold_batch_norms(ours)
    frames = torch.randint(0, 256, (7, 3, 224, 224), generator=torch.Generator().manual_seed(0)).float()
    windows = torch.stack([frames[i : i + 5].transpose(0, 1) for i in range(3)])
    cepstra = torch.randn(3, 1, 13, 20, generator=torch.Generator().manual_seed(1)) * 10
    signal = (np.random.default_rng(0).normal(size=16000) * 3000).astype(np.int16)
    mouth = theirs.forward_lip(windows)
    cepstral = np.abs(mfcc(signal) - python_speech_features.mfcc(signal, 16000)).max()
    return {
        "MFCC against python_speech_features, absolute": float(cepstral),
        "SyncNet mouth embedding, absolute": float((ours.mouth(frames) - mouth).abs().max()),
        "SyncNet sound embedding, absolute": float((ours.sound(cepstra) - theirs.forward_aud(cepstra)).abs().max()),
        "size of the embeddings": float(mouth.abs().mean()),
    }


def intervals() -> dict[str, float]:
    from emo_metrics.statistics.self_test import simulate_coverage

    frames = simulate_coverage(unit="frame", generator=np.random.default_rng(0), runs=300, resamples=200)
    clips = simulate_coverage(unit="clip", generator=np.random.default_rng(0), runs=1000, resamples=1000)
    bca = simulate_coverage(unit="clip", generator=np.random.default_rng(0), runs=1000, resamples=1000, method="bca")
    return {
        "coverage of 95 % intervals over frames": frames.share,
        "coverage of 95 % intervals over clips (percentile)": clips.share,
        "coverage of 95 % intervals over clips (BCa)": bca.share,
        "width over frames": frames.mean_width,
        "width over clips": clips.mean_width,
    }


def bias() -> dict[str, float]:
    from emo_metrics.distances.frechet import frechet_distance
    from emo_metrics.distances.infinity import frechet_infinity

    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(800, 32)), rng.normal(size=(800, 32))
    rows_a, rows_b = [row[None] for row in a], [row[None] for row in b]
    both = frechet_infinity(rows_a, rows_b, generator=np.random.default_rng(0))
    one = frechet_infinity(rows_a, rows_b, generator=np.random.default_rng(0), both_sides=False)
    return {
        "Fréchet distance of equal Gaussians, 800 samples in 32 dimensions": frechet_distance(a, b),
        "extrapolated on the generated side only": one.value,
        "extrapolated on both sides": both.value,
        "R² of that fit": both.r_squared,
    }


MEASURES: dict[str, Callable[[], dict[str, float]]] = {
    function.__name__: function for function in (frechet, kernel, inception, i3d, syncnet, intervals, bias)
}


def main(names: list[str]) -> None:
    """Prints the chosen measures, or all of them."""
    torch.set_num_threads(1)
    for name in names or list(MEASURES):
        start = time.perf_counter()
        with torch.inference_mode():
            values = MEASURES[name]()
        sys.stdout.write(f"{name} ({time.perf_counter() - start:.0f} s)\n")
        for what, value in values.items():
            sys.stdout.write(f"  {what}: {value:.3g}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
