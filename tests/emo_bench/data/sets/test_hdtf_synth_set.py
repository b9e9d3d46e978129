from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from emo_bench.data.manifest import read_manifest
from emo_bench.data.sets import hdtf_synth as make
from emo_bench.data.sets.hdtf_synth import make_clip, make_hdtf_synth
from emo_core.atomic import owner
from emo_core.errors import DataError
from hdtf_synth.clip import clip_content
from hdtf_synth.identity import identity_from_seed
from hdtf_synth.plan import clips_of
from hdtf_synth.recordings import recording
from hdtf_synth.render import render_frame
from hdtf_synth.state import FrameState

HASHES = json.loads((Path(__file__).parents[3] / "hdtf_synth" / "hashes.json").read_text(encoding="utf-8"))

PROBE = Path(__file__).parents[3] / "hdtf_synth" / "frames_probe.py"
BASELINE_ONLY = (
    "AVX512_SPR AVX512_ICL AVX512_CLX AVX512_CNL AVX512_SKX AVX512F AVX512CD X86_V4 X86_V3 AVX2 FMA3 AVX F16C"
)


def _clip_hashes(target: Path, numbers: tuple[int, ...]) -> dict[str, dict[str, str]]:
    plans = clips_of("mini")
    return {plans[n].id: make_clip(target, plans[n], 128).sha256 for n in numbers}


def test_clips_have_the_committed_bytes(tmp_path: Path) -> None:
    made = _clip_hashes(tmp_path, (2,))
    assert made == {name: HASHES["clips"][name] for name in made}


def _probe(disabled: str) -> list[str]:
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": disabled, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, str(PROBE)], env=environment, capture_output=True, text=True, check=True)
    hashes: list[str] = json.loads(done.stdout)
    return hashes


def test_pixels_do_not_depend_on_simd() -> None:
    assert _probe(BASELINE_ONLY) == HASHES["frames"]


@pytest.mark.slow
def test_pixels_are_the_committed_ones() -> None:
    assert _probe("") == HASHES["frames"]


def test_interrupted_work_is_resumed_and_damage_is_repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = clips_of("mini")[:3]
    monkeypatch.setattr(make, "clips_of", lambda _: plans)
    make_clip(tmp_path, plans[0], 32)
    make_clip(tmp_path, plans[1], 32)
    (tmp_path / "clips" / f"{plans[1].id}.avi").write_bytes(b"half")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = f"{owner().partition('.')[0]}.{gone.pid}"
    (tmp_path / "clips" / f".mini-002.{left}-00.tmp.avi").write_bytes(b"left over")
    (tmp_path / "truth" / f".mini-002.{owner()}-00.tmp.safetensors").write_bytes(b"another run is at it")
    seen: list[tuple[int, int]] = []
    report = make_hdtf_synth(tmp_path, slice="mini", size=32, workers=1, progress=lambda i, n, _: seen.append((i, n)))
    assert (report.made, report.kept) == (2, 1)
    assert seen == [(1, 2), (2, 2)]  # a bar moves by one at each call
    again = make_hdtf_synth(tmp_path, slice="mini", size=32, workers=1, progress=lambda i, n, _: seen.append((i, n)))
    assert len(seen) == 2
    assert (again.made, again.kept) == (0, 3)
    manifest = read_manifest(report.manifest)
    assert [entry.id for entry in manifest.entries] == [plan.id for plan in plans]
    for entry in manifest.entries:
        for kind, path in (("video", entry.video), ("truth", entry.truth)):
            assert path is not None
            data = manifest.path(path).read_bytes()
            assert hashlib.sha256(data).hexdigest() == entry.sha256[kind]
        assert entry.meta["synthetic"] is True
    assert [path.name for path in tmp_path.rglob(".*.tmp.*")] == [f".mini-002.{owner()}-00.tmp.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clips", "manifest.jsonl", "truth"]


def test_truth_files_are_safetensors(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors")
    plan = clips_of("mini")[3]
    entry = make_clip(tmp_path, plan, 32)
    with safetensors.safe_open(tmp_path / str(entry.truth), framework="np") as file:
        assert file.get_tensor("landmarks68").shape == (50, 68, 2)
        assert json.loads(file.metadata()["expression_names"])[0] == "jaw_open"
        assert len(json.loads(file.metadata()["phonemes"])) == len(recording("mini", 3).phonemes)
        assert entry.face_box is not None
        assert float(file.get_tensor("box")[:, 0].min()) == entry.face_box[0]


def test_offsets_shift_the_sound_and_nothing_else() -> None:
    plan = next(plan for plan in clips_of("offsets") if plan.offset == 3)
    content = clip_content(plan, size=32)
    spoken = recording("offsets", plan.number).samples
    assert np.array_equal(content.samples[3 * 640 :], spoken[: -3 * 640])
    assert not content.samples[: 3 * 640].any()


def test_the_reference_frame_shows_open_eyes_and_a_quiet_mouth() -> None:
    content = clip_content(clips_of("mini")[0], size=32)
    frame = make.reference_frame(content)
    assert content.truth["blink"][frame].max() < 0.4
    assert content.truth["mouth_opening"][frame] < 0.1


def test_identities_repeat_and_differ() -> None:
    assert identity_from_seed(5) == identity_from_seed(5)
    assert len({identity_from_seed(i) for i in range(200)}) == 200
    one = render_frame(identity_from_seed(20), FrameState(), size=64)
    other = render_frame(identity_from_seed(25), FrameState(), size=64)
    assert one.shape == (64, 64, 3)
    assert np.abs(one.astype(int) - other).mean() > 5


def test_the_mouth_and_the_eyes_change_the_picture_where_they_are() -> None:
    who = identity_from_seed(14)
    rest = render_frame(who, FrameState(), size=128).astype(int)
    mouth = np.abs(render_frame(who, FrameState(jaw_open=0.8), size=128) - rest).sum(axis=2)
    eyes = np.abs(render_frame(who, FrameState(blink_left=1.0, blink_right=1.0), size=128) - rest).sum(axis=2)
    rows = np.arange(128)
    assert (mouth.sum(axis=1) * rows).sum() / mouth.sum() > 72
    assert (eyes.sum(axis=1) * rows).sum() / eyes.sum() < 68


@pytest.mark.parametrize(
    "options", [{"slice": "everything"}, {"slice": "mini", "size": 30}, {"slice": "mini", "size": 4096}]
)
def test_wrong_requests_are_refused(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(DataError, match=r"slice|size"):
        make_hdtf_synth(tmp_path, **options)  # type: ignore[arg-type]


def test_workers_end_with_the_work(tmp_path: Path) -> None:
    def stop(*_: object) -> None:
        raise RuntimeError("the display is gone")

    with pytest.raises(RuntimeError, match="display") as kept:
        make_hdtf_synth(tmp_path, slice="test", size=32, progress=stop)
    assert kept.traceback  # whose frames hold on to what was not closed
    assert multiprocessing.active_children() == []
    assert len(list((tmp_path / "clips").glob("*.avi"))) < 60


def test_another_run_may_clear_up_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    from emo_core.atomic import atomic_path

    def cleared(target: Path, data: bytes, *, durable: bool = True) -> None:
        with atomic_path(target, durable=durable) as temporary:
            temporary.write_bytes(data)
            if target.parent.name == ".parts" and not (tmp_path / "once").exists():
                (tmp_path / "once").touch()
                shutil.rmtree(target.parent)

    monkeypatch.setattr(make, "write_bytes", cleared)
    plan = clips_of("mini")[0]
    made = make_clip(tmp_path, plan, 32)
    assert make._finished(tmp_path, plan, 32) == made


def test_a_manifest_of_other_clips_is_not_replaced(tmp_path: Path, tiny_set: Path) -> None:
    (tmp_path / "test").mkdir()
    kept = (tmp_path / "test" / "manifest.jsonl").write_bytes(tiny_set.read_bytes())
    with pytest.raises(DataError, match="lists other clips"):
        make_hdtf_synth(tmp_path / "test", slice="test")
    assert [path.stat().st_size for path in (tmp_path / "test").iterdir()] == [kept]


def test_a_full_disk_is_named_before_work_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(DataError, match="not enough disk space"):
        make_hdtf_synth(tmp_path, slice="mini")
    assert not (tmp_path / "clips").exists()


def test_a_finished_set_needs_no_room_and_is_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    plans = clips_of("mini")[:1]
    monkeypatch.setattr(make, "clips_of", lambda _: plans)
    made = make_hdtf_synth(tmp_path, slice="mini", size=32)
    written = made.manifest.stat().st_mtime_ns
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=0))
    assert make_hdtf_synth(tmp_path, slice="mini", size=32).kept == 1
    assert made.manifest.stat().st_mtime_ns == written
    made.manifest.write_text(made.manifest.read_text() + "{}\n")
    assert make_hdtf_synth(tmp_path, slice="mini", size=32).kept == 1
    assert [entry.id for entry in read_manifest(made.manifest).entries] == [plans[0].id]


@pytest.mark.slow
def test_two_processes_make_the_committed_mini_slice(tmp_path: Path) -> None:
    report = make_hdtf_synth(tmp_path, slice="mini", workers=2)
    made = {entry.id: entry.sha256 for entry in read_manifest(report.manifest).entries}
    assert made == HASHES["clips"]


def test_a_script_without_a_guard_is_told_so_and_does_not_hang(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\nfrom emo_bench.data.sets.hdtf_synth import make_hdtf_synth\n"
        f"make_hdtf_synth(Path({str(tmp_path / 'set')!r}), slice='mini', size=32)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 1
    assert 'if __name__ == "__main__":' in done.stderr.splitlines()[-3]
