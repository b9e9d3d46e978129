"""Numbers that others published for official weights; skipped where no weights folder has the files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from emo_metrics.distances.frechet import frechet_distance
from emo_metrics.extractors.sync_windows import SYNCNET, MouthStream, embed_sound, to_int16
from emo_metrics.extractors.video_windows import TORCHSCRIPT
from emo_metrics.networks.syncnet import WINDOW, load_syncnet
from emo_metrics.signals.sync_curve import lag_distances, sync_scores

pytestmark = [pytest.mark.reference, pytest.mark.slow]


def _official(name: str) -> Path:
    weights = pytest.importorskip("emo_bench.extract.weights")
    finder = weights.WeightsFinder()
    if finder.locate(name) is None:
        pytest.skip(f"{name} is not in a weights folder; see emo-bench weights list")
    path = finder.require(name)
    assert isinstance(path, Path)
    return path


def test_fvd_of_two_random_videos_is_that_of_fvd_comparison() -> None:
    network = torch.jit.load(str(_official(TORCHSCRIPT))).eval()
    sides = []
    for seed in (1, 2):
        random = np.random.RandomState(seed)
        rows = []
        for _ in range(128):
            video = torch.from_numpy(random.rand(16, 224, 224, 3).astype(np.float32)).permute(3, 0, 1, 2)[None]
            with torch.inference_mode():
                rows.append(network(video, rescale=False, resize=False, return_features=True)[0].numpy())
        sides.append(np.stack(rows))
    assert frechet_distance(*sides) == pytest.approx(10.138084766713924, rel=1e-4)


def test_syncnet_of_example_avi_is_that_of_its_readme() -> None:
    import av

    clip, network = _official("example.avi"), load_syncnet(_official(SYNCNET), "cpu")
    stream = MouthStream(network, "cpu")
    frames = 0
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            stream(frame.to_ndarray(format="rgb24"))
            frames += 1
    with av.open(str(clip)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=16000)
        parts = [part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    samples = to_int16(np.concatenate(parts), 16000)
    windows = min(frames, len(samples) // 640) - WINDOW
    scores = sync_scores(lag_distances(stream.finish()[:windows], embed_sound(network, samples, windows, "cpu")))
    assert scores.offset == 3
    assert scores.distance == pytest.approx(5.353, abs=0.1)
    assert scores.confidence == pytest.approx(10.021, abs=0.1)
