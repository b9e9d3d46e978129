"""The whole way on real talking heads: import, suite with anchors, the orders that must hold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from emo_bench.record.store import read_record

ASSETS = Path(__file__).resolve().parents[2] / ".." / "shared" / "assets"
CLIPS = ("grid_bbaf2n.mpg", "grid_lbax4n.mpg", "grid_id2_swwp2s.mpg")
METRICS = ("psnr/rgb@1", "ssim/gauss11@1", "f-sim/mobilefacenet@1", "e-fid/mediapipe-52@1", "lmd/iod@1")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not (ASSETS / "clips").is_dir(), reason=f"real clips are not there: {ASSETS}"),
]


def test_real_clips_from_import_to_ordered_anchors(tiny, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in CLIPS:
        shutil.copy(ASSETS / "clips" / name, folder / name)
    imported = tiny.cli("data", "import", "clips", cwd=tmp_path)
    assert imported.code == 0, imported.err
    suite = tiny.suite(
        folder / "manifest.jsonl",
        tmp_path,
        metrics=list(METRICS),
        media={"size": {"width": 180, "height": 144}},
        weights={"folders": [str((ASSETS / "weights").resolve())]},
        execution={"workers": 2},
    )
    done = tiny.cli("run", "--config", suite, "--json", cwd=tmp_path, timeout=1700)
    record = read_record(tmp_path / "run")
    unavailable = [protocol.name for protocol in record.protocols if protocol.status != "ok"]
    if unavailable:
        pytest.skip(f"weights are not there for {unavailable}")
    assert done.code == 0, (done.err, record.failures)
    assert record.counts.done == record.counts.planned == 6 * len(CLIPS)
    value = {(entry.system, entry.key): entry.value for entry in record.values}
    assert None not in value.values(), value
    for key in ("psnr", "ssim", "f-sim"):
        best = {system: value[system, key] for system in ("ground-truth", "reencoded", "other-identity")}
        assert best["ground-truth"] >= best["reencoded"] > best["other-identity"], (key, best)
    for key in ("e-fid", "m-lmd", "f-lmd"):
        found = {system.name: value[system.name, key] for system in record.systems}
        assert found["ground-truth"] <= found["reencoded"] < found["frozen"], (key, found)
        # The set of all other identities is the set itself, so a distance of sets cannot tell.
        assert key == "e-fid" or found["reencoded"] < found["other-identity"], (key, found)
        assert found["shifted-audio"] == found["shuffled-audio"] == found["ground-truth"]
    assert not [found for found in record.checks if found.verdict == "fail"], record.checks
    again = tiny.cli("run", "--config", suite, "--json", cwd=tmp_path, timeout=600)
    assert again.code == 0
    assert read_record(tmp_path / "run").timings.units_computed == 0
    report = (tmp_path / "run" / "report" / "report.html").read_text(encoding="utf-8")
    assert all(metric in report for metric in METRICS)
    assert json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))["synthetic"] is False
