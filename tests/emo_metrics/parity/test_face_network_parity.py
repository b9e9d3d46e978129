"""Deep3DFaceRecon's network and alignment, and ArcFace files, with small made-up files in the official formats."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from torch import nn

from emo_metrics.contract import ClipFeatures, ClipInputs, Piece, Unscored
from emo_metrics.extractors.arcface import ArcFaceNetwork, ArcFaceR50
from emo_metrics.extractors.deep3d_expression import NETWORK, TEMPLATE, Deep3dExpression
from emo_metrics.faces.alignment import ARCFACE_112
from emo_metrics.faces.finder import FACE_FILES
from emo_metrics.faces.gaps import FACE
from emo_metrics.metrics.e_fid import EFidDeep3d
from emo_metrics.metrics.f_sim import FSimArcFaceR50
from emo_metrics.networks.deep3d import PARTS, align_face, scale_and_shift

ASSETS = Path(__file__).resolve().parents[3] / ".." / "shared" / "assets"


def _reference_deep3d() -> nn.Module:
    """As published: torchvision's ResNet-50 up to its average, then one 1 x 1 convolution per group."""
    from torchvision.models import resnet50

    torch.manual_seed(5)
    backbone = resnet50(weights=None)
    backbone.fc = nn.Identity()
    network = nn.Module()
    network.backbone = backbone
    network.final_layers = nn.ModuleList(nn.Conv2d(2048, width, 1) for width in PARTS.values())
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.7, 1.3)
            module.weight.data.uniform_(0.5, 0.8)
    return network.eval()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(68, 3))
    five = np.array([[-0.31, 0.29, 0.4], [0.31, 0.29, 0.4], [0, 0, 0.8], [-0.27, -0.37, 0.5], [0.27, -0.37, 0.5]])
    points[[36, 39]], points[[42, 45]], points[30], points[48], points[54] = five
    path = tmp_path_factory.mktemp("weights") / TEMPLATE
    scipy.io.savemat(path, {"lm": points})
    return path, five


@pytest.fixture(scope="module")
def deep3d(
    template: tuple[Path, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Deep3dExpression, nn.Module]:
    reference = _reference_deep3d()
    path = tmp_path_factory.mktemp("weights") / NETWORK
    torch.save({"net_recon": reference.state_dict(), "epoch": 20}, path)
    return Deep3dExpression({NETWORK: path, TEMPLATE: template[0]}), reference


def _face_frame(points: np.ndarray) -> np.ndarray:
    """A dark frame with a bright dot at each point."""
    frame = np.full((300, 400, 3), 20, dtype=np.uint8)
    y, x = np.mgrid[0:300, 0:400]
    for place, (px, py) in enumerate(points):
        frame[(x - px) ** 2 + (y - py) ** 2 <= 9] = (255, 40 * place, 255)
    return frame


@pytest.mark.reference
@torch.inference_mode()
def test_coefficients_equal_the_published_network(
    deep3d: tuple[Deep3dExpression, nn.Module], template: tuple[Path, np.ndarray]
) -> None:
    extractor, reference = deep3d
    points = np.array([[150.0, 100], [220, 100], [185, 140], [155, 180], [215, 180]])
    frame = _face_frame(points)
    x = torch.from_numpy(align_face(frame, points, template[1]).copy()).permute(2, 0, 1)[None].float() / 255
    pooled = reference.backbone(x)[:, :, None, None]
    theirs = torch.cat([layer(pooled) for layer in reference.final_layers], dim=1).flatten(1)[0, 80:144]
    np.testing.assert_allclose(extractor.expression(frame, points), theirs.numpy(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("scale", [60.0, 140.0])
def test_alignment_puts_the_template_at_102_pixels_a_unit(template: tuple[Path, np.ndarray], scale: float) -> None:
    _, five = template
    points = np.stack([210 + scale * five[:, 0], 150 - scale * five[:, 1]], axis=1)
    face = align_face(_face_frame(points), points, five)
    expected = np.stack([112 + 102 * five[:, 0], 112 - 102 * five[:, 1]], axis=1)
    for place, (x, y) in enumerate(expected):
        top, left = round(y) - 8, round(x) - 8
        rows, columns = np.nonzero(face[top : top + 17, left : left + 17, 0] > 120)
        # Whole pixels and the flipped y axis (H - 1 - y) cost up to two pixels, as in the original.
        assert top + rows.mean() == pytest.approx(y, abs=2.0), place
        assert left + columns.mean() == pytest.approx(x, abs=2.0), place


def test_camera_of_a_rotated_face_has_its_scale(template: tuple[Path, np.ndarray]) -> None:
    _, five = template
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    points = 55.0 * (five @ turn[:2].T) + [30.0, 70.0]
    assert scale_and_shift(points, five) == pytest.approx((55.0, 30.0, 70.0))


def test_expression_distance_over_clips(deep3d: tuple[Deep3dExpression, nn.Module]) -> None:
    metric = EFidDeep3d()
    rng = np.random.default_rng(0)
    clips = [rng.normal(size=(40, 64)) for _ in range(4)]
    assert metric.compute(clips, clips[::-1])["e-fid"] == 0.0
    moved = metric.compute([c + 0.1 for c in clips], clips)["e-fid"]
    assert moved == pytest.approx(0.64, rel=1e-9)
    with pytest.raises(Unscored, match="too_few"):
        metric.compute(clips[:1], clips)


def _field(number: int, payload: bytes | int | str) -> bytes:
    def varint(value: int) -> bytes:
        out = bytearray()
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        return bytes([*out, value])

    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    data = payload.encode() if isinstance(payload, str) else payload
    return varint(number << 3 | 2) + varint(len(data)) + data


def _onnx_of_first_512_pixels() -> bytes:
    """A minimal ONNX file: flatten ``[1, 3, 112, 112]`` and take the first 512 numbers."""

    def ints(name: str, value: int) -> bytes:
        return _field(5, _field(1, name) + _field(8, value) + _field(20, 7))

    def tensor(name: str, shape: list[int]) -> bytes:
        dims = b"".join(_field(1, _field(1, size)) for size in shape)
        return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, dims)))

    axis = _field(5, _field(1, "axis") + _field(3, 1) + _field(20, 2))
    flatten = _field(1, "x") + _field(2, "flat") + _field(4, "Flatten") + axis
    cut = _field(1, "flat") + _field(2, "y") + _field(4, "Slice")
    cut += ints("axes", 1) + ints("starts", 0) + ints("ends", 512)
    graph = _field(1, flatten) + _field(1, cut) + _field(2, "g")
    graph += _field(11, tensor("x", [1, 3, 112, 112])) + _field(12, tensor("y", [1, 512]))
    return _field(1, 4) + _field(8, _field(1, "") + _field(2, 9)) + _field(7, graph)


def test_arcface_input_is_aligned_rgb_in_plus_minus_one(tmp_path: Path) -> None:
    path = tmp_path / "w600k_r50.onnx"
    path.write_bytes(_onnx_of_first_512_pixels())
    frame = np.random.default_rng(0).integers(0, 256, size=(112, 112, 3)).astype(np.uint8)
    expected = (frame[..., 0].ravel()[:512] - 127.5) / 127.5
    vector = ArcFaceNetwork(path).embed(frame, ARCFACE_112)
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)
    assert struct.calcsize("f") == vector.itemsize


def test_arcface_files_of_another_size_are_refused() -> None:
    path = ASSETS / "weights" / "mobilefacenet_foamliu.onnx"
    if not path.is_file():
        pytest.skip("the shared weights are not here")
    with pytest.raises(ValueError, match="512"):
        ArcFaceNetwork(path).embed(np.zeros((112, 112, 3), dtype=np.uint8), ARCFACE_112)


def test_arcface_of_a_clip(tmp_path: Path) -> None:
    weights = {name: ASSETS / "weights" / name for name in FACE_FILES}
    if not all(path.is_file() for path in weights.values()):
        pytest.skip("the shared weights are not here")
    (tmp_path / "w600k_r50.onnx").write_bytes(_onnx_of_first_512_pixels())
    extractor = ArcFaceR50({**weights, "w600k_r50.onnx": tmp_path / "w600k_r50.onnx"})
    blank = np.zeros((128, 128, 3), dtype=np.uint8)
    clip = ClipInputs(clip_id="c", fps=Fraction(25), n_frames=3, height=128, width=128, reference_image=blank)
    upstream = {
        "found": np.array([True, True, False]),
        "five": np.stack([ARCFACE_112] * 3).astype(np.float32),
    }
    frames = np.random.default_rng(1).integers(0, 256, size=(3, 128, 128, 3)).astype(np.uint8)
    accumulator = extractor.begin(clip)
    rows = accumulator.update(Piece(frames=frames, start=0, upstream={FACE: upstream}))["embedding"]
    assert np.isfinite(rows).all(axis=1).tolist() == [True, True, False]
    assert np.linalg.norm(rows[:2], axis=1) == pytest.approx([1.0, 1.0], abs=1e-6)
    assert not np.isfinite(accumulator.finish()["reference_embedding"]).any()
    faces = {"found": np.array([True] * 3), "n_faces": np.ones(3, dtype=np.int16)}
    arrays = {FACE: faces, extractor.name: {"embedding": rows, **accumulator.finish()}}
    features = ClipFeatures(clip_id="c", identity="p", fps=Fraction(25), n_frames=3, arrays=arrays)
    with pytest.raises(Unscored, match="reference image"):
        FSimArcFaceR50().score_clip(features, None)
    same = {**arrays, extractor.name: {"embedding": rows, "reference_embedding": rows[:1]}}
    features = ClipFeatures(clip_id="c", identity="p", fps=Fraction(25), n_frames=3, arrays=same)
    values = FSimArcFaceR50().score_clip(features, None)
    assert values["f-sim"] == pytest.approx(50 * (1 + float(rows[0] @ rows[1])), rel=1e-5)
    assert values["f-sim-min"] == pytest.approx(100 * float(rows[0] @ rows[1]), rel=1e-4, abs=1e-3)
