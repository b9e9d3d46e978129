from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from torchmetrics import MetricCollection

from emo_metrics.contract import FrameArray, Unscored
from emo_metrics.distances.frechet import frechet_distance
from emo_metrics.distances.kernel import polynomial_mmd2
from emo_metrics.training.modules import (
    FrechetDistance,
    FrechetInceptionDistance,
    FrechetVideoDistance,
    KernelDistance,
    PerceptualDistance,
)


class _MeanColour:
    def features(self, frames: FrameArray) -> np.ndarray:
        return frames.mean(axis=(1, 2)).astype(np.float32)

    def window_features(self, frames: FrameArray) -> np.ndarray:
        return frames.mean(axis=(0, 1, 2)).astype(np.float32)

    def distance(self, generated: FrameArray, truth: FrameArray) -> float:
        return float(np.abs(generated.astype(float) - truth).mean())


def _features(seed: int, n: int = 60, d: int = 5) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)) + seed)


def test_batches_and_reset() -> None:
    a, b = _features(0), _features(1, 50)
    metric = FrechetDistance(5)
    for part in a.split(7):
        metric.update(part, real=False)
    metric.update(b, real=True)
    expected = frechet_distance(a.numpy(), b.numpy())
    assert float(metric.compute()) == pytest.approx(expected, rel=1e-10)
    metric.reset()
    with pytest.raises(Unscored, match="too_few"):
        metric.compute()
    metric.update(a, real=False)
    metric.update(a, real=True)
    assert float(metric.compute()) == 0.0


def test_forward_keeps_what_came_before() -> None:
    metric = FrechetDistance(5)
    metric.update(_features(1), real=True)
    metric.update(_features(0), real=False)
    both = FrechetDistance(5)
    both.update(_features(1), real=True)
    both.update(torch.cat([_features(0), _features(2)]), real=False)
    metric.update(_features(2), real=False)
    assert float(metric.compute()) == pytest.approx(float(both.compute()), rel=1e-10)


def test_images_videos_and_pairs() -> None:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, size=(20, 3, 8, 8), dtype=np.uint8))
    fid = FrechetInceptionDistance(_MeanColour(), width=3)
    fid.update(images[:10], real=True)
    fid.update(images[10:], real=False)
    colours = images.numpy().mean(axis=(2, 3)).astype(np.float32)
    assert float(fid.compute()) == pytest.approx(frechet_distance(colours[10:], colours[:10]), rel=1e-8)

    videos = torch.from_numpy(rng.integers(0, 256, size=(8, 16, 3, 4, 4), dtype=np.uint8))
    fvd = FrechetVideoDistance(_MeanColour(), width=3)
    fvd.update(videos[:4], real=True)
    fvd.update(videos[4:], real=False)
    assert float(fvd.compute()) >= 0.0

    lpips = PerceptualDistance(_MeanColour())
    lpips.update(images[:4], images[:4])
    lpips.update(images[:4], 255 - images[:4])
    expected = (np.abs(2.0 * images[:4].numpy() - 255)).mean() / 2
    assert float(lpips.compute()) == pytest.approx(expected)


class _Contrast(_MeanColour):
    def features(self, frames: FrameArray) -> np.ndarray:
        return frames.std(axis=(1, 2)).astype(np.float32)

    def distance(self, generated: FrameArray, truth: FrameArray) -> float:
        return 2 * super().distance(generated, truth)


def test_two_extractors_in_a_collection_keep_their_own_numbers() -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, size=(20, 3, 8, 8), dtype=np.uint8))
    black = torch.zeros_like(images[:4])  # the first batch looks the same to both extractors
    both = {"colour": _MeanColour(), "contrast": _Contrast()}
    pairs = MetricCollection({name: PerceptualDistance(extractor) for name, extractor in both.items()})
    for batch in (black, images):
        pairs.update(batch, torch.zeros_like(batch))
    lpips = {name: float(value) for name, value in pairs.compute().items()}
    assert lpips["contrast"] == pytest.approx(2 * lpips["colour"])

    fids = MetricCollection({name: FrechetInceptionDistance(extractor, width=3) for name, extractor in both.items()})
    for batch, real in ((black, True), (images[:10], True), (images[10:], False)):
        fids.update(batch, real=real)
    alone = FrechetInceptionDistance(both["contrast"], width=3)
    alone.update(torch.cat([black, images[:10]]), real=True)
    alone.update(images[10:], real=False)
    assert float(fids.compute()["contrast"]) == pytest.approx(float(alone.compute()), rel=1e-8)


def test_floats_and_wrong_shapes_are_refused() -> None:
    fid, lpips = FrechetInceptionDistance(_MeanColour(), width=3), PerceptualDistance(_MeanColour())
    for wrong in (torch.rand(2, 3, 8, 8), torch.zeros(2, 8, 8, 3, dtype=torch.uint8), torch.zeros(3, 8, 8)):
        with pytest.raises(TypeError, match="uint8 RGB"):
            fid.update(wrong, real=True)
    with pytest.raises(TypeError, match="16, 3"):
        FrechetVideoDistance(_MeanColour()).update(torch.zeros(1, 9, 3, 4, 4, dtype=torch.uint8), real=True)
    with pytest.raises(ValueError, match="one shape"):
        lpips.update(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
    with pytest.raises(Unscored):
        lpips.compute()


def test_kernel_distance_of_batches() -> None:
    a, b = _features(0), _features(1)
    metric = KernelDistance()
    for part in a.split(13):
        metric.update(part, real=False)
    metric.update(b, real=True)
    assert float(metric.compute()) == pytest.approx(polynomial_mmd2(a.numpy(), b.numpy()), rel=1e-10)
    with pytest.raises(Unscored):
        KernelDistance().compute()


def _worker(rank: int, port: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    frechet, kernel, pairs = FrechetDistance(5), KernelDistance(), PerceptualDistance(_MeanColour())
    a, b = _features(0), _features(1, 50)
    for metric in (frechet, kernel):
        metric.update(a[:20] if rank else a[20:], real=False)
        metric.update(b[:30] if rank else b[30:], real=True)
    images = torch.full((1 + rank, 3, 4, 4), 100 * rank, dtype=torch.uint8)
    pairs.update(images, torch.zeros_like(images))
    values = [float(metric.compute()) for metric in (frechet, kernel, pairs)]
    # One process has no truth, as with fewer batches than processes.
    uneven = KernelDistance()
    uneven.update(a[:20] if rank else a[20:], real=False)
    if not rank:
        uneven.update(b, real=True)
    torch.save([*values, float(uneven.compute())], Path(folder) / f"{rank}.pt")
    with pytest.raises(Unscored, match="too_few"):
        KernelDistance().compute()
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_see_all_samples(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Forked, so that the children need not import this file by a name.
    torch.multiprocessing.start_processes(_worker, args=(port, str(tmp_path)), nprocs=2, start_method="fork")
    a, b = _features(0).numpy(), _features(1, 50).numpy()
    expected = [frechet_distance(a, b), polynomial_mmd2(a, b), 200 / 3, polynomial_mmd2(a, b)]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert first == second
    assert first == pytest.approx(expected, rel=1e-10)
