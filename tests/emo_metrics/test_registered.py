"""What is registered exists, is named as its class says, has a page, and loads nothing before it is used."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from emo_metrics.contract import ClipMetric, Direction, Extractor, Family, Granularity, SetMetric
from emo_metrics.registered import EXTRACTORS, IDENTITY_SERIES, LAG_CURVES, METRICS, SERIES, SYNC_SERIES

PAGES = Path(__file__).resolve().parents[2] / "docs" / "protocols"


def load(target: str) -> type:
    module, _, name = target.partition(":")
    found = getattr(importlib.import_module(module), name)
    assert isinstance(found, type)
    return found


@pytest.mark.parametrize("name", EXTRACTORS)
def test_every_extractor_has_the_name_it_is_listed_under(name: str) -> None:
    kind = load(EXTRACTORS[name])
    assert issubclass(kind, Extractor)
    assert kind.name == name
    assert set(kind.requires) <= set(EXTRACTORS)
    assert kind.__module__.startswith("emo_metrics.extractors.")


@pytest.mark.parametrize("name", METRICS)
def test_every_protocol_declares_what_it_is(name: str) -> None:
    kind = load(METRICS[name])
    spec = kind.spec
    assert spec.name == name
    assert issubclass(kind, ClipMetric if spec.granularity is Granularity.CLIP else SetMetric)
    assert not kind.__abstractmethods__
    assert kind.__module__.startswith("emo_metrics.metrics.")
    assert spec.source
    assert spec.values
    assert all(isinstance(value.direction, Direction) for value in spec.values)
    assert set(spec.extractors) <= set(EXTRACTORS)
    for extractor in spec.extractors:  # upstream rows exist only when the extractor that makes them is listed too
        if spec.family is Family.OPEN:
            assert set(load(EXTRACTORS[extractor]).requires) <= set(spec.extractors)
    if name.startswith("sync/"):
        assert spec.reads_audio_video_sync
    kind()


@pytest.mark.parametrize("name", METRICS)
def test_every_protocol_has_a_page(name: str) -> None:
    page = PAGES / f"{load(METRICS[name]).spec.page}.md"
    assert f"`{name}`" in page.read_text(encoding="utf-8")


def test_blinks_do_not_stand_under_head_motion() -> None:
    groups = {name: load(target).spec.group.key for name, target in METRICS.items()}
    assert {name for name, group in groups.items() if group == "motion"} == {
        "head-velocity/mediapipe@1",
        "head-velocity/synth@1",
        "pose-fd/mediapipe@1",
    }
    assert {name for name, group in groups.items() if group == "blinks"} == {
        "blink-rate/mediapipe@1",
        "blink-length/mediapipe@1",
    }


def test_every_extractor_is_read_by_a_protocol_or_an_extractor() -> None:
    read = {name for target in METRICS.values() for name in load(target).spec.extractors}
    required = {name for target in EXTRACTORS.values() for name in load(target).requires}
    assert set(EXTRACTORS) == read | required


def test_traces_name_known_extractors() -> None:
    places = [place[0] for _, place in SERIES] + [place[0] for place in LAG_CURVES.values()]
    places += [*IDENTITY_SERIES, *(name for name, _ in SYNC_SERIES)]
    assert set(places) <= set(EXTRACTORS)


def test_every_weights_file_is_in_the_registry() -> None:
    from emo_bench.extract.weights import weights_table

    missing = {file for target in EXTRACTORS.values() for file in load(target).weights} - set(weights_table())
    assert missing == set()


def test_names_load_nothing_heavy() -> None:
    code = (
        "import sys, emo_metrics.registered; "
        "print(*[m for m in ('numpy', 'torch', 'scipy', 'cv2') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
