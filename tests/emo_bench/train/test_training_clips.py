"""HDTF-Synth as training data: what a record holds is the clip's own truth, and a cache of another kind is not used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from emo_bench.data import training_clips
from emo_bench.data.manifest import ManifestEntry, write_manifest
from emo_bench.data.sets.hdtf_synth import make_clip
from emo_bench.train.training_clips import open_training_clips
from emo_core.errors import DataError
from hdtf_synth.plan import clips_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ManifestEntry]]:
    folder = tmp_path_factory.mktemp("set")
    entries = [make_clip(folder, plan, 32) for plan in clips_of("mini")[:2]]
    write_manifest(folder / "manifest.jsonl", entries)
    return folder, entries


def test_a_record_holds_the_clip_and_its_truth(made: tuple[Path, list[ManifestEntry]], tmp_path: Path) -> None:
    folder, entries = made
    for _ in range(2):
        clips = open_training_clips(folder / "manifest.jsonl", split=entries[0].split, cache=tmp_path)
        assert len(clips) == 2
        for index, entry in enumerate(entries):
            record, truth = clips[index], load_file(folder / str(entry.truth))
            assert (record.id, record.style) == (entry.id, entry.meta["style"])
            assert record.frames.shape == (len(truth["blink"]), 32, 32, 3)
            assert record.eye_closure is not None
            np.testing.assert_allclose(record.eye_closure, truth["blink"].mean(1), rtol=1e-6)
            assert record.eye_closure.max() > 0.5
            np.testing.assert_allclose(record.mouth_opening, truth["mouth_opening"], rtol=1e-6)
            assert len(record.audio) == pytest.approx(len(record.frames) / 25 * 16_000, abs=16)


def test_a_cache_without_one_of_the_arrays_is_made_anew(
    made: tuple[Path, list[ManifestEntry]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, entries = made
    with monkeypatch.context() as before:
        before.setattr(training_clips, "_TRUTH", training_clips._TRUTH[:-1])
        old = open_training_clips(folder / "manifest.jsonl", split=entries[0].split, cache=tmp_path)
        assert "eye_closure" not in old.truth
    assert "eye_closure" in open_training_clips(folder / "manifest.jsonl", split=entries[0].split, cache=tmp_path).truth


def test_processes_that_start_together_share_one_whole_cache(
    made: tuple[Path, list[ManifestEntry]], tmp_path: Path
) -> None:
    folder, entries = made
    script = (
        "import sys; from pathlib import Path; from emo_bench.data import training_clips as t\n"
        "decoded, decode = [], t._decode\n"
        "t._decode = lambda path: decoded.append(path) or decode(path)\n"
        "print('ready', flush=True)\n"
        "input()\n"
        "clips = t.open_training_clips(Path(sys.argv[1]), split=sys.argv[2], cache=Path(sys.argv[3]))\n"
        "print(len(decoded), int(clips.frames.sum(dtype='int64')), len(clips.audio))"
    )
    command = [sys.executable, "-c", script, str(folder / "manifest.jsonl"), str(entries[0].split), str(tmp_path)]
    together = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    # Nobody begins before the slowest has its imports behind it.
    for process in together:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in together:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120)[0].split() for process in together]
    assert [process.returncode for process in together] == [0, 0, 0]
    assert sorted(int(line[0]) for line in said) == [0, 0, len(entries)]
    clips = open_training_clips(folder / "manifest.jsonl", split=entries[0].split, cache=tmp_path)
    assert {tuple(line[1:]) for line in said} == {(str(int(clips.frames.sum(dtype="int64"))), str(len(clips.audio)))}
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [clips.folder.name]


def test_a_cache_that_was_left_half_made_is_not_used(
    made: tuple[Path, list[ManifestEntry]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, entries = made
    options = {"split": entries[0].split, "cache": tmp_path}
    with monkeypatch.context() as killed:

        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        killed.setattr(training_clips.np, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            open_training_clips(folder / "manifest.jsonl", **options)
    (left,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert left.suffix == ".part"
    # Under its own name, as before caches were renamed.
    left.with_suffix("").mkdir()
    assert len(open_training_clips(folder / "manifest.jsonl", **options)[0].audio) > 0
    assert [path.suffix for path in tmp_path.iterdir() if path.is_dir()] == [""]


def test_a_clip_without_truth_is_named(made: tuple[Path, list[ManifestEntry]], tmp_path: Path) -> None:
    folder, entries = made
    bare = entries[0].model_copy(update={"truth": None})
    write_manifest(folder / "bare.jsonl", [bare])
    with pytest.raises(DataError, match="has no truth"):
        open_training_clips(folder / "bare.jsonl", split=bare.split, cache=tmp_path)
