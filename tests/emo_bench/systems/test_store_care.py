"""The store shows what lies there, notices what is wrong, and deletes only what nobody needs."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_sets import write_tiny_set

from emo_bench.cli.store import _keys
from emo_bench.data.manifest import read_manifest
from emo_bench.engine.context import RunContext
from emo_bench.engine.plan import forecast, other_units, truth_units
from emo_bench.engine.units import is_done, work
from emo_bench.media.recipe import FileFrames, NoFrames, object_of
from emo_bench.runner.reference_set import open_reference, reference_context
from emo_bench.runner.run import run_suite, spec_of
from emo_bench.runner.suite import load_suite
from emo_bench.systems.clip_store import ClipStore, FramesDeletedError, Sidecar
from emo_bench.systems.store_care import contents, folder_bytes, problems, unneeded

METRICS = ["psnr/rgb@1", "flicker/luma@1"]


def values_of(run: Path) -> Any:
    return json.loads((run / "record.json").read_text(encoding="utf-8"))["values"]


def age(store: Path) -> None:
    """Makes all files look two hours old."""
    for path in store.rglob("*"):
        os.utime(path, (time.time() - 7200,) * 2)


@pytest.fixture(scope="module")
def scored(tiny, tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scored")
    anchors = ["frozen", "shuffled_audio", "shifted_audio", "reencoded"]
    run_suite(load_suite(tiny.suite(tiny_set, folder, anchors=anchors, metrics=METRICS)))
    return folder


def test_anchors_with_the_frames_of_the_ground_truth_take_audio_alone(scored: Path) -> None:
    found = contents(ClipStore(scored / "store"))
    use = found.by_system()
    assert {name: entry.clips for name, entry in use.items()} == dict.fromkeys(
        ["ground-truth", "frozen", "shuffled-audio", "shifted-audio", "reencoded"], 3
    )
    audio = 3 * (128 + 4 * 6400)
    assert use["shifted-audio"].bytes == audio
    assert use["shuffled-audio"].bytes == 0  # tones of equal length: another clip's audio lies there already
    assert use["ground-truth"].bytes > audio
    assert sum(found.objects.values()) == sum(entry.bytes for entry in use.values())
    assert list(problems(ClipStore(scored / "store"), found)) == []


def test_damage_is_listed_by_verify(scored: Path, tiny) -> None:
    store = ClipStore(scored / "store")
    name = next(name for name in store.objects.names() if name.endswith(".mkv"))
    path, data = store.objects.path(name), store.objects.path(name).read_bytes()
    assert tiny.cli("store", "verify", scored / "store", cwd=scored).code == 0
    path.write_bytes(data[:-1] + b"\7")
    done = tiny.cli("store", "verify", scored / "store", cwd=scored)
    path.write_bytes(data)
    assert done.code == 3
    assert f"stored file {name} is damaged or missing" in done.out


def test_prune_deletes_what_no_clip_names_and_leaves_the_young(scored: Path) -> None:
    store = ClipStore(scored / "store")
    left = store.objects.path(store.objects.add(b"left", suffix=".npy"))
    assert unneeded(store, contents(store), keep=None) == []
    os.utime(left, (time.time() - 7200,) * 2)
    assert unneeded(store, contents(store), keep=None) == [left]
    left.unlink()


def test_prune_with_suites_keeps_their_clips(tiny, tiny_set: Path, tmp_path: Path) -> None:
    run_suite(load_suite(tiny.suite(tiny_set, tmp_path, anchors=["frozen", "shifted_audio"], metrics=METRICS)))
    smaller = tiny.suite(
        tiny_set, tmp_path / "smaller", anchors=["frozen"], metrics=METRICS, store=str(tmp_path / "store")
    )
    age(tmp_path / "store")
    asked = ("store", "prune", tmp_path / "store", "--keep", smaller)
    assert "would be" in tiny.cli(*asked, "--dry-run", cwd=tmp_path).out
    assert set(contents(ClipStore(tmp_path / "store")).by_system()) == {"ground-truth", "frozen", "shifted-audio"}
    assert tiny.cli(*asked, cwd=tmp_path).code == 0
    found = contents(ClipStore(tmp_path / "store"))
    assert set(found.by_system()) == {"ground-truth", "frozen"}
    assert set(found.objects) == found.named()
    assert run_suite(load_suite(smaller)).timings.units_computed == 0


def test_prune_reads_the_store_that_it_prunes(tiny, tmp_path: Path) -> None:
    """Which clips are partners of others depends on those that could be prepared, as the pruned store has them."""
    manifest = tiny.set(tmp_path / "set", n_clips=4)
    tiny.clip(tmp_path / "set" / "clip-02.mkv", person=7)  # another one than the manifest has: it fails
    suite = tiny.suite(manifest, tmp_path, anchors=["other_identity"], metrics=METRICS)
    run_suite(load_suite(suite))
    moved = (tmp_path / "store").rename(tmp_path / "moved")
    clips = contents(ClipStore(moved)).records.keys()
    assert len(clips) == 6
    assert clips <= _keys([suite], moved)


def test_a_forecast_after_half_of_the_clips_is_right_within_a_fifth(tiny, tmp_path: Path) -> None:
    manifest = tiny.set(tmp_path / "set", n_clips=6)
    suite = load_suite(
        tiny.suite(manifest, tmp_path, anchors=["frozen", "reencoded", "shifted_audio"], metrics=METRICS)
    )
    context = RunContext(spec_of(suite, read_manifest(manifest)))
    units = [*truth_units(context), *other_units(context)]
    halves = [unit for unit in units if unit.clip < "clip-03"], [unit for unit in units if unit.clip >= "clip-03"]
    for unit in halves[0]:
        assert work(context, unit).code == "ok"
    before = folder_bytes(tmp_path / "store")
    expected = forecast(context)
    assert sum(expected.bytes_by_system.values()) == expected.bytes
    for unit in halves[1]:
        assert work(context, unit).code == "ok"
    assert expected.bytes == pytest.approx(folder_bytes(tmp_path / "store") - before, rel=0.2)


def test_frames_that_were_let_go_are_made_again_when_needed(tiny, tiny_set: Path, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for person in range(3):
        tiny.clip(folder / f"clip-0{person}.mkv", person=person + 5)
    system = {"name": "mine", "kind": "videos", "folder": str(folder), "store": "features-only"}
    kept = {**system, "store": "keep"}
    runs = {}
    for name, one in (("features-only", system), ("keep", kept)):
        suite = tiny.suite(tiny_set, tmp_path / name, anchors=[], systems=[one], metrics=["psnr/rgb@1"])
        runs[name] = load_suite(suite)
        run_suite(runs[name])
    assert values_of(tmp_path / "features-only/run") == values_of(tmp_path / "keep/run")
    context = RunContext(spec_of(runs["features-only"], read_manifest(tiny_set)))
    units = other_units(context)
    assert all(is_done(context, unit) for unit in units)
    for unit in units:
        clip = context.stored_clip(unit)
        assert clip is not None
        assert isinstance(clip.sidecar.frames, NoFrames)
    more = tiny.suite(
        tiny_set, tmp_path / "features-only", anchors=[], systems=[system], metrics=["psnr/rgb@1", "flicker/luma@1"]
    )
    record = run_suite(load_suite(more))
    assert record.status == "complete"
    assert next(
        value.value for value in record.values if value.system == "mine" and value.protocol == "psnr/rgb@1"
    ) == (next(value["value"] for value in values_of(tmp_path / "keep/run") if value["system"] == "mine"))


def test_let_go_keeps_record_and_features(tiny, tmp_path: Path) -> None:
    from fractions import Fraction

    from emo_bench.media.types import Audio, video_from_array

    store = ClipStore(tmp_path)
    video = video_from_array(tiny.frames(n_frames=6), fps=Fraction(25))
    clip = store.put("ab" * 32, video=video, audio=Audio(np.zeros(3840, np.float32), 16000))
    store.let_go(clip, shared=[object_of(clip.sidecar.frames)])
    assert store.get("ab" * 32).sidecar == clip.sidecar  # type: ignore[union-attr]
    store.let_go(clip)
    left = store.get("ab" * 32)
    assert left is not None
    assert left.sidecar.video_sha256 == clip.sidecar.video_sha256
    assert list(store.objects.names()) == [clip.sidecar.audio]
    with pytest.raises(FramesDeletedError):
        store.open(left)
    assert store.get("ab" * 32) is None


def test_what_other_processes_are_writing_is_passed_over(scored: Path, tmp_path: Path) -> None:
    copy = tmp_path / "store"
    shutil.copytree(scored / "store", copy)
    record = next((copy / "clips").glob("??/*.json"))
    (record.parent / f".{record.stem}.abcdef.1-00.tmp.json").write_text("{", encoding="utf-8")
    (record.parent / "a name with spaces.json").write_text("{}", encoding="utf-8")
    store = ClipStore(copy)
    found = contents(store)
    assert len(found.records) == 15
    assert [path.name for path in found.odd] == ["a name with spaces.json"]
    age(copy)
    assert unneeded(store, found, keep=None) == []


def test_an_object_that_is_used_again_is_young(tmp_path: Path) -> None:
    store = ClipStore(tmp_path)
    store.objects.add(b"equal", suffix=".npy")
    age(tmp_path)
    seen = contents(store)
    assert unneeded(store, seen, keep=None) != []
    store.objects.add(b"equal", suffix=".npy")  # of a clip whose record is not written yet
    assert unneeded(store, seen, keep=None) == []


def test_an_old_file_that_is_taken_over_is_young(tmp_path: Path) -> None:
    """As a clip of the earlier layout, whose new record is written a moment later."""
    store = ClipStore(tmp_path)
    left = tmp_path / "clip.mkv"
    left.write_bytes(b"frames")
    age(tmp_path)
    store.objects.adopt(left)
    assert unneeded(store, contents(store), keep=None) == []


def test_prune_keeps_the_audio_of_a_clip_whose_video_is_away(tmp_path: Path) -> None:
    store = ClipStore(tmp_path / "store")
    frames = FileFrames(
        path=str(tmp_path / "unplugged" / "a.mp4"), sha256="0" * 64, runs=((0, 5),), width=16, height=16, turns=0,
        mirror=False, fps="25", source_pixels=256,
    )  # fmt: skip
    audio = store.objects.add(b"samples", suffix=".npy")
    store.write(
        Sidecar(
            key="kk", frames=frames, audio=audio, audio_rate=16000, video_sha256="0" * 64, audio_sha256="0" * 64,
            width=16, height=16, fps="25", n_frames=5, notes=(), seconds=0.0,
        )
    )  # fmt: skip
    age(tmp_path / "store")
    found = contents(store)
    assert list(found.partial) == ["kk"]
    assert unneeded(store, found, keep=None) == []
    assert unneeded(store, found, keep=["kk"]) == []
    assert len(unneeded(store, found, keep=["other"])) == 2


def test_equal_frames_of_a_clip_that_stays_are_not_let_go(tiny, tiny_set: Path, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for person in range(3):
        tiny.clip(folder / f"clip-0{person}.mkv", person=person + 5)
    kept = {"name": "kept", "kind": "videos", "folder": str(folder)}
    let_go = {**kept, "name": "passing", "store": "features-only"}
    suite = load_suite(tiny.suite(tiny_set, tmp_path, anchors=[], systems=[kept, let_go], metrics=["psnr/rgb@1"]))
    run_suite(suite)
    context = RunContext(spec_of(suite, read_manifest(tiny_set)))
    units = [unit for unit in other_units(context) if unit.system == "kept"]
    assert len(units) == 3
    for unit in units:
        clip = context.stored_clip(unit)
        assert clip is not None
        context.clips.open(clip)


def test_prune_keeps_the_reference_set_of_a_suite(tiny, tiny_set: Path, tmp_path: Path) -> None:
    suite = tiny.suite(
        tiny_set, tmp_path, anchors=["frozen"], metrics=["fid/synth@1"],
        reference_set={"kind": "manifest", "manifest": str(write_tiny_set(tmp_path / "real", n_clips=2))},
    )  # fmt: skip
    loaded = load_suite(suite)
    named = open_reference(loaded)
    assert named is not None
    own = reference_context(loaded, named, RunContext(spec_of(loaded, read_manifest(tiny_set))))
    assert {own.keys.clip(unit) for unit in truth_units(own)} <= _keys([suite], tmp_path / "store")


def test_a_plan_counts_the_reference_set_of_a_suite(tiny, tiny_set: Path, tmp_path: Path) -> None:
    real = str(write_tiny_set(tmp_path / "real", n_clips=2))
    plans = []
    for name, more in (("without", {}), ("with", {"reference_set": {"kind": "manifest", "manifest": real}})):
        suite = tiny.suite(tiny_set, tmp_path / name, anchors=["frozen"], metrics=["fid/synth@1"], **more)
        plans.append(json.loads(tiny.cli("plan", "-c", suite, "--json", cwd=tmp_path).out))
    before, after = plans
    assert after["units"] == {**before["units"], "reference-set": {"all": 2, "done": 0}}
    assert after["seconds"] > before["seconds"]
    assert after["bytes"] == sum(after["bytes_by_system"].values()) > before["bytes"]
