"""Fetched official networks on frames of real clips: pytorch-fid, torch-fidelity and lpips with the same tensors."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from emo_metrics.distances.frechet import frechet_distance
from emo_metrics.extractors.inception_frames import WEIGHTS, InceptionPytorchFid, InceptionTorchFidelity
from emo_metrics.extractors.lpips_frames import LpipsAlexFrames, LpipsVggFrames
from emo_metrics.networks.lpips_trunks import heads_file
from emo_metrics.networks.weight_files import read_tensors

pytestmark = [pytest.mark.reference, pytest.mark.slow]
ASSETS = Path(__file__).resolve().parents[3] / ".." / "shared" / "assets"
CLIPS = ("WDA_AlexandriaOcasioCortez_000.mp4", "May_5s.mp4")
EACH = 4


def _official(name: str) -> Path:
    weights = pytest.importorskip("emo_bench.extract.weights")
    finder = weights.WeightsFinder()
    if finder.locate(finder.serving(name).name) is None:
        pytest.skip(f"{name} is not in a weights folder; emo-bench weights fetch --family reference")
    path = finder.require(name)
    assert isinstance(path, Path)
    return path


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    """Four frames, a second apart, of each of two clips, ``uint8 RGB [8, 512, 512, 3]``."""
    import av

    if not (ASSETS / "clips").is_dir():
        pytest.skip(f"no real clips in {ASSETS / 'clips'}")
    found = []
    for name in CLIPS:
        with av.open(str(ASSETS / "clips" / name)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in islice(container.decode(video=0), 100)]
        found += frames[:: 100 // EACH][:EACH]
    return np.stack(found)


@pytest.fixture(scope="module")
def inception_state() -> dict[str, torch.Tensor]:
    """The official tensors with an empty classifier, which no feature reads."""
    tensors = dict(read_tensors(_official(WEIGHTS)))
    return {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008), **tensors}


@torch.inference_mode()
def test_inception_features_and_their_distance(
    real: np.ndarray, inception_state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / WEIGHTS
    torch.save(inception_state, path)
    ours = {kind.name: kind({WEIGHTS: _official(WEIGHTS)}) for kind in (InceptionPytorchFid, InceptionTorchFidelity)}
    images = torch.from_numpy(real).permute(0, 3, 1, 2)
    inception = pytest.importorskip("pytorch_fid.inception")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: inception_state)
        first = inception.InceptionV3([3]).eval()
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    second = module.FeatureExtractorInceptionV3("i", ["2048"], feature_extractor_weights_path=str(path))
    theirs = {
        "inception/pytorch-fid@1": first(images.float() / 255)[0][:, :, 0, 0].numpy(),
        "inception/torch-fidelity@1": second(images)[0].numpy(),
    }
    for name, expected in theirs.items():
        found = ours[name].features(real)
        assert expected.std(axis=0).mean() > 1e-2
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4, err_msg=name)
        distances = [frechet_distance(side[:EACH], side[EACH:]) for side in (found, expected)]
        assert distances[0] == pytest.approx(distances[1], rel=1e-4)


@pytest.mark.parametrize(
    ("kind", "name", "extractor"),
    [("alex", "alexnet-owt-7be5be79.pth", LpipsAlexFrames), ("vgg", "vgg16-397923af.pth", LpipsVggFrames)],
)
@torch.inference_mode()
def test_lpips(kind: str, name: str, extractor: type[LpipsAlexFrames], real: np.ndarray) -> None:
    package, path = pytest.importorskip("lpips"), _official(name)
    theirs = package.LPIPS(net=kind, version="0.1", pnet_rand=True, verbose=False, model_path=str(heads_file(kind)))
    state = {key.removeprefix("features."): value for key, value in read_tensors(path).items()}
    theirs.net.load_state_dict({key: state[key.split(".", 1)[1]] for key in theirs.net.state_dict()})
    ours = extractor({extractor.weights[0]: path})
    for a, b in ((0, 1), (0, EACH)):
        x, y = (torch.from_numpy(real[place]).permute(2, 0, 1)[None].float() / 255 for place in (a, b))
        expected = float(theirs(x, y, normalize=True))
        assert expected > 0.01
        assert ours.distance(real[a], real[b]) == pytest.approx(expected, abs=1e-5)
