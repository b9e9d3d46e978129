"""HDTF-Synth as training data: what a record holds is the clip's own truth, and a cache of another kind is not used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from emo_bench.core.errors import DataError
from emo_bench.data import training_clips
from emo_bench.data.manifest import ManifestEntry, write_manifest
from emo_bench.data.synth.make import make_clip
from emo_bench.data.synth.plan import clips_of
from emo_bench.data.training_clips import open_training_clips


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


def test_a_clip_without_truth_is_named(made: tuple[Path, list[ManifestEntry]], tmp_path: Path) -> None:
    folder, entries = made
    bare = entries[0].model_copy(update={"truth": None})
    write_manifest(folder / "bare.jsonl", [bare])
    with pytest.raises(DataError, match="has no truth"):
        open_training_clips(folder / "bare.jsonl", split=bare.split, cache=tmp_path)
