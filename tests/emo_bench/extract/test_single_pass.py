"""One decode feeds all extractors: every frame once, in order, beside the right frame of the ground truth."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo_bench.extract.feature_store import FAULT, FeatureResult, FeatureStore
from emo_bench.extract.single_pass import extract_clip, in_order
from emo_bench.media.types import PIECE_LENGTH, Video, VideoSpec
from emo_core.errors import ClipError
from emo_metrics.contract import Accumulator, ClipInputs, Extractor, Need, Piece, Unscored


def video(n_frames: int, cuts: list[int], *, offset: int = 0, fps: int = 25) -> Video:
    """Frame ``i`` is filled with ``(i + offset) % 251``; pieces are as long as ``cuts`` says, going round."""

    def pieces() -> Iterator[np.ndarray]:
        start = 0
        while start < n_frames:
            for cut in cuts:
                count = min(cut, n_frames - start)
                if count > 0:
                    values = (np.arange(start, start + count) + offset) % 251
                    yield np.broadcast_to(values.astype(np.uint8)[:, None, None, None], (count, 4, 6, 3))
                start += count

    return Video(VideoSpec(width=6, height=4, fps=Fraction(fps), n_frames=n_frames), pieces)


def inputs(n_frames: int) -> ClipInputs:
    image = np.zeros((4, 6, 3), np.uint8)
    return ClipInputs(clip_id="c", fps=Fraction(25), n_frames=n_frames, height=4, width=6, reference_image=image)


class _Rows(Accumulator):
    def __init__(self, owner: Extractor) -> None:
        self.owner, self.pieces = owner, []

    def update(self, piece: Piece) -> Mapping[str, np.ndarray]:
        self.pieces.append((piece.start, len(piece.frames)))
        values = piece.frames[:, 0, 0, 0].astype(np.int64)
        rows = {"value": values, "start": np.full(len(values), piece.start)}
        if piece.ground_truth is not None:
            rows["truth"] = piece.ground_truth[:, 0, 0, 0].astype(np.int64)
        for need in self.owner.requires:
            rows["seen"] = np.asarray(piece.upstream[need]["value"])
        return rows

    def finish(self) -> Mapping[str, np.ndarray]:
        return {"count": np.array([sum(count for _, count in self.pieces)])}


class Plain(Extractor):
    name: ClassVar[str] = "plain@1"

    def begin(self, clip: ClipInputs) -> Accumulator:
        return _Rows(self)


class WithTruth(Plain):
    name: ClassVar[str] = "truth@1"
    needs = frozenset({Need.GROUND_TRUTH})


class Second(Plain):
    name: ClassVar[str] = "second@1"
    requires = ("plain@1",)


class Third(Plain):
    name: ClassVar[str] = "third@1"
    requires = ("second@1",)


class Stops(Plain):
    name: ClassVar[str] = "plain@1"
    where: ClassVar[str] = "update"

    def begin(self, clip: ClipInputs) -> Accumulator:
        if self.where == "begin":
            raise Unscored("no_face", "at the beginning")
        return _Stopping(self)


class _Stopping(_Rows):
    def update(self, piece: Piece) -> Mapping[str, np.ndarray]:
        if self.owner.where == "update" and piece.start > 0:
            raise Unscored("no_face", "in the middle")
        return super().update(piece)

    def finish(self) -> Mapping[str, np.ndarray]:
        if self.owner.where == "finish":
            raise Unscored("no_face", "at the end")
        return super().finish()


class Faulty(Plain):
    name: ClassVar[str] = "plain@1"
    error: ClassVar[Exception] = IndexError("beyond the end")

    def begin(self, clip: ClipInputs) -> Accumulator:
        return _Faulty(self)


class _Faulty(_Rows):
    def update(self, piece: Piece) -> Mapping[str, np.ndarray]:
        if piece.start > 0:
            raise self.owner.error
        return super().update(piece)


def run(kinds: list[type[Extractor]], source: Video, truth: Video | None = None, **known: FeatureResult) -> Any:
    return extract_clip(
        video=source,
        truth=truth,
        inputs=inputs(source.spec.n_frames),
        extractors=[kind({}) for kind in kinds],
        known={name.replace("_", "") + "@1": result for name, result in known.items()},
    )


CUTS = st.lists(st.integers(1, 70), min_size=1, max_size=4)


@given(st.integers(1, 150), CUTS, CUTS)
@settings(max_examples=40, deadline=None)
def test_every_frame_once_and_aligned_whatever_the_pieces(n_frames: int, cuts: list[int], other: list[int]) -> None:
    results = run([Plain, WithTruth, Second], video(n_frames, cuts), video(n_frames, other, offset=7))
    expected = np.arange(n_frames) % 251
    for name in ("plain@1", "truth@1", "second@1"):
        assert results[name].status == "ok"
        np.testing.assert_array_equal(results[name].arrays["value"], expected)
        assert results[name].arrays["count"] == [n_frames]
    np.testing.assert_array_equal(results["truth@1"].arrays["truth"], (np.arange(n_frames) + 7) % 251)
    np.testing.assert_array_equal(results["second@1"].arrays["seen"], expected)
    starts = results["plain@1"].arrays["start"]
    np.testing.assert_array_equal(starts, np.arange(n_frames) // PIECE_LENGTH * PIECE_LENGTH)


def test_the_ground_truth_is_only_shown_to_those_who_ask() -> None:
    results = run([Plain, WithTruth], video(40, [32]), video(40, [5]))
    assert "truth" not in results["plain@1"].arrays
    assert "truth" in results["truth@1"].arrays


def test_rows_that_are_known_already_reach_those_who_need_them() -> None:
    known = FeatureResult({"value": np.arange(50) * 10, "matrix": np.zeros((3, 3)), "number": np.array(5)})
    results = run([Second], video(50, [20, 3]), plain=known)
    np.testing.assert_array_equal(results["second@1"].arrays["seen"], np.arange(50) * 10)


@pytest.mark.parametrize("where", ["begin", "update", "finish"])
def test_a_reason_reaches_everyone_who_depends_on_it(where: str) -> None:
    stops = type("Stopping", (Stops,), {"where": where})
    results = run([stops, Second, Third, WithTruth], video(80, [32]), video(80, [32]))
    words = {"begin": "at the beginning", "update": "in the middle", "finish": "at the end"}[where]
    for name in ("plain@1", "second@1", "third@1"):
        assert (results[name].status, results[name].reason, dict(results[name].arrays)) == ("no_face", words, {})
    assert results["truth@1"].status == "ok"


def test_a_known_reason_does_too() -> None:
    results = run([Second, Third], video(40, [32]), plain=FeatureResult({}, "no_face", "known"))
    assert {(result.status, result.reason) for result in results.values()} == {("no_face", "known")}


@pytest.mark.parametrize("other", [video(39, [32]), video(40, [32], fps=30)])
def test_a_ground_truth_that_does_not_match_is_refused(other: Video) -> None:
    with pytest.raises(ClipError, match="do not match"):
        run([WithTruth], video(40, [32]), other)


def test_extractors_are_put_in_order_and_circles_are_told() -> None:
    kinds = {kind.name: kind for kind in (Third, Second, WithTruth, Plain)}
    assert in_order(kinds) == ["plain@1", "truth@1", "second@1", "third@1"]
    with pytest.raises(ClipError, match="cannot be ordered: second@1, third@1"):
        in_order({kind.name: kind for kind in (Third, Second)})
    circle = type("Circle", (Plain,), {"name": "circle@1", "requires": ("circle@1",)})
    with pytest.raises(ClipError, match="cannot be ordered"):
        in_order({"circle@1": circle})


def test_memory_does_not_grow_with_the_length() -> None:
    def big(n_frames: int) -> Video:
        def pieces() -> Iterator[np.ndarray]:
            for _ in range(0, n_frames, PIECE_LENGTH):
                yield np.zeros((PIECE_LENGTH, 64, 64, 3), np.uint8)

        return Video(VideoSpec(width=64, height=64, fps=Fraction(25), n_frames=n_frames), pieces)

    def peak(n_frames: int) -> int:
        tracemalloc.start()
        run([Plain, WithTruth], big(n_frames), big(n_frames))
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    peak(64)
    assert peak(64 * 20) < 1.2 * peak(64) + 200_000


class TestFeatureStore:
    ARRAYS: ClassVar[dict[str, np.ndarray]] = {
        "rows": np.arange(12, dtype=np.float32).reshape(3, 4),
        "flags": np.array([True, False]),
        "nothing": np.zeros((0, 5)),
        "turned": np.arange(6).reshape(2, 3).T,
    }

    def test_what_goes_in_comes_out(self, tmp_path: Path) -> None:
        store = FeatureStore(tmp_path)
        assert store.get("face/a@1", "00ff") is None
        store.put("face/a@1", "00ff", FeatureResult(self.ARRAYS))
        got = store.get("face/a@1", "00ff")
        assert got is not None
        assert set(got.arrays) == set(self.ARRAYS)
        for name, array in self.ARRAYS.items():
            assert got.arrays[name].dtype == array.dtype
            np.testing.assert_array_equal(got.arrays[name], array)
        assert store.has("face/a@1", "00ff")
        assert store.path("face/a@1", "00ff").is_relative_to(tmp_path / "features")

    def test_a_reason_is_kept_too(self, tmp_path: Path) -> None:
        store = FeatureStore(tmp_path)
        store.put("a@1", "0", FeatureResult({}, "no_face", "nobody there \x1f \u2028"))
        got = store.get("a@1", "0")
        assert got is not None
        assert (got.status, got.reason, dict(got.arrays)) == ("no_face", "nobody there \x1f \u2028", {})

    def test_equal_features_are_equal_bytes(self, tmp_path: Path) -> None:
        first, second = FeatureStore(tmp_path / "1"), FeatureStore(tmp_path / "2")
        first.put("a@1", "0", FeatureResult(self.ARRAYS))
        second.put("a@1", "0", FeatureResult(dict(reversed(self.ARRAYS.items()))))
        assert first.path("a@1", "0").read_bytes() == second.path("a@1", "0").read_bytes()

    def test_no_changed_byte_goes_unnoticed(self, tmp_path: Path) -> None:
        store = FeatureStore(tmp_path)
        store.put("a@1", "0", FeatureResult({"x": np.arange(8, dtype=np.float32)}))
        path = store.path("a@1", "0")
        whole = path.read_bytes()
        changed = 0
        for position in range(len(whole)):
            data = bytearray(whole)
            data[position] ^= 0x01
            path.write_bytes(bytes(data))
            got = store.get("a@1", "0")
            if got is None:
                assert not path.exists()
                changed += 1
            else:  # a blank between the header's parts may change; what is read may not
                np.testing.assert_array_equal(got.arrays["x"], np.arange(8, dtype=np.float32))
                assert got.status == "ok"
        assert changed > len(whole) * 0.9

    @pytest.mark.parametrize("length", [0, 1, 7, 8, 60, -1])
    def test_cut_files_are_removed(self, tmp_path: Path, length: int) -> None:
        store = FeatureStore(tmp_path)
        store.put("a@1", "0", FeatureResult({"x": np.arange(8)}))
        path = store.path("a@1", "0")
        path.write_bytes(path.read_bytes()[:length])
        assert store.get("a@1", "0") is None
        assert not path.exists()


def test_a_fault_of_one_extractor_leaves_the_others() -> None:
    made = run([Faulty, Second, WithTruth], video(90, [30]), video(90, [30]))
    assert {made[name].status for name in ("plain@1", "second@1")} == {FAULT}
    assert made["plain@1"].reason == made["second@1"].reason == "IndexError: beyond the end"
    assert len(made["truth@1"].arrays["value"]) == 90


@pytest.mark.parametrize("error", [ClipError("cut short"), OSError(28, "No space left on device")])
def test_what_concerns_the_clip_or_the_disk_is_passed_on(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Faulty, "error", error)
    with pytest.raises(type(error)):
        run([Faulty], video(90, [30]))
