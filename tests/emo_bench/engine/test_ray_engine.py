"""Ray carries out the same units with equal numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emo_bench.api import run

pytest.importorskip("ray", reason="the extra 'ray' is not installed")


def suite(folder: Path, *, engine: str) -> dict[str, object]:
    return {
        "name": f"on-{engine}",
        "dataset": {"kind": "hdtf-synth", "slice": "mini", "max_clips": 2, "folder": str(folder / "data")},
        "anchors": ["reencoded", "frozen"],
        "metrics": ["psnr/rgb@1", "flicker/luma@1"],
        "execution": {"engine": engine, "workers": 2},
        "report": {"previews": False},
        "store": str(folder / f"store-{engine}"),
        "output": str(folder / engine),
    }


@pytest.mark.slow
def test_ray_gives_the_numbers_of_the_local_engine(tmp_path: Path) -> None:
    records = {}
    for engine in ("ray", "local"):
        result = run(suite(tmp_path, engine=engine), quiet=True)
        records[engine] = json.loads((result.folder / "record.json").read_text(encoding="utf-8"))
    assert records["ray"]["counts"] == {"planned": 6, "done": 6, "failed": 0}
    for part in ("values", "comparisons", "checks", "clips", "systems", "protocols", "failures", "counts"):
        assert records["ray"][part] == records["local"][part], part
