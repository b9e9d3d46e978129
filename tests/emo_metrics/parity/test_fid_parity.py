"""FID against pytorch-fid, torch-fidelity and clean-fid, all with the same weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from emo_metrics.distances.frechet import frechet_distance
from emo_metrics.distances.kernel import polynomial_mmd2
from emo_metrics.extractors.inception_frames import WEIGHTS, InceptionClean, InceptionPytorchFid, InceptionTorchFidelity
from emo_metrics.metrics.fid import FidPytorchFid, KidPytorchFid
from emo_metrics.networks.image_resize import prepare_clean, prepare_torch_fidelity

pytestmark = [pytest.mark.reference, pytest.mark.slow]


@pytest.fixture(scope="module")
def ours(inception_file: Path, frames: np.ndarray) -> dict[str, np.ndarray]:
    kinds = (InceptionPytorchFid, InceptionTorchFidelity, InceptionClean)
    with torch.inference_mode():
        return {kind.name: kind({WEIGHTS: inception_file}).features(frames) for kind in kinds}


@pytest.fixture(scope="module")
def pytorch_fid_network(inception_file: Path) -> torch.nn.Module:
    inception = pytest.importorskip("pytorch_fid.inception")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: torch.load(inception_file))
        return inception.InceptionV3([3]).eval()


@torch.inference_mode()
def test_pytorch_fid_features(
    ours: dict[str, np.ndarray], pytorch_fid_network: torch.nn.Module, frames: np.ndarray
) -> None:
    x = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    theirs = pytorch_fid_network(x)[0][:, :, 0, 0].numpy()
    assert theirs.std(axis=0).mean() > 1e-2
    np.testing.assert_allclose(ours["inception/pytorch-fid@1"], theirs, rtol=0, atol=1e-4)


@torch.inference_mode()
def test_torch_fidelity_features(ours: dict[str, np.ndarray], inception_file: Path, frames: np.ndarray) -> None:
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    network = module.FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(inception_file)
    )
    theirs = network(torch.from_numpy(frames).permute(0, 3, 1, 2))[0].numpy()
    np.testing.assert_allclose(ours["inception/torch-fidelity@1"], theirs, rtol=0, atol=1e-4)


def test_tensorflow_resize_is_bit_equal(frames: np.ndarray) -> None:
    module = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow")
    x = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    theirs = module.interpolate_bilinear_2d_like_tensorflow1x(x, size=(299, 299), align_corners=False)
    assert torch.equal(prepare_torch_fidelity(frames), (theirs - 128) / 128)


@torch.inference_mode()
def test_clean_fid_features(
    ours: dict[str, np.ndarray], inception_file: Path, pytorch_fid_network: torch.nn.Module, frames: np.ndarray
) -> None:
    resize = pytest.importorskip("cleanfid.resize").make_resizer("PIL", False, "bicubic", (299, 299))
    resized = np.stack([resize(frame) for frame in frames])
    prepared = (torch.from_numpy(resized).permute(0, 3, 1, 2) - 128) / 128
    assert torch.equal(prepare_clean(frames), prepared)
    blocks = prepared
    for block in pytorch_fid_network.blocks:
        blocks = block(blocks)
    np.testing.assert_allclose(ours["inception/clean@1"], blocks[:, :, 0, 0].numpy(), rtol=0, atol=1e-4)


def test_fid_of_full_rank_features_equals_pytorch_fid() -> None:
    score = pytest.importorskip("pytorch_fid.fid_score")
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(500, 64)), rng.normal(size=(400, 64)) * 1.3 + 0.1
    statistics = [(x.mean(axis=0), np.cov(x, rowvar=False)) for x in (a, b)]
    (m1, s1), (m2, s2) = statistics
    theirs = score.calculate_frechet_distance(m1, s1, m2, s2)
    assert frechet_distance(a, b) == pytest.approx(theirs, rel=1e-10)


def test_fid_of_inception_features_equals_pytorch_fid(ours: dict[str, np.ndarray]) -> None:
    score = pytest.importorskip("pytorch_fid.fid_score")
    features = ours["inception/pytorch-fid@1"].astype(np.float64)
    # A few of the 2048 dimensions: with 8 frames their whole covariance has no root that sqrtm could find.
    a, b = features[:4, :3], features[4:, :3]
    theirs = score.calculate_frechet_distance(a.mean(0), np.cov(a.T), b.mean(0), np.cov(b.T))
    ours_value = FidPytorchFid().compute([a[:2], a[2:]], [b])["fid"]
    assert ours_value == pytest.approx(theirs, rel=1e-4)


def test_fid_of_few_frames_equals_torch_fidelity(ours: dict[str, np.ndarray]) -> None:
    metric = pytest.importorskip("torch_fidelity.metric_fid")
    features = torch.from_numpy(ours["inception/torch-fidelity@1"][:, :256]).double()
    statistics = [metric.fid_features_to_statistics(part) for part in (features[:4], features[4:])]
    theirs = metric.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(features[:4].numpy(), features[4:].numpy()) == pytest.approx(theirs, rel=1e-4)


def test_kid_equals_torch_fidelity() -> None:
    kid = pytest.importorskip("torch_fidelity.metric_kid")
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(60, 16)), rng.normal(size=(60, 16)) + 0.2
    theirs = kid.kid_features_to_metric(
        torch.from_numpy(a), torch.from_numpy(b), kid_subset_size=60, kid_subsets=1, verbose=False
    )
    assert polynomial_mmd2(a, b) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-10)
    assert KidPytorchFid().compute([a], [b])["kid"] == pytest.approx(1000 * polynomial_mmd2(a, b), rel=1e-12)


def test_kid_and_fid_equal_clean_fid() -> None:
    fid = pytest.importorskip("cleanfid.fid")
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(60, 16)), rng.normal(size=(60, 16)) + 0.2
    # One subset of all samples: which of them come first does not matter, and nothing is left to chance.
    theirs = fid.kernel_distance(a, b, num_subsets=1, max_subset_size=60)
    assert polynomial_mmd2(a, b) == pytest.approx(theirs, rel=1e-10)
    moments = [(x.mean(axis=0), np.cov(x, rowvar=False)) for x in (a, b)]
    assert frechet_distance(a, b) == pytest.approx(fid.frechet_distance(*moments[0], *moments[1]), rel=1e-10)


@torch.inference_mode()
def test_torchmetrics_without_antialias_is_torch_fidelity(
    ours: dict[str, np.ndarray], inception_file: Path, frames: np.ndarray
) -> None:
    image_fid = pytest.importorskip("torchmetrics.image.fid")
    network = image_fid.NoTrainInceptionV3("inception-v3-compat", ["2048"], str(inception_file))
    assert ours["inception/torch-fidelity@1"].shape == (8, 2048)
    metric = image_fid.FrechetInceptionDistance(feature=network, antialias=False)
    images = torch.from_numpy(frames).permute(0, 3, 1, 2)
    metric.update(images[:4], real=True)
    metric.update(images[4:], real=False)
    features = ours["inception/torch-fidelity@1"].astype(np.float64)
    # With 8 frames in 2048 dimensions its eigenvalues are mostly rounding noise, whose roots add up.
    assert frechet_distance(features[:4], features[4:]) == pytest.approx(float(metric.compute()), rel=5e-3)
