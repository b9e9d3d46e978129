"""What Python programs call: suites from plain values."""

from __future__ import annotations

from multiprocessing import current_process
from pathlib import Path

import pytest
import record_factory

from emo_bench.api import RunResult, run, score_values
from emo_bench.runner.suite import suite_from_values
from emo_core.errors import ConfigError


@pytest.mark.parametrize(
    ("folder", "name"), [("видео", "generated"), ("model-é", "model"), ("a b", "a-b"), ("frozen", "frozen-videos")]
)
def test_folders_of_any_name_can_be_scored(folder: str, name: str) -> None:
    values = score_values(
        Path("videos") / folder, "m.jsonl", metrics=["psnr/rgb@1"], name=None, pattern="{id}", options={}
    )
    suite = suite_from_values(values, base=Path())
    assert [system.name for system in suite.config.systems] == [name]
    assert suite.config.name == f"score-{name}"  # or the run of a second folder would replace that of the first


def test_one_protocol_may_stand_alone() -> None:
    values = score_values("out", "m.jsonl", metrics="psnr/rgb@1", name=None, pattern="{id}", options={})
    assert values["metrics"] == ["psnr/rgb@1"]


def test_a_run_without_previews_has_none_to_show(tmp_path: Path) -> None:
    run = record_factory.make_run(n_clips=1, systems=("s",), failing=0)
    with pytest.raises(KeyError, match="no preview of clip"):
        RunResult(run.record, tmp_path).show("clip", "s")


def test_a_script_that_its_own_workers_would_run_again_is_told_what_to_write(
    tiny, tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = tiny.suite(tiny_set, tmp_path, anchors=[], metrics=["flicker/luma@1"])
    # What a worker is while it imports the script that started it.
    monkeypatch.setattr(current_process(), "_inheriting", True, raising=False)
    with pytest.raises(ConfigError, match="imported by a worker") as caught:
        run(suite, quiet=True)
    assert '__name__ == "__main__"' in str(caught.value.fix)
