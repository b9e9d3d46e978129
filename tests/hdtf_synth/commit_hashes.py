"""Writes the hashes that the tests compare with; run it after a change that is meant to change the pictures.

``python tests/hdtf_synth/commit_hashes.py``
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Renders the mini slice and the probe's frames and writes ``hashes.json``."""
    from emo_bench.data.manifest import read_manifest
    from emo_bench.data.sets.hdtf_synth import make_hdtf_synth

    with tempfile.TemporaryDirectory() as folder:
        report = make_hdtf_synth(Path(folder), slice="mini", workers=1)
        clips = {entry.id: entry.sha256 for entry in read_manifest(report.manifest).entries}
    done = subprocess.run([sys.executable, str(HERE / "frames_probe.py")], capture_output=True, text=True, check=True)
    hashes = {"clips": clips, "frames": json.loads(done.stdout)}
    (HERE / "hashes.json").write_text(json.dumps(hashes, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
