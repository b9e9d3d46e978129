"""I3D against cd-fvd with the same weights; StyleGAN-V's TorchScript against a scripted fake."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from emo_metrics.distances.frechet import frechet_distance
from emo_metrics.extractors.video_windows import STATE_DICT, TORCHSCRIPT, I3dCd, I3dStyleganV, prepare_i3d
from emo_metrics.metrics.fvd import FvdCdI3d, FvdStyleganV


@pytest.fixture(scope="module")
def videos(frames: np.ndarray) -> np.ndarray:
    return np.stack([np.concatenate([frames, frames[::-1]]), np.concatenate([frames[::2]] * 4)])[:, :, :120, :160]


@pytest.mark.reference
@pytest.mark.slow
@torch.inference_mode()
def test_logits_equal_cd_fvd(i3d_file: Path, videos: np.ndarray) -> None:
    network_module = pytest.importorskip("cdfvd.third_party.i3d.pytorch_i3d")
    utils = pytest.importorskip("cdfvd.third_party.i3d.utils")
    network = network_module.InceptionI3d(400, in_channels=3)
    network.load_state_dict(torch.load(i3d_file))
    prepared = utils.preprocess_i3d(videos)
    theirs = network.eval()(prepared).numpy()
    extractor = I3dCd({STATE_DICT: i3d_file})
    ours = np.stack([extractor.window_features(video) for video in videos])
    assert torch.equal(prepare_i3d(videos[0])[0], prepared[0])
    assert np.abs(theirs[0] - theirs[1]).mean() > 1e-2
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)


@pytest.mark.reference
def test_distance_equals_cd_fvd_with_its_population_covariance() -> None:
    module = pytest.importorskip("cdfvd.utils.metric_utils")
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(80, 12)).astype(np.float32), rng.normal(size=(90, 12)).astype(np.float32) * 1.2
    ours = FvdCdI3d().compute([a.astype(np.float64)], [b.astype(np.float64)])["fvd"]
    import scipy.linalg

    moments = []
    for part in (a, b):
        statistics = module.FeatureStats(capture_mean_cov=True)
        statistics.append(part)
        moments.append(statistics.get_mean_cov())
    (m1, s1), (m2, s2) = moments
    theirs = np.square(m1 - m2).sum() + np.trace(s1 + s2 - 2 * scipy.linalg.sqrtm(s1 @ s2).real)
    assert ours == pytest.approx(theirs, rel=1e-8)
    assert frechet_distance(a, b) != pytest.approx(ours, rel=1e-4)


def test_distance_of_the_styleganv_protocol_is_that_of_fvd_comparison_and_above_that_of_styleganv() -> None:
    import scipy.linalg

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(80, 12)), rng.normal(size=(80, 12)) * 1.2 + 0.1

    def by_hand(ddof: int) -> float:
        (m1, s1), (m2, s2) = ((part.mean(axis=0), np.cov(part, rowvar=False, ddof=ddof)) for part in (a, b))
        return float(np.square(m1 - m2).sum() + np.trace(s1 + s2 - 2 * scipy.linalg.sqrtm(s1 @ s2).real))

    ours = FvdStyleganV().compute([a], [b])["fvd"]
    assert ours == pytest.approx(by_hand(1), rel=1e-8)
    assert (1 - 1 / len(a)) * ours <= by_hand(0) < ours


class _FakeI3D(torch.nn.Module):
    """Takes the same call as StyleGAN-V's file: 0..255 in, flags for rescaling, resizing and features."""

    def forward(
        self, x: torch.Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> torch.Tensor:
        n, c, t, h, w = x.shape
        if resize:
            flat = x.permute(0, 2, 1, 3, 4).reshape(n * t, c, h, w)
            flat = F.interpolate(flat, size=(224, 224), mode="bilinear", align_corners=False)
            x = flat.reshape(n, t, c, 224, 224).permute(0, 2, 1, 3, 4)
        if rescale:
            x = 2.0 * x / 255.0 - 1.0
        result = x[:, :, :, ::28, ::28].reshape(n, -1)[:, :400]
        return result if return_features else result.softmax(dim=1)


def test_torchscript_is_called_with_its_flags(tmp_path: Path, videos: np.ndarray) -> None:
    path = tmp_path / TORCHSCRIPT
    torch.jit.script(_FakeI3D()).save(str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    extractor = I3dStyleganV({TORCHSCRIPT: path}, sha256=digest)
    expected = prepare_i3d(videos[0])[:, :, :, ::28, ::28].reshape(1, -1)[0, :400]
    np.testing.assert_allclose(extractor.window_features(videos[0]), expected.numpy(), rtol=0, atol=1e-5)


def test_torchscript_of_other_bytes_is_never_opened(tmp_path: Path) -> None:
    path = tmp_path / TORCHSCRIPT
    torch.jit.script(_FakeI3D()).save(str(path))
    with pytest.raises(ValueError, match="SHA-256"):
        I3dStyleganV({TORCHSCRIPT: path})
