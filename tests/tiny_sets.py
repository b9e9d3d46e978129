"""Small real clips, manifests and suites made on the fly; for all tests."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

WEIGHTLESS = ("psnr/rgb@1", "ssim/gauss11@1", "flicker/luma@1")
"""Protocols that need no weights."""


def talking_frames(*, n_frames: int, size: tuple[int, int] = (64, 48), person: int = 0) -> np.ndarray:
    """A head-like oval with a mouth that opens and closes, on a plain ground; ``person`` sets its colours.

    Returns:
        ``uint8 RGB [n_frames, height, width, 3]``.
    """
    width, height = size
    rng = np.random.default_rng(1000 + person)
    ground, skin = rng.integers(40, 120, 3), rng.integers(130, 240, 3)
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    frames = np.empty((n_frames, height, width, 3), np.uint8)
    for index in range(n_frames):
        sway = 0.06 * np.sin(index / 3 + person)
        opening = 0.02 + 0.08 * abs(np.sin(index * 0.9 + person))
        frames[index] = ground
        frames[index][((x - 0.5 - sway) / 0.32) ** 2 + ((y - 0.5) / 0.42) ** 2 < 1] = skin
        frames[index][((x - 0.5 - sway) / 0.12) ** 2 + ((y - 0.7) / opening) ** 2 < 1] = (120, 20, 30)
    return frames


def speech(*, seconds: float, person: int = 0, rate: int = 16000) -> np.ndarray:
    """A tone whose loudness goes up and down, another for each person; ``float32 [n]``."""
    time = np.arange(round(seconds * rate)) / rate
    voice = np.sin(2 * np.pi * (150 + 40 * person) * time) * (0.3 + 0.2 * np.sin(2 * np.pi * 3 * time + person))
    return voice.astype(np.float32)


def write_talking(
    path: Path,
    *,
    seconds: float = 0.4,
    person: int = 0,
    size: tuple[int, int] = (64, 48),
    fps: int = 25,
    audio_seconds: float | None = None,
    silent: bool = False,
) -> Path:
    """Writes a lossless clip (Matroska) of ``talking_frames`` and ``speech``."""
    from emo_bench.media.lossless import write_clip
    from emo_bench.media.types import Audio

    frames = talking_frames(n_frames=round(seconds * fps), size=size, person=person)
    length = seconds if audio_seconds is None else audio_seconds
    audio = None if silent else Audio(speech(seconds=length, person=person), 16000)
    write_clip(path, [frames], audio, fps=Fraction(fps))
    return path


def write_tiny_set(
    folder: Path, *, n_clips: int = 3, seconds: float = 0.4, size: tuple[int, int] = (64, 48), **entry: Any
) -> Path:
    """A folder of ``n_clips`` clips of different people with a manifest; returns the manifest."""
    from emo_bench.data.manifest import ManifestEntry, file_hashes, write_manifest

    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for person in range(n_clips):
        name = f"clip-{person:02d}"
        write_talking(folder / f"{name}.mkv", seconds=seconds, person=person, size=size)
        values = {"id": name, "video": f"{name}.mkv", "identity": f"person-{person}", "reference_frame": 2, **entry}
        entries.append(ManifestEntry(**values, sha256=file_hashes(folder, video=f"{name}.mkv")))
    write_manifest(folder / "manifest.jsonl", entries)
    return folder / "manifest.jsonl"


def write_wild_lines(folder: Path, *, n_clips: int = 3, first: int = 10, seconds: float = 0.4) -> list[Any]:
    """Portraits and audio files of ``n_clips`` people, and their lines of a manifest in the same folder."""
    import wave

    from PIL import Image

    from emo_bench.data.manifest import ManifestEntry, file_hashes

    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for person in range(first, first + n_clips):
        name = f"wild-{person:02d}"
        files = {"portrait": f"{name}.png", "audio": f"{name}.wav"}
        Image.fromarray(talking_frames(n_frames=1, person=person)[0]).save(folder / files["portrait"])
        with wave.open(str(folder / files["audio"]), "wb") as stream:
            stream.setparams((1, 2, 16000, 0, "NONE", ""))
            stream.writeframes((speech(seconds=seconds, person=person) * 32767).astype("<i2").tobytes())
        meta = {"style": "photo" if person % 2 else "painting"}
        entries.append(
            ManifestEntry(id=name, identity=name, sha256=file_hashes(folder, **files), meta=meta, **files)  # type: ignore[arg-type]
        )
    return entries


def suite_values(manifest: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    """A suite with all anchors over metrics without weights; everything it writes lies below ``folder``."""
    values: dict[str, Any] = {
        "name": "tiny",
        "dataset": {"kind": "manifest", "manifest": str(manifest)},
        "metrics": list(WEIGHTLESS),
        "statistics": {"resamples": 100},
        "execution": {"workers": 1},
        "report": {"previews": False},
        "output": str(folder / "run"),
        "store": str(folder / "store"),
    }
    return {**values, **changes}


def write_suite(manifest: Path, folder: Path, **changes: Any) -> Path:
    """``suite_values`` as a file; JSON is YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "suite.yaml"
    path.write_text(json.dumps(suite_values(manifest, folder, **changes), indent=2), encoding="utf-8")
    return path
