"""Whole runs over bad clips and bad systems: every clip gets a status and a reason, the good ones are scored."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emo_bench.data.import_folder import import_videos
from emo_bench.data.manifest import ManifestEntry, file_hashes, write_manifest
from emo_bench.record.rows import rows_table
from emo_bench.record.schema import RunRecord
from emo_bench.record.store import read_record
from emo_bench.runner.run import run_suite
from emo_bench.runner.suite import load_suite
from emo_core.errors import DataError, EmoBenchError

BAD = {
    "empty": "decode_error",
    "text": "decode_error",
    "truncated": "decode_error",
    "silent": "no_audio",
    "missing": "decode_error",
    "wrong-bytes": "decode_error",
    "escapes": "data_error",
}
GOOD = ("good-0", "good-1", "long-audio", "short-audio", "naïve name (1) 'q' 🎬")


@pytest.fixture(scope="module")
def hostile_set(tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of twelve clips, seven of them bad in their own way."""
    root = tmp_path_factory.mktemp("hostile")
    folder = root / "set"
    folder.mkdir()
    tiny.clip(folder / "good-0.mkv", person=0)
    tiny.clip(folder / "good-1.mkv", person=1)
    tiny.clip(folder / "long-audio.mkv", person=2, audio_seconds=0.8)
    tiny.clip(folder / "short-audio.mkv", person=3, audio_seconds=0.2)
    tiny.clip(folder / f"{GOOD[4]}.mkv", person=4)
    tiny.clip(folder / "silent.mkv", silent=True)
    (folder / "empty.mkv").write_bytes(b"")
    (folder / "text.mkv").write_text("this is no video\n" * 100, encoding="utf-8")
    whole = (folder / "good-0.mkv").read_bytes()
    (folder / "truncated.mkv").write_bytes(whole[: len(whole) // 2])
    tiny.clip(folder / "missing.mkv", person=6)
    tiny.clip(folder / "wrong-bytes.mkv", person=7)
    tiny.clip(root / "outside.mkv", person=5)
    (folder / "escapes.mkv").symlink_to(root / "outside.mkv")
    entries = [
        ManifestEntry(id=name, video=f"{name}.mkv", identity=name, sha256=file_hashes(folder, video=f"{name}.mkv"))
        for name in (*GOOD, *BAD)
    ]
    write_manifest(folder / "manifest.jsonl", entries)
    (folder / "missing.mkv").unlink()
    (folder / "wrong-bytes.mkv").write_bytes(whole)
    return folder / "manifest.jsonl"


@pytest.fixture(scope="module")
def hostile_run(tiny, hostile_set: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRecord, Path]:
    folder = tmp_path_factory.mktemp("hostile-run")
    run_suite(load_suite(tiny.suite(hostile_set, folder)))
    return read_record(folder / "run"), folder / "run"


def test_every_bad_clip_has_its_status_and_a_reason(hostile_run: tuple[RunRecord, Path]) -> None:
    record, _ = hostile_run
    clips = {clip.id: clip for clip in record.clips}
    assert set(clips) == {*BAD, *GOOD}
    assert {name: clips[name].code for name in BAD} == BAD
    assert all(clips[name].reason and clips[name].status == "failed" and clips[name].n_frames == 0 for name in BAD)
    assert all(clips[name].status == "ok" and clips[name].n_frames > 0 for name in GOOD)
    assert clips["good-0"].n_frames == 10
    assert clips["short-audio"].n_frames == 5
    assert clips["long-audio"].n_frames == 10
    assert record.status == "incomplete"


def test_good_clips_are_scored_and_nothing_missing_counts_as_zero(hostile_run: tuple[RunRecord, Path]) -> None:
    record, folder = hostile_run
    for entry in record.values:
        assert (entry.n_planned, entry.n_scored) == (len(BAD) + len(GOOD), len(GOOD)), entry
        assert entry.status == "ok"
    truth = {entry.key: entry.value for entry in record.values if entry.system == "ground-truth"}
    assert (truth["psnr"], truth["ssim"]) == (100.0, pytest.approx(1.0))
    rows = rows_table(folder)
    assert len(rows) == len(record.values) * (len(BAD) + len(GOOD))
    bad = rows[rows["clip"].isin(list(BAD))]
    assert bad["value"].isna().all()
    assert (bad["reason"].str.len() > 0).all()
    assert {clip: set(part["status"]) for clip, part in bad.groupby("clip")} == {k: {v} for k, v in BAD.items()}
    assert np.isfinite(rows[rows["clip"].isin(list(GOOD))]["value"]).all()


def test_counts_and_failures_agree(hostile_run: tuple[RunRecord, Path]) -> None:
    record, folder = hostile_run
    systems = len(record.systems)
    assert record.counts.planned == systems * (len(BAD) + len(GOOD))
    assert record.counts.failed == systems * len(BAD) == len(record.failures)
    assert {(failure.clip, failure.code) for failure in record.failures} == set(BAD.items())
    journal = [json.loads(line) for line in (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    # One line for each unit that was worked on: what rests on a missing ground truth is not tried.
    assert len(journal) == record.counts.planned - len(BAD) * (systems - 1)


def test_bad_clips_are_no_partners(hostile_run: tuple[RunRecord, Path]) -> None:
    rows = rows_table(hostile_run[1])
    shuffled = rows[(rows["system"] == "shuffled-audio") & rows["clip"].isin(list(GOOD))]
    assert (shuffled["status"] == "ok").all()


def test_the_command_line_says_three_and_reuses_what_is_good(
    tiny, hostile_set: Path, hostile_run: tuple[RunRecord, Path]
) -> None:
    folder = hostile_run[1].parent
    done = tiny.cli("run", "--config", folder / "suite.yaml", "--json", cwd=folder)
    assert done.code == 3, done.err
    assert done.json["counts"]["failed"] == 6 * len(BAD)
    assert "no_audio" in done.err
    assert read_record(folder / "run").timings.units_computed == 0


def test_importing_sorts_good_from_bad(tiny, hostile_set: Path, tmp_path: Path) -> None:
    folder = tmp_path / "import"
    shutil.copytree(hostile_set.parent, folder, symlinks=True)
    shutil.copy(folder / "good-1.mkv", folder / "good-1.mov")
    (folder / "sub").mkdir()
    shutil.copy(folder / "good-0.mkv", folder / "sub" / ("x" * 240 + ".mkv"))
    shutil.copy(folder / "good-0.mkv", folder / "sub" / ("x" * 240 + "y.mkv"))
    shutil.copy(folder / "good-0.mkv", folder / "sub" / "a?b*.mkv")
    shutil.copy(folder / "good-0.mkv", folder / "sub" / "a:b.mkv")
    shutil.copy(folder / "good-0.mkv", os.fsencode(folder / "sub") + b"/caf\xe9.mkv")
    report = import_videos(folder, manifest=folder / "new.jsonl")
    refused = {Path(item.file).name: item.code for item in report.refused}
    assert refused == {
        "empty.mkv": "decode_error",
        "text.mkv": "decode_error",
        "truncated.mkv": "decode_error",
        "silent.mkv": "no_audio",
        "escapes.mkv": "outside",
        "good-1.mkv": "ambiguous_name",
        "good-1.mov": "ambiguous_name",
        "a:b.mkv": "bad_name",
        "caf\udce9.mkv": "bad_name",
    }
    assert all(item.reason for item in report.refused)
    assert len({entry.id for entry in report.entries}) == len(report.entries) == 8
    assert "sub__a_b_" in {entry.id for entry in report.entries}


def test_nothing_to_import(tiny, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = tiny.cli("data", "import", "empty", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "no videos below empty" in done.err
    assert "files ending in" in done.err
    (tmp_path / "empty" / "a.mp4").write_bytes(b"")
    with pytest.raises(DataError, match="no usable video"):
        import_videos(tmp_path / "empty")
    assert not (tmp_path / "empty" / "manifest.jsonl").exists()


def test_all_clips_bad_is_a_record_without_values(tiny, tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_bytes(b"nothing")
    entry = ManifestEntry(id="a", video="a.mkv", identity="a", sha256=file_hashes(tmp_path, video="a.mkv"))
    write_manifest(tmp_path / "manifest.jsonl", [entry])
    record = run_suite(load_suite(tiny.suite(tmp_path / "manifest.jsonl", tmp_path)))
    assert record.status == "incomplete"
    assert {(entry.value, entry.status, entry.n_scored) for entry in record.values} == {(None, "failed", 0)}
    assert all("decode_error" in entry.reason for entry in record.values)
    assert {check.verdict for check in record.checks} == {"no_value", "cannot"}


def odd(kind: str) -> list[dict[str, Any]]:
    return [{"name": "odd", "kind": f"odd_{kind}"}, {"name": "fine", "kind": "odd_whole"}]


def run_odd(tiny, third_party: Path, tiny_set: Path, folder: Path, kind: str, *arguments: str) -> tuple[Any, RunRecord]:
    suite = tiny.suite(tiny_set, folder, systems=odd(kind), anchors=[], execution={"workers": 2})
    extra = {"PYTHONPATH": str(third_party)}
    done = tiny.cli("run", "--config", suite, "--json", *arguments, cwd=folder, extra=extra)
    return done, read_record(folder / "run")


def outcome(record: RunRecord, system: str = "odd") -> dict[str, str]:
    return {failure.clip: failure.code for failure in record.failures if failure.system == system}


def test_a_system_that_kills_its_process_loses_only_that_clip(tiny, third_party, tiny_set, tmp_path) -> None:
    done, record = run_odd(tiny, third_party, tiny_set, tmp_path, "dies")
    assert done.code == 3, done.err
    assert outcome(record) == {"clip-01": "worker_died"}
    assert "exit code 7" in record.failures[0].reason
    assert outcome(record, "fine") == outcome(record, "ground-truth") == {}
    scored = {entry.system: entry.n_scored for entry in record.values if entry.key == "psnr"}
    assert scored == {"ground-truth": 3, "odd": 2, "fine": 3}


def test_a_system_that_hangs_is_stopped(tiny, third_party, tiny_set, tmp_path) -> None:
    done, record = run_odd(tiny, third_party, tiny_set, tmp_path, "hangs", "--set", "execution.unit_timeout_s=15")
    assert done.code == 3, done.err
    assert outcome(record) == {"clip-01": "timeout"}
    assert "15 s" in record.failures[0].reason
    assert outcome(record, "fine") == {}


@pytest.fixture
def in_this_process(third_party: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The misbehaving systems in this process's registry."""
    from emo_bench.systems.system import systems

    monkeypatch.syspath_prepend(third_party)
    for name in ("Whole", "Dies", "Hangs", "Raises", "Lies"):
        monkeypatch.setitem(systems._targets, f"odd_{name.lower()}", f"odd_systems:{name}")


@pytest.mark.usefixtures("in_this_process")
def test_bugs_of_a_system_are_statuses_even_when_it_raises_exit(tiny, tiny_set, tmp_path) -> None:
    suite = tiny.suite(tiny_set, tmp_path, systems=odd("raises"), anchors=[])
    record = run_suite(load_suite(suite))
    reasons = {failure.clip: failure.reason for failure in record.failures}
    assert set(outcome(record).values()) == {"error"}
    assert "a bug of the method" in reasons["clip-00"]
    assert "no such checkpoint" in reasons["clip-01"]
    assert "SystemExit" in reasons["clip-02"]
    assert outcome(record, "fine") == {}


@pytest.mark.usefixtures("in_this_process")
def test_a_system_that_breaks_its_promise_is_found_out_and_nothing_is_kept(tiny, tiny_set, tmp_path) -> None:
    suite = tiny.suite(tiny_set, tmp_path, systems=odd("lies"), anchors=[])
    record = run_suite(load_suite(suite))
    reasons = {failure.clip: failure.reason for failure in record.failures if failure.system == "odd"}
    assert "expected: 10 frames; found:    9 frames" in reasons["clip-00"]
    assert "float64" in reasons["clip-01"]
    assert "NaN" in reasons["clip-02"]
    # Three ground truths and three good clips, each with a record and its audio; nothing half-written beside them.
    sidecars = list((tmp_path / "store" / "clips").rglob("*.json"))
    assert len(sidecars) == 6
    assert {path.suffix for path in (tmp_path / "store").rglob("*") if path.is_file()} <= {
        ".mkv",
        ".json",
        ".npy",
        ".safetensors",
    }
    assert not [path for path in (tmp_path / "store").rglob(".*") if path.is_file()]


def wait_for_the_end_of(group: int) -> None:
    for _ in range(100):
        os.killpg(group, 0)
        time.sleep(0.1)


def test_an_interrupt_ends_with_130_and_loses_nothing(tiny, third_party, tiny_set, tmp_path) -> None:
    suite = tiny.suite(tiny_set, tmp_path, systems=odd("hangs"), anchors=[], execution={"workers": 2})
    command = tiny.command("run", "--config", suite)
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=tiny.environment({"PYTHONPATH": str(third_party)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Shells start background jobs ignoring Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    journal = tmp_path / "run" / "journal.jsonl"
    deadline = time.monotonic() + 200
    # Three truths, two good clips of the hanging system and three of the other one.
    while time.monotonic() < deadline and not (journal.is_file() and len(journal.read_text().splitlines()) >= 8):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does on Ctrl-C: the whole group gets it
    _, talk = process.communicate(timeout=280)
    assert process.returncode == 130, talk
    assert "the same command continues" in talk
    assert "Traceback" not in talk
    assert len(list((tmp_path / "store" / "clips").rglob("*.json"))) == 8
    with pytest.raises(ProcessLookupError):  # no worker is left behind
        wait_for_the_end_of(process.pid)


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
from emo_bench.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


def test_a_full_disk_stops_the_run_with_a_message_and_keeps_what_is_done(tiny, tiny_set, tmp_path) -> None:
    import sys

    suite = tiny.suite(tiny_set, tmp_path, anchors=["frozen"], metrics=["flicker/luma@1"])
    run = [sys.executable, "-c", FULL_DISK]
    arguments = ["run", "--config", str(suite), "--quiet"]
    small = subprocess.run(
        [*run, "6000", *arguments], cwd=tmp_path, env=tiny.environment(), capture_output=True, text=True, timeout=240
    )
    assert small.returncode == 2, small.stderr
    assert "disk is full" in small.stderr or "file system refused" in small.stderr
    assert "Traceback" not in small.stderr
    assert not [path for path in (tmp_path / "store").rglob(".*") if path.is_file()]
    record = run_suite(load_suite(suite))
    assert record.status == "complete"


def test_a_second_run_in_the_same_folder_is_refused(tiny, tiny_set, tmp_path) -> None:
    from filelock import FileLock

    suite = load_suite(tiny.suite(tiny_set, tmp_path))
    (tmp_path / "run").mkdir()
    with FileLock(tmp_path / "run" / ".lock"), pytest.raises(EmoBenchError, match="another process works in"):
        run_suite(suite)
