"""What Python programs call: suites from plain values."""

from __future__ import annotations

from pathlib import Path

import pytest

from emo_bench.api import score_values
from emo_bench.runner.suite import suite_from_values


@pytest.mark.parametrize(("folder", "name"), [("видео", "generated"), ("model-é", "model"), ("a b", "a-b")])
def test_folders_of_any_name_can_be_scored(folder: str, name: str) -> None:
    values = score_values(
        Path("videos") / folder, "m.jsonl", metrics=["psnr/rgb@1"], name="score", pattern="{id}", options={}
    )
    suite = suite_from_values(values, base=Path())
    assert [system.name for system in suite.config.systems] == [name]
