"""The digest of a manifest changes with everything that can change a result, and with nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emo_bench.data import manifest as manifests
from emo_bench.data.manifest import Manifest, ManifestEntry, read_manifest
from emo_core.errors import DataError

ENTRY: dict[str, Any] = {
    "id": "a", "video": "a.mp4", "audio": "a.wav", "truth": "a.safetensors", "identity": "p",
    "face_box": (1.0, 2.0, 3.0, 4.0),
    "sha256": {"video": "0" * 64, "audio": "1" * 64, "truth": "2" * 64},
}  # fmt: skip


def digest(**changes: Any) -> str:
    return Manifest(Path(), [ManifestEntry(**{**ENTRY, **changes})]).digest


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "b"},
        {"identity": "q"},
        {"split": "train"},
        {"reference_frame": 3},
        {"face_box": (1.0, 2.0, 3.0, 5.0)},
        {"face_box": None},
        {"sha256": {**ENTRY["sha256"], "video": "3" * 64}},
        {"sha256": {**ENTRY["sha256"], "truth": "3" * 64}},
        {"audio": None},
        {"truth": None},
    ],
)
def test_what_changes_a_result_changes_the_digest(changes: dict[str, Any]) -> None:
    assert digest(**changes) != digest()


@pytest.mark.parametrize("changes", [{"video": "b.mp4"}, {"audio": "b.wav"}, {"meta": {"licence": "CC0"}}])
def test_what_changes_none_does_not(changes: dict[str, Any]) -> None:
    assert digest(**changes) == digest()


def test_a_digest_without_its_file_has_no_effect() -> None:
    assert digest(audio=None) == digest(audio=None, sha256={k: v for k, v in ENTRY["sha256"].items() if k != "audio"})


def test_a_manifest_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MAX_BYTES", 1 << 20)
    path = tmp_path / "m.jsonl"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(DataError, match="too large"):
        read_manifest(path)
