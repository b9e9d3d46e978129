"""The benchmarks' table and their limits; what they measure is measured by ``python -m benchmarks`` itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import LIMITS, complaint, main, table
from benchmarks.many_clips import STAGES, MemoryWatch, run_many
from benchmarks.parts import Row, moving_frames


def test_a_ratio_above_its_limit_is_told() -> None:
    what, limit = next(iter(LIMITS.items()))
    assert complaint(Row("store", what, limit)) == ""
    assert complaint(Row("store", what, limit * 1.01)).startswith(f"{what}: expected at most")
    assert complaint(Row("store", "something else", 1e9)) == ""


def test_the_table_shows_numbers_and_words() -> None:
    text = table([Row("a", "b", 0.12345, "s"), Row("machine", "processor", "x86")])
    assert text.splitlines()[2:] == ["| a | b | 0.123 | s |", "| machine | processor | x86 |  |"]


def test_films_move_and_differ() -> None:
    first, second = (moving_frames(n_frames=3, side=64, seed=seed) for seed in (0, 1))
    assert first.shape == (3, 64, 64, 3)
    assert (first[0] != first[1]).any()
    assert (first != second).any()
    assert (first == moving_frames(n_frames=3, side=64, seed=0)).all()


def test_an_exceeded_limit_fails_the_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import __main__ as program

    def bad(folder: Path) -> list[Row]:
        assert folder.is_dir()
        return [Row("store", "store / files scored", 99.0)]

    monkeypatch.setitem(program.PARTS, "store", bad)
    assert main(["store"]) == 0
    assert main(["store", "--check"]) == 1
    assert "found 99" in capsys.readouterr().err


def test_a_check_without_any_ratio_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import __main__ as program

    monkeypatch.setitem(program.PARTS, "inference", lambda folder: [Row("inference", "I3D: torch", 99.0)])
    assert main(["inference"]) == 0
    assert main(["inference", "--check"]) == 1
    assert "nothing was checked" in capsys.readouterr().err


def test_a_part_that_was_asked_for_and_gives_no_ratio_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks import __main__ as program

    monkeypatch.setitem(program.PARTS, "inference", lambda folder: [Row("inference", "I3D: torch", 99.0)])
    monkeypatch.setitem(program.PARTS, "store", lambda folder: [Row("store", "store / files scored", 1.0)])
    monkeypatch.setitem(program.PARTS, "emo", lambda folder: [Row("emo", "a step", 1.0, "s")])  # has no limits
    assert main(["--check", "store", "emo"]) == 0
    assert main(["--check", "store", "inference"]) == 1
    assert "inference: nothing was checked" in capsys.readouterr().err


def test_a_viewer_that_does_not_answer_is_no_cheap_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from benchmarks import viewing

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("refused")

    monkeypatch.setattr(viewing, "PERIOD_S", 0.05)
    monkeypatch.setattr("benchmarks.viewing.urllib.request.urlopen", refuse)
    with pytest.raises(RuntimeError, match="did not answer: refused"), viewing.viewer(tmp_path, [], []):
        time.sleep(0.5)


def test_kinds_that_do_not_exist_are_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks import reliability

    for name in ("recorded_kinds", "cut_kinds", "image_kinds", "gate_kinds"):
        monkeypatch.setattr(reliability, name, lambda folder: iter([("still images", "a", lambda: ("right", ""))]))
    monkeypatch.setattr("sys.argv", ["reliability", "stil images"])
    assert reliability.main() == 1
    assert "nothing was tried" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["reliability", "still"])
    assert reliability.main() == 0


def test_a_comparison_starts_in_a_fresh_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from benchmarks import score_vs_reference

    monkeypatch.setattr(score_vs_reference, "prepare", lambda *arguments, **options: pytest.fail("it began"))
    (tmp_path / "store-torch").mkdir()
    monkeypatch.setattr("sys.argv", ["score_vs_reference", "--work", str(tmp_path)])
    with pytest.raises(SystemExit, match="is not empty"):
        score_vs_reference.main()


def test_scoring_fewer_clips_than_asked_for_is_no_result(tiny: Any, tmp_path: Path) -> None:
    from benchmarks import score_vs_reference

    tiny.clip(tmp_path / "source" / "a.mkv", person=0)
    with pytest.raises(SystemExit, match=r"expected 2 clips of at least 0\.2 s, found 1"):
        score_vs_reference.prepare(
            tmp_path / "work", clips=tmp_path / "source", n_clips=2, seconds=0.2, size=64, crf=35
        )


def test_memory_growth_is_counted_after_the_warm_up() -> None:
    watch = MemoryWatch()
    watch.resident["generate"] = [100.0] * 10 + [200.0] * 90
    assert watch.growth("generate") == 0.0
    watch.resident["generate"] = [100.0 + n for n in range(100)]
    assert 65.0 <= watch.growth("generate") <= 80.0


def test_a_machine_without_a_gpu_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from benchmarks import gpu

    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert [row.value for row in gpu.gpu(tmp_path)] == ["none: nothing was measured"]


def test_a_segment_of_each_size_of_emo_can_be_measured() -> None:
    import torch

    from benchmarks import gpu
    from benchmarks.emo_flops import clip_inputs
    from emo_models.emo.codec import decode_latents

    rows = gpu._emo(gpu.Asked(device="cpu", preset="tiny", steps=(2, 2)))
    assert [row.what for row in rows] == [
        "tiny, 4 frames of 64 px, 2 DDIM steps, float32",
        "tiny, 4 frames of 64 px, 2 steps of DPM-Solver++, float32",
    ]
    assert all(isinstance(row.value, float) and row.value > 0 for row in rows)
    with torch.device("meta"), torch.no_grad():  # the paper's size, by its shapes
        pipeline = gpu._pipeline("emo-sd15")
        conditions = pipeline.model.prepare(**clip_inputs(pipeline.model, device="meta"))
        latents = pipeline.model.backbone(torch.zeros(1, 12, 4, 64, 64), torch.zeros(1), conditions)
        assert decode_latents(pipeline.vae, latents.flatten(0, 1)).shape == (12, 3, 512, 512)


@pytest.mark.slow
def test_scoring_on_a_device_is_held_against_the_processor(tmp_path: Path) -> None:
    from benchmarks import gpu

    whole, apart = gpu._scoring(tmp_path, gpu.Asked(device="cpu", n_clips=2, seconds=0.64, size=64))
    assert isinstance(whole.value, float)
    assert whole.value > 0
    assert apart.value == 0.0  # here the device is the processor


@pytest.mark.slow
def test_clips_that_share_files_are_run_to_a_report(tmp_path: Path) -> None:
    watch, run = run_many(tmp_path, n_clips=12)
    assert [len(watch.resident[stage]) - 1 for stage in STAGES] == [12, 60]
    assert {"score", "report"} <= watch.seconds.keys()
    assert (run / "report" / "report.html").stat().st_size > 10_000
