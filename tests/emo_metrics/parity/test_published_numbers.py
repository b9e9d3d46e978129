"""Numbers that others published for official weights; skipped where no weights folder has the files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from emo_metrics.distances.frechet import frechet_distance
from emo_metrics.extractors.inception_frames import WEIGHTS as INCEPTION
from emo_metrics.extractors.sync_windows import SYNCNET, MouthStream, embed_sound, to_int16
from emo_metrics.extractors.video_windows import TORCHSCRIPT
from emo_metrics.networks.i3d import TENSORFLOW_EPSILON, load_i3d
from emo_metrics.networks.inception_fid import FEATURES, InceptionFid
from emo_metrics.networks.lpips_trunks import load_lpips
from emo_metrics.networks.syncnet import WINDOW, load_syncnet
from emo_metrics.networks.weight_files import load_weights, read_tensors
from emo_metrics.signals.sync_curve import lag_distances, sync_scores

pytestmark = [pytest.mark.reference, pytest.mark.slow]


def _official(name: str) -> Path:
    weights = pytest.importorskip("emo_bench.extract.weights")
    finder = weights.WeightsFinder()
    served = finder.serving(name).name
    if finder.locate(served) is None:
        pytest.skip(f"{name} is not in a weights folder; emo-bench weights fetch --family reference")
    path = finder.require(name)
    assert isinstance(path, Path)
    return path


def _i3d() -> Callable[[torch.Tensor], torch.Tensor]:
    path = _official(TORCHSCRIPT)
    if path.suffix == ".safetensors":
        return load_i3d(path, "cpu", epsilon=TENSORFLOW_EPSILON)
    network = torch.jit.load(str(path)).eval()
    return lambda video: network(video, rescale=False, resize=False, return_features=True)


@pytest.mark.timeout(7200)
def test_fvd_of_two_random_videos_is_that_of_fvd_comparison() -> None:
    network = _i3d()
    sides = []
    for seed in (1, 2):
        random = np.random.RandomState(seed)
        rows = []
        for _ in range(128):
            video = torch.from_numpy(random.rand(16, 224, 224, 3).astype(np.float32)).permute(3, 0, 1, 2)[None]
            with torch.inference_mode():
                rows.append(network(video)[0].numpy())
        sides.append(np.stack(rows))
    assert frechet_distance(*sides) == pytest.approx(10.138084766713924, rel=1e-4)


class _Prepared(torch.nn.Module):
    """Our Inception behind torchmetrics' interface: bytes in, features of one depth out."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        path = _official(INCEPTION)
        tensors = read_tensors(path)
        self.network = InceptionFid(classifier="fc.weight" in tensors).eval()
        load_weights(self.network, tensors, source=path.name)
        self.num_features = depth

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            x = (x.float() - 128.0) / 128.0
            if self.num_features == FEATURES:
                result: torch.Tensor = torch.cat([self.network(part) for part in x.split(10)])
                return result
            net = self.network
            x = net.Conv2d_2b_3x3(net.Conv2d_2a_3x3(net.Conv2d_1a_3x3(x)))
            return torch.nn.functional.max_pool2d(x, 3, stride=2).mean(dim=(2, 3))


def _documented_images() -> tuple[torch.Tensor, torch.Tensor]:
    """As the documentation's tests draw them at seed 42: after the random weights that its network is first given."""
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        torch.manual_seed(42)
        module.FeatureExtractorInceptionV3("inception-v3-compat", ["64"])
    first = torch.randint(0, 200, (100, 3, 299, 299), dtype=torch.uint8)
    return first, torch.randint(100, 255, (100, 3, 299, 299), dtype=torch.uint8)


@pytest.mark.timeout(3600)
def test_fid_of_random_images_is_that_of_torchmetrics_documentation() -> None:
    first, second = _documented_images()
    network = _Prepared(64)
    ours = [torch.cat([network(part) for part in side.split(10)]).double().numpy() for side in (first, second)]
    assert frechet_distance(*ours) == pytest.approx(12.6388, abs=5e-3)


@pytest.mark.timeout(3600)
def test_kid_of_random_images_is_that_of_torchmetrics_documentation() -> None:
    kid = pytest.importorskip("torchmetrics.image.kid").KernelInceptionDistance
    metric = kid(feature=_Prepared(FEATURES), subset_size=50)
    for side, real in zip(_documented_images(), (True, False), strict=True):
        metric.update(side, real=real)
    mean, spread = metric.compute()
    assert float(mean) == pytest.approx(0.0312, abs=2e-4)
    assert float(spread) == pytest.approx(0.0025, abs=5e-4)  # over random subsets


def test_lpips_of_its_example_images_and_of_black_against_white() -> None:
    network = load_lpips("alex", _official("alexnet-owt-7be5be79.pth"), "cpu")
    white = torch.ones(1, 3, 64, 64)
    # As the README of common_metrics_on_video_quality has it, computed there on a GPU.
    assert float(network(-white, white)) == pytest.approx(0.81401, abs=1e-4)
    folder = os.environ.get("LPIPS_EXAMPLE_IMAGES")
    if not folder:
        pytest.skip(
            "LPIPS_EXAMPLE_IMAGES names no folder with ex_ref.png, ex_p0.png and ex_p1.png of the LPIPS repository"
        )
    images = [_image(Path(folder) / f"ex_{name}.png") for name in ("ref", "p0", "p1")]
    assert float(network(images[0], images[1])) == pytest.approx(0.722, abs=5e-4)
    assert float(network(images[0], images[2])) == pytest.approx(0.138, abs=5e-4)


def _image(path: Path) -> torch.Tensor:
    from PIL import Image

    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1.0


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
