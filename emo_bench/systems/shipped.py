"""The weights of systems that ship with the project are pinned by digest, like those of extractors.

``python -m emo_bench.systems.shipped`` rewrites the pins after a training.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path

from emo_core.atomic import write_json
from emo_core.errors import WeightsError
from emo_core.hashing import sha256_file

PIN_FILE = "shipped_weights.json"


def folders() -> dict[str, Path]:
    """Where the weights of each name lie in this installation."""
    models = Path(str(files("emo_models")))
    return {
        "emo-portrait": models / "emo" / "weights" / "emo-portrait",
        "emo-synth": models / "emo" / "weights" / "emo-synth",
        "portrait-face-detector": models / "face_detector" / "weights",
        "wav2lip-synth": models / "baselines" / "wav2lip" / "weights",
    }


@cache
def pins() -> dict[str, dict[str, str]]:
    """Name of the weights -> file -> SHA-256."""
    found: dict[str, dict[str, str]] = json.loads((files("emo_bench.systems") / PIN_FILE).read_text(encoding="utf-8"))
    return found


def check_shipped(name: str) -> dict[str, str]:
    """Compares every file of shipped weights with its pin.

    Returns:
        The digests by file.

    Raises:
        WeightsError: when a file is missing, has other bytes, or is not of this release.
    """
    folder, pinned = folders()[name], pins()[name]
    found = digests(folder)
    wrong = sorted({file for file in {*found, *pinned} if found.get(file) != pinned.get(file)})
    if wrong:
        file = wrong[0]
        raise WeightsError(
            f"the shipped weights {name} are not those of this release: {file}",
            expected=f"SHA-256 {pinned[file]}" if file in pinned else "no such file",
            found=f"SHA-256 {found[file]}" if file in found else "no such file",
            fix="install the release again; after a training of your own, give its folder as 'weights'",
        )
    return found


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder that a network is read from."""
    paths = sorted(path for suffix in ("*.json", "*.safetensors") for path in folder.rglob(suffix))
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in paths}


if __name__ == "__main__":
    write_json(Path(__file__).with_name(PIN_FILE), {name: digests(folder) for name, folder in folders().items()})
