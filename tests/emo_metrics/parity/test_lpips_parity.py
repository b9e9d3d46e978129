"""LPIPS against the package lpips, with the same random trunks and the published heads."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from emo_metrics.contract import ClipFeatures, ClipInputs, Piece, Unscored
from emo_metrics.extractors.lpips_frames import LpipsAlexFrames, LpipsVggFrames
from emo_metrics.metrics.lpips import LpipsAlex
from emo_metrics.networks.lpips_trunks import heads_file

pytestmark = pytest.mark.reference


class _Trunks(dict[str, Path]):
    """Files in torchvision's format, made when first asked for; classifiers stay empty, since nothing reads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __missing__(self, kind: str) -> Path:
        from torchvision.models import alexnet, vgg16

        build, name = {"alex": (alexnet, "alexnet-owt-7be5be79.pth"), "vgg": (vgg16, "vgg16-397923af.pth")}[kind]
        generator = torch.Generator().manual_seed(4)
        with torch.device("meta"):
            shapes = build(weights=None).state_dict()
        state = {
            key: torch.zeros(0)
            if key.startswith("classifier")
            else torch.randn(value.shape, generator=generator) * _gain(value)
            for key, value in shapes.items()
        }
        torch.save(state, self.folder / name)
        self[kind] = self.folder / name
        return self[kind]


@pytest.fixture(scope="module")
def trunk_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return _Trunks(tmp_path_factory.mktemp("weights"))


def _gain(value: torch.Tensor) -> float:
    return float((2.0 / value[0].numel()) ** 0.5) if value.ndim > 1 else 0.1


@pytest.mark.parametrize(
    ("kind", "extractor"),
    [("alex", LpipsAlexFrames), pytest.param("vgg", LpipsVggFrames, marks=pytest.mark.slow)],
)
def test_distance_equals_lpips(
    kind: str, extractor: type[LpipsAlexFrames], trunk_files: dict[str, Path], frames: np.ndarray
) -> None:
    package = pytest.importorskip("lpips")
    theirs = package.LPIPS(net=kind, version="0.1", pnet_rand=True, verbose=False, model_path=str(heads_file(kind)))
    state = {k[len("features.") :]: v for k, v in torch.load(trunk_files[kind]).items() if k.startswith("features.")}
    mapping = {}
    for name in theirs.net.state_dict():
        mapping[name] = state[name.split(".", 1)[1]]
    theirs.net.load_state_dict(mapping)
    ours = extractor({extractor.weights[0]: trunk_files[kind]})
    for a, b in ((0, 1), (2, 5), (3, 3)):
        x, y = (torch.from_numpy(frames[i]).permute(2, 0, 1)[None].float() / 255 for i in (a, b))
        with torch.inference_mode():
            expected = float(theirs(x, y, normalize=True))
        assert ours.distance(frames[a], frames[b]) == pytest.approx(expected, abs=1e-5)
        assert (expected > 0.01) == (a != b)


def test_pairs_of_a_clip(trunk_files: dict[str, Path], frames: np.ndarray) -> None:
    extractor = LpipsAlexFrames({LpipsAlexFrames.weights[0]: trunk_files["alex"]})
    clip = ClipInputs(clip_id="c", fps=Fraction(25), n_frames=4, height=200, width=240, reference_image=frames[0])
    accumulator = extractor.begin(clip)
    accumulator.update(Piece(frames=frames[:3], start=0, ground_truth=frames[:3]))
    accumulator.update(Piece(frames=frames[3:4], start=3, ground_truth=frames[4:5]))
    arrays = accumulator.finish()
    assert arrays["distance"][:3].tolist() == [0.0, 0.0, 0.0]
    features = ClipFeatures(clip_id="c", identity="p", fps=Fraction(25), n_frames=4, arrays={extractor.name: arrays})
    expected = extractor.distance(frames[3], frames[4]) / 4
    assert LpipsAlex().score_clip(features, None)["lpips"] == pytest.approx(expected)
    with pytest.raises(Unscored, match="ground truth"):
        extractor.begin(clip).update(Piece(frames=frames[:3], start=0))
    with pytest.raises(Unscored, match="undefined"):
        extractor.begin(clip).update(Piece(frames=frames[:3], start=0, ground_truth=frames[:3, :100]))


def test_equal_frames_have_no_distance_with_and_without_the_shortcut(
    trunk_files: dict[str, Path], frames: np.ndarray
) -> None:
    extractor = LpipsAlexFrames({"alexnet-owt-7be5be79.pth": trunk_files["alex"]})
    x = torch.from_numpy(frames[:1]).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    with torch.inference_mode():
        assert float(extractor._network(x, x.clone())[0]) == 0.0
    assert extractor.distance(frames[0], frames[0].copy()) == 0.0
    assert extractor.distance(frames[0], frames[1]) > 0.0
