"""A run that is killed and started again ends with the same record as one that was not."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emo_bench.record.rows import rows_table
from emo_bench.record.store import read_record
from emo_bench.runner import run as engine_run
from emo_bench.runner.run import run_suite
from emo_bench.runner.suite import load_suite
from emo_core.atomic import sweep_orphans


def files(store: Path) -> dict[str, bytes]:
    """Every finished file of a store; sidecars without the seconds that making a clip took."""
    found = {}
    for path in sorted(store.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            data = path.read_bytes()
            if path.suffix == ".json":
                data = json.dumps({**json.loads(data), "seconds": 0}).encode()
            found[str(path.relative_to(store))] = data
    return found


@pytest.fixture(scope="module")
def uninterrupted(tiny, tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run from start to end, in this process."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    run_suite(load_suite(tiny.suite(tiny_set, folder)))
    return folder


def same(tiny, one: Path, other: Path, *, stores: bool = True) -> None:
    """Asserts that two runs of the suite in different folders say the same."""
    first, second = tiny.comparable(one / "run"), tiny.comparable(other / "run")
    for record, folder in ((first, one), (second, other)):
        # Where the work was done is part of the suite; here it is the only difference.
        for where in ("output", "store"):
            record["config"][where] = record["config"][where].replace(str(folder), "")
        record["config_given"] = record["config_given"].replace(str(folder), "")
        record["config"]["execution"] = None
        record["overrides"] = None
    assert first == second
    assert (one / "run" / "clips.parquet").read_bytes() == (other / "run" / "clips.parquet").read_bytes()
    if stores:
        assert files(one / "store") == files(other / "store")


def start(tiny, suite: Path, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        tiny.command("run", "--config", suite, "--json", *arguments),
        cwd=folder,
        env=tiny.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished_files(store: Path) -> int:
    return sum(1 for path in store.rglob("*") if path.is_file() and not path.name.startswith("."))


def kill_after(process: subprocess.Popen[str], store: Path, count: int) -> bool:
    """Kills a run once its store holds so many files; whether it was still running."""
    while process.poll() is None and finished_files(store) < count:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def wait_for_workers(process: subprocess.Popen[str]) -> None:
    """Waits until the workers have noticed that their parent is gone."""
    for _ in range(100):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("workers outlive their parent")


def test_killed_once_and_resumed(tiny, tiny_set: Path, uninterrupted: Path, tmp_path: Path) -> None:
    suite = tiny.suite(tiny_set, tmp_path)
    assert kill_after(start(tiny, suite, tmp_path), tmp_path / "store", 9)
    assert not (tmp_path / "run" / "record.json").exists()
    kept = files(tmp_path / "store")
    record = run_suite(load_suite(suite))
    assert record.timings.units_reused > 0
    same(tiny, uninterrupted, tmp_path)
    assert kept.items() <= files(tmp_path / "store").items()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_random_moments_with_two_workers(
    tiny, tiny_set: Path, uninterrupted: Path, tmp_path: Path, seed: int
) -> None:
    suite = tiny.suite(tiny_set, tmp_path)
    total = finished_files(uninterrupted / "store")
    moments = sorted(random.Random(seed).sample(range(total), 3))
    for moment in moments:
        process = start(tiny, suite, tmp_path, "--set", "execution.workers=2")
        assert kill_after(process, tmp_path / "store", moment)
        wait_for_workers(process)
    process = start(tiny, suite, tmp_path, "--set", "execution.workers=2")
    out, talk = process.communicate(timeout=240)
    assert process.returncode == 0, talk
    assert json.loads(out)["status"] == "complete"
    same(tiny, uninterrupted, tmp_path)
    sweep_orphans(tmp_path / "store")
    assert files(tmp_path / "store") == files(uninterrupted / "store")


def test_a_finished_suite_computes_nothing_again(tiny, uninterrupted: Path) -> None:
    before = tiny.comparable(uninterrupted / "run")
    stamps = {path: path.stat().st_mtime_ns for path in (uninterrupted / "store").rglob("*") if path.is_file()}
    record = run_suite(load_suite(uninterrupted / "suite.yaml"))
    assert record.timings.units_computed == 0
    assert record.timings.units_reused == 6 * 3 * (1 + 2)
    assert tiny.comparable(uninterrupted / "run") == before
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


@pytest.mark.parametrize("workers", [1, 2])
def test_neither_order_nor_workers_change_anything(
    tiny, tiny_set: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    ordered = engine_run.run_units

    def shuffled(spec: Any, units: Any, **how: Any) -> Iterator[Any]:
        mixed = list(units)
        random.Random(workers).shuffle(mixed)
        return ordered(spec, mixed, **how)

    monkeypatch.setattr(engine_run, "run_units", shuffled)
    run_suite(load_suite(tiny.suite(tiny_set, tmp_path), [f"execution.workers={workers}"]))
    same(tiny, uninterrupted, tmp_path)


def test_a_changed_clip_is_made_again_and_the_others_are_not(tiny, tiny_set: Path, tmp_path: Path) -> None:
    from emo_bench.data.manifest import ManifestEntry, file_hashes, read_manifest, write_manifest

    shutil.copytree(tiny_set.parent, tmp_path / "set")
    manifest = tmp_path / "set" / "manifest.jsonl"
    suite = load_suite(tiny.suite(manifest, tmp_path, anchors=["frozen"]))
    first = run_suite(suite)
    tiny.clip(tmp_path / "set" / "clip-01.mkv", person=9)
    # Not yet in the manifest: the clip fails as it would with an empty store, and nothing is made.
    between = run_suite(suite)
    assert between.timings.units_computed == 0
    assert {clip.id for clip in between.clips if clip.status == "failed"} == {"clip-01"}
    entries = [
        ManifestEntry.model_validate(
            {**entry.model_dump(), "sha256": file_hashes(manifest.parent, video=entry.video)}, strict=False
        )
        for entry in read_manifest(manifest).entries
    ]
    write_manifest(manifest, entries)
    second = run_suite(suite)
    # Of one clip: the ground truth, the frozen portrait, and two extractors for each.
    assert second.timings.units_computed == 6
    assert second.digests.dataset != first.digests.dataset
    assert second.digests.config == first.digests.config
    rows = rows_table(tmp_path / "run")
    assert (rows["status"] == "ok").all()


def test_options_and_seeds_are_part_of_the_key(tiny, tiny_set: Path, tmp_path: Path) -> None:
    systems = [{"name": "soft", "kind": "reencoded", "crf": 40}]
    base = tiny.suite(tiny_set, tmp_path, anchors=[], systems=systems, metrics=["flicker/luma@1"])
    first = run_suite(load_suite(base))
    again = run_suite(load_suite(base, ["systems[0].name=other-name"]))
    assert again.timings.units_computed == 0
    harder = run_suite(load_suite(base, ["systems[0].crf=41"]))
    assert harder.timings.units_computed == 3 * 2
    seeds = run_suite(load_suite(base, ["seeds=[5]"]))
    assert seeds.timings.units_computed == 0  # these systems have no randomness
    assert len({record.systems[1].digest for record in (first, again, harder, seeds)}) == 2
    media = run_suite(load_suite(base, ["media.size={width: 48, height: 48}"]))
    assert media.timings.units_computed == 2 * 3 * 2


def test_damage_in_the_stores_is_noticed_and_repaired(
    tiny, tiny_set: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    suite = tiny.suite(tiny_set, tmp_path)
    shutil.copytree(uninterrupted / "store", tmp_path / "store")
    store = tmp_path / "store"
    clips = sorted((store / "clips").rglob("*.mkv"))
    for path in clips:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
    features = sorted((store / "features").rglob("*.safetensors"))
    for index, path in enumerate(features):
        data = bytearray(path.read_bytes())
        if index % 3 == 0:
            data[-3] ^= 0x10
        elif index % 3 == 1:
            data = data[: len(data) // 2]
        else:
            data = bytearray()
        path.write_bytes(bytes(data))
    record = run_suite(load_suite(suite))
    assert record.status == "complete", record.failures
    same(tiny, uninterrupted, tmp_path, stores=False)
    # A damaged clip that nobody opened stays; every one that was opened is what it was.
    whole = files(uninterrupted / "store")
    now = files(store)
    assert {name for name in whole if now[name] != whole[name]} <= {str(path.relative_to(store)) for path in clips}
    assert sum(now[name] == whole[name] for name in whole if name.endswith(".mkv")) >= 3
    again = run_suite(load_suite(suite))
    assert (again.status, again.timings.units_computed) == ("complete", 0)


def test_a_record_that_was_cut_off_is_refused_by_readers_and_written_anew(tiny, uninterrupted: Path) -> None:
    from emo_core.errors import RecordError

    path = uninterrupted / "run" / "record.json"
    before = tiny.comparable(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RecordError, match="damaged"):
        read_record(path)
    run_suite(load_suite(uninterrupted / "suite.yaml"))
    assert tiny.comparable(path) == before
