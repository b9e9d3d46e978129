from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emo_metrics.contract import ClipInputs, FrameArray, Piece, Unscored
from emo_metrics.extractors.inception_frames import SampledFrames
from emo_metrics.extractors.video_windows import _WindowExtractor
from emo_metrics.networks.fixed_batches import evenly_spaced, once_while_equal, window_starts
from emo_metrics.networks.folding import fold_batch_norms
from emo_metrics.networks.weight_files import load_weights, read_tensors


def _clip(n: int) -> ClipInputs:
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    return ClipInputs(clip_id="c", fps=Fraction(25), n_frames=n, height=4, width=4, reference_image=image)


def _frames(n: int) -> FrameArray:
    return np.arange(n, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), dtype=np.uint8)


@given(st.integers(0, 500), st.integers(1, 60))
def test_evenly_spaced_indices_are_distinct_symmetric_and_inside(count: int, most: int) -> None:
    indices = evenly_spaced(count, most)
    assert len(indices) == min(count, most)
    assert len(set(indices.tolist())) == len(indices)
    assert all(0 <= i < count for i in indices)


@given(st.integers(0, 600), st.integers(1, 32), st.integers(1, 12))
def test_windows_never_overlap_and_stay_inside(frames: int, length: int, most: int) -> None:
    starts = window_starts(frames, length, most)
    assert len(starts) == min(frames // length, most)
    assert all(b - a >= length for a, b in pairwise(starts))
    assert all(start >= 0 and start + length <= frames for start in starts)


@pytest.mark.parametrize("pieces", [1, 3, 7, 50])
def test_pieces_never_change_the_batches(pieces: int) -> None:
    shapes: list[int] = []

    def compute(rows: FrameArray) -> np.ndarray:
        shapes.append(len(rows))
        return rows[:, 0, 0, :1].astype(np.float32)

    accumulator = SampledFrames(_clip(50), compute)
    start = 0
    for part in np.array_split(_frames(50), pieces):
        accumulator.update(Piece(frames=part, start=start))
        start += len(part)
    arrays = accumulator.finish()
    assert shapes == [8, 8, 8, 8]
    assert arrays["features"][:, 0].tolist() == arrays["frame"].tolist()


class _First(_WindowExtractor):
    name = "test/first@1"

    def window_features(self, frames: FrameArray) -> np.ndarray:
        return np.array([frames[0, 0, 0, 0], frames[-1, 0, 0, 0]], dtype=np.float32)


def test_a_clip_that_stands_still_is_computed_once_and_gives_the_same_features() -> None:
    generator = torch.Generator().manual_seed(0)
    network = torch.nn.Conv2d(3, 4, 3)
    torch.nn.init.normal_(network.weight, generator=generator)
    calls: list[int] = []

    def compute(rows: FrameArray) -> np.ndarray:
        calls.append(len(rows))
        with torch.inference_mode():
            return network(torch.from_numpy(rows).permute(0, 3, 1, 2).float()).flatten(1).numpy()

    still = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3), dtype=np.uint8), 60, axis=0)
    moving = np.random.default_rng(1).integers(0, 256, (60, 4, 4, 3), dtype=np.uint8)
    half = np.concatenate([still[:30], moving[:30]])
    for frames, expected in ((still, 1), (moving, 4), (half, 3)):
        calls.clear()
        accumulator = SampledFrames(_clip(60), compute)
        accumulator.update(Piece(frames=frames, start=0))
        found = accumulator.finish()
        assert len(calls) == expected
        batches = frames[found["frame"]].reshape(4, 8, 4, 4, 3)
        assert found["features"].tobytes() == b"".join(compute(batch).tobytes() for batch in batches)


def test_only_what_is_equal_to_the_call_before_is_not_computed_again() -> None:
    calls: list[int] = []

    def compute(rows: FrameArray) -> np.ndarray:
        calls.append(len(rows))
        return rows[:, 0, 0, :1].astype(np.float32)

    call = once_while_equal(compute)
    a, b = _frames(8), _frames(9)[1:]
    results = [call(batch) for batch in (a, a.copy(), b, a, a[:7])]
    assert calls == [8, 8, 8, 7]
    assert [len(result) for result in results] == [8, 8, 8, 8, 7]
    assert all(np.array_equal(r, x[:, 0, 0, :1]) for r, x in zip(results, (a, a, b, a, a[:7]), strict=True))


def test_windows_hold_sixteen_consecutive_frames() -> None:
    accumulator = _First({}).begin(_clip(50))
    for index, frame in enumerate(_frames(50)):
        accumulator.update(Piece(frames=frame[None], start=index))
    arrays = accumulator.finish()
    assert arrays["features"].tolist() == [[0, 15], [17, 32], [34, 49]]
    assert arrays["start"].tolist() == [0, 17, 34]


def test_a_clip_shorter_than_a_window_is_too_short() -> None:
    with pytest.raises(Unscored, match="too_short"):
        _First({}).begin(_clip(15))


def test_folding_changes_rounding_only() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.BatchNorm2d(8)
    ).eval()
    for module in network:
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    x = torch.randn(2, 3, 9, 9)
    with torch.inference_mode():
        before = network(x)
        fold_batch_norms(network)
        np.testing.assert_allclose(network(x).numpy(), before.numpy(), rtol=1e-5, atol=1e-5)
    assert isinstance(network[1], torch.nn.Identity)
    assert isinstance(network[3], torch.nn.BatchNorm2d)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    network = torch.nn.Linear(2, 3)
    wrong = {"weight": torch.zeros(3, 4), "other": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"1 missing \['bias'\], 1 unexpected \['other'\], 1 of another shape"):
        load_weights(network, wrong, source="file.pth")
    path = tmp_path / "bad.pth"
    torch.save({"net": {"weight": torch.zeros(1)}, "epoch": 3}, path)
    assert set(read_tensors(path, key="net")) == {"weight"}
    with pytest.raises(ValueError, match="mapping of names to tensors"):
        read_tensors(path)
    with pytest.raises(ValueError, match="expected an entry 'state'"):
        read_tensors(path, key="state")


class _Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("run",))


def test_a_file_with_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"weight": _Evil()}, path)
    with pytest.raises(Exception, match=r"[Ww]eights"):
        read_tensors(path)
    assert "run" not in capsys.readouterr().out
