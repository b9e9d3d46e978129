"""What a tracker sees in a re-enacted set beside what its labels say.

    python benchmarks/reenacted.py SET --weights WEIGHTS [--clips 16]

Prints the share of frames with a face, the correlation of mouth opening and closed eyes with the labels, and
the statistics beside the real drivers.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from emo_bench.data.labels import mouth_opening
from emo_bench.data.manifest import read_manifest
from emo_bench.data.reenacted.faces import FaceReader
from emo_bench.data.reenacted.points import LIDS
from emo_bench.extract.weights import WeightsFinder
from emo_bench.media.decode import open_video


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path)
    parser.add_argument("--weights", type=Path, action="append", default=[])
    parser.add_argument("--clips", type=int, default=16)
    given = parser.parse_args()
    manifest = read_manifest(given.set / "manifest.jsonl").select(max_clips=given.clips)
    faces = FaceReader(WeightsFinder(folders=tuple(given.weights)))
    rows = [measure(manifest.path(entry.video), manifest.path(str(entry.truth)), faces) for entry in manifest.entries]
    found = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    print(
        f"{len(rows)} clips, face found in {found['found'].mean():.1%} of the frames, worst {found['found'].min():.1%}"
    )
    for name in ("opening", "eyes"):
        values = found[name][np.isfinite(found[name])]
        print(f"{name}: r with labels, median {np.median(values):.2f}, lowest {values.min():.2f} ({len(values)} clips)")
    print(json.dumps(json.loads((given.set / "statistics.json").read_text(encoding="utf-8"))["means"], indent=1))


def measure(video: Path, labels_path: Path, faces: FaceReader) -> dict[str, float]:
    """Of one clip; a correlation is NaN where the label hardly moves."""
    from safetensors.numpy import load_file

    from emo_metrics.faces.landmark_sets import ibug_68

    labels = load_file(labels_path)
    tracks = faces.tracks(open_video(video).read_all())
    seen = np.stack([ibug_68(points[:, :2].astype(np.float32)) for points in tracks.points])
    lids = [
        np.linalg.norm(tracks.points[:, list(up), :2] - tracks.points[:, list(low), :2], axis=-1).mean(1)
        for up, low in LIDS
    ]
    closed = labels["blink"].mean(1)
    return {
        "found": tracks.share,
        "opening": correlation(mouth_opening(seen), labels["mouth_opening"], least=0.005),
        "eyes": correlation(-np.sum(lids, 0), closed, least=0.15),
    }


def correlation(seen: np.ndarray, told: np.ndarray, *, least: float) -> float:
    """Pearson's r, NaN when the label's standard deviation is below ``least``."""
    return float(np.corrcoef(seen, told)[0, 1]) if told.std() >= least else float("nan")


if __name__ == "__main__":
    main()
