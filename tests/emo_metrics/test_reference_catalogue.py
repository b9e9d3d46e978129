from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from emo_metrics.catalogue_reference import EXTRACTORS, METRICS
from emo_metrics.contract import Direction, Extractor, Granularity, Metric, SetMetric

ROOT = Path(__file__).resolve().parents[2]


def _loaded(target: str) -> type:
    module, _, name = target.partition(":")
    found = getattr(importlib.import_module(module), name)
    assert isinstance(found, type)
    return found


@pytest.mark.parametrize("name", sorted(METRICS))
def test_protocols_declare_what_they_are(name: str) -> None:
    kind = _loaded(METRICS[name])
    assert issubclass(kind, Metric)
    spec = kind.spec
    assert spec.name == name
    assert spec.source
    assert spec.values
    assert all(isinstance(value.direction, Direction) for value in spec.values)
    assert issubclass(kind, SetMetric) == (spec.granularity is Granularity.SET)
    assert name.startswith("sync/") == spec.reads_audio_video_sync
    kind()


@pytest.mark.parametrize("name", sorted(EXTRACTORS))
def test_extractors_are_known_by_their_names(name: str) -> None:
    kind = _loaded(EXTRACTORS[name])
    assert issubclass(kind, Extractor)
    assert kind.name == name
    assert kind.weights


def test_every_protocol_reads_known_extractors_and_every_extractor_is_read() -> None:
    read = {name for target in METRICS.values() for name in _loaded(target).spec.extractors}
    assert read - set(EXTRACTORS) <= {"face/mediapipe-landmarker@1"}
    assert set(EXTRACTORS) <= read


def test_every_weights_file_is_in_the_registry() -> None:
    pytest.importorskip("emo_bench.extract.weights")
    from emo_bench.extract.weights import weights_table

    table = weights_table()
    missing = {file for target in EXTRACTORS.values() for file in _loaded(target).weights} - set(table)
    assert missing == set()


def test_the_catalogue_imports_nothing_heavy() -> None:
    code = (
        "import sys, emo_metrics.catalogue_reference; print(*[m for m in ('torch','scipy','cv2') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_protocol_has_a_page(name: str) -> None:
    pages = ROOT / "docs" / "protocols"
    assert any(f"`{name}`" in page.read_text(encoding="utf-8") for page in pages.glob("*.md")), name
