from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from emo_metrics.catalogue_open import EXTRACTORS, METRICS
from emo_metrics.contract import ClipMetric, Extractor, Granularity, SetMetric

PAGES = Path(__file__).resolve().parents[2] / "docs" / "protocols"


def load(target):
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("name", EXTRACTORS)
def test_every_extractor_has_the_name_it_is_listed_under(name):
    extractor = load(EXTRACTORS[name])
    assert issubclass(extractor, Extractor)
    assert extractor.name == name
    assert set(extractor.requires) <= set(EXTRACTORS)


@pytest.mark.parametrize("name", METRICS)
def test_every_protocol_has_the_name_it_is_listed_under_and_a_page(name):
    metric = load(METRICS[name])
    spec = metric.spec
    assert spec.name == name
    assert issubclass(metric, ClipMetric if spec.granularity is Granularity.CLIP else SetMetric)
    assert not metric.__abstractmethods__
    assert set(spec.extractors) <= set(EXTRACTORS)
    for extractor in spec.extractors:  # upstream rows exist only when the extractor that makes them is listed too
        assert set(load(EXTRACTORS[extractor]).requires) <= set(spec.extractors)
    assert any(f"`{name}`" in page.read_text(encoding="utf-8") for page in PAGES.glob("*.md"))


def test_the_catalogue_loads_nothing_heavy():
    program = (
        "import sys, emo_metrics.catalogue_open; print([m for m in ('numpy', 'torch', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
