"""A network of the user's own that cannot be loaded costs only the protocols that need it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from emo_bench.data.manifest import read_manifest
from emo_bench.engine.context import RunContext
from emo_bench.engine.plan import truth_units
from emo_bench.engine.units import work
from emo_bench.runner.run import run_suite, spec_of
from emo_bench.runner.suite import Suite, suite_from_values
from emo_core.progress import Silent
from emo_metrics.contract import Accumulator, ClipInputs
from emo_metrics.extractors.clip_quality_frames import CLIP_QUALITY, FOLDER, ClipQualityFrames
from emo_metrics.extractors.flicker_pixels import FlickerPixels

PROTOCOL = "clip-iqa/transformers@1"


def write_wrong_clip(folder: Path) -> None:
    """Files that pass every check that does not load the network; the tensors are of something else."""
    folder.mkdir(parents=True)
    layer = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1}
    config = {
        "model_type": "clip",
        "projection_dim": 8,
        "text_config": {**layer, "vocab_size": 9, "max_position_embeddings": 20},
        "vision_config": {**layer, "image_size": 32, "patch_size": 8},
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "preprocessor_config.json").write_text("{}", encoding="utf-8")
    Tokenizer(WordLevel({"word": 0}, unk_token="word")).save(str(folder / "tokenizer.json"))  # noqa: S106
    save_file({"weight": np.zeros(3, np.float32)}, folder / "model.safetensors")


@dataclass
class Heard(Silent):
    """Keeps what is said."""

    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def suite(tiny, tiny_set: Path, tmp_path: Path) -> Suite:
    write_wrong_clip(tmp_path / "weights" / FOLDER)
    values = tiny.values(
        tiny_set,
        tmp_path,
        anchors=["frozen"],
        metrics=["psnr/rgb@1", PROTOCOL],
        weights={"folders": [str(tmp_path / "weights")]},
    )
    return suite_from_values(values, base=tmp_path)


def test_it_costs_only_its_own_protocols_and_is_told_once(suite: Suite) -> None:
    display = Heard()
    record = run_suite(suite, display=display)
    values = {(entry.protocol, entry.system): entry for entry in record.values}
    assert values["psnr/rgb@1", "frozen"].status == "ok"
    assert values[PROTOCOL, "frozen"].value is None
    assert record.status == "incomplete"
    assert {(failure.part, failure.code, failure.stage) for failure in record.failures} == {
        (CLIP_QUALITY, "error", "extract")
    }
    assert len(record.failures) == 6
    assert all("does not fit config.json" in failure.reason for failure in record.failures)
    told = [line for line in display.said if "does not fit config.json" in line]
    assert len(told) == 1
    assert f"{CLIP_QUALITY} failed; what needs it has no value there: ValueError: " in told[0]


def test_it_is_loaded_once_and_its_failure_is_not_kept(
    suite: Suite, tiny_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    original = ClipQualityFrames.__init__

    def counted(self: ClipQualityFrames, *arguments: object, **options: object) -> None:
        tried.append(self)
        original(self, *arguments, **options)

    monkeypatch.setattr(ClipQualityFrames, "__init__", counted)
    context = RunContext(spec_of(suite, read_manifest(tiny_set)))
    outcomes = [work(context, unit) for unit in truth_units(context)]
    assert [outcome.code for outcome in outcomes] == ["ok"] * 3
    assert len(tried) == 1
    for outcome in outcomes:
        keys = context.feature_keys(outcome.unit.clip, outcome.clip, outcome.clip)
        assert not context.features.has(CLIP_QUALITY, keys[CLIP_QUALITY])
        assert (outcome.computed, outcome.reused) == (2, 0)


def test_a_fault_at_work_costs_only_its_own_protocols_on_that_clip(
    tiny, tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = tiny.values(tiny_set, tmp_path, anchors=["frozen"], metrics=["psnr/rgb@1", "flicker/luma@1"])
    suite = suite_from_values(values, base=tmp_path)
    first = read_manifest(tiny_set).entries[0].id
    original = FlickerPixels.begin

    def fails_on_the_first(self: FlickerPixels, clip: ClipInputs) -> Accumulator:
        if clip.clip_id == first:
            raise IndexError("index 3 is out of bounds")
        return original(self, clip)

    display = Heard()
    with monkeypatch.context() as patch:
        patch.setattr(FlickerPixels, "begin", fails_on_the_first)
        record = run_suite(suite, display=display)
    assert record.status == "incomplete"
    assert {(failure.part, failure.clip, failure.code) for failure in record.failures} == {
        (FlickerPixels.name, first, "error")
    }
    found = {entry.protocol: entry for entry in record.values if entry.system == "frozen"}
    assert found["psnr/rgb@1"].status == "ok"
    assert found["flicker/luma@1"].n_scored == 2
    told = [line for line in display.said if "index 3" in line]
    assert told == [
        f"ground-truth / {first}: {FlickerPixels.name} failed; what needs it has no value there: "
        "IndexError: index 3 is out of bounds"
    ]
    again = run_suite(suite, display=Heard())
    assert again.status == "complete"
    assert not again.failures
