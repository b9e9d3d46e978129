"""A small part of the fuzz campaign; ``make fuzz`` runs the whole of it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytestmark = [pytest.mark.fuzz, pytest.mark.slow]


@pytest.fixture(scope="module")
def campaign() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_campaign", Path(__file__).with_name("campaign.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["YAML", "manifests", "records", "stored files"])
def test_nothing_mutated_is_read_as_something_else(campaign: ModuleType, kind: str) -> None:
    counts, wrong = campaign.run_kind(kind, seed=1, scale=0.1)
    assert wrong == []
    assert counts["refused"] + counts["reported"] > 0


def test_mutated_media_are_never_read_as_something_else(campaign: ModuleType) -> None:
    # H.264 and AAC in four containers; docs/media.md says which other codecs cannot detect damage.
    counts, wrong = campaign.run_kind("media", seed=1, scale=0.2)
    assert wrong == []
    assert counts["refused"] > 0


def test_equal_seeds_give_equal_inputs(campaign: ModuleType) -> None:
    data = bytes(range(256)) * 9
    generators = np.random.default_rng(3), np.random.default_rng(3)
    made = [[campaign.mutated(data, rng) for _ in range(50)] for rng in generators]
    assert made[0] == made[1]
    assert len(set(made[0])) > 40
