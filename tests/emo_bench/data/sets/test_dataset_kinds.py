"""Kinds of data sets: registered, checked with the suite, opened by name; a plug-in adds one like the built-in ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from emo_bench.config.schema import Dataset, Frozen
from emo_bench.data.manifest import Manifest, read_manifest
from emo_bench.data.sets.kind import DatasetKind, OpenedDataset, Progress, build_dataset, dataset_kinds
from emo_bench.runner.suite import suite_from_values, suite_schema
from emo_core.errors import ConfigError


class _FirstOptions(Frozen):
    """Options of the plug-in below."""

    manifest: str = Field(description="Path of a manifest")


class FirstClip(DatasetKind):
    """The first clip of a manifest, as a package outside might offer it."""

    options_model = _FirstOptions

    def open(self, base: Path, *, progress: Progress | None = None) -> OpenedDataset:
        manifest = read_manifest(base / self.options.manifest)
        return OpenedDataset(Manifest(manifest.root, manifest.entries[:1]), "first", synthetic=False)


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(dataset_kinds._targets, "first-clip", FirstClip)
    return "first-clip"


def test_a_plug_in_is_opened_checked_and_described_like_a_built_in_kind(plugin: str, tiny_set: Path) -> None:
    values = {"name": "a", "dataset": {"kind": plugin, "manifest": tiny_set.name}, "metrics": ["psnr/rgb@1"]}
    suite = suite_from_values(values, base=tiny_set.parent)
    opened = build_dataset(suite.config.dataset).open(suite.base)
    assert [entry.id for entry in opened.manifest.entries] == [read_manifest(tiny_set).entries[0].id]
    with pytest.raises(ConfigError, match=r"dataset\.manifst: unknown key"):
        suite_from_values({**values, "dataset": {"kind": plugin, "manifst": "m"}}, base=tiny_set.parent)
    kinds = [choice["properties"]["kind"]["const"] for choice in suite_schema()["$defs"]["Dataset"]["oneOf"]]
    assert kinds == sorted(["first-clip", "hdtf-synth", "manifest", "reenacted"])


def test_defaults_of_the_kind_reach_the_suite_so_that_its_digest_knows_them() -> None:
    values = {"name": "a", "dataset": {"kind": "hdtf-synth"}, "metrics": ["psnr/rgb@1"]}
    assert suite_from_values(values, base=Path()).config.dataset.options == {
        "slice": "mini",
        "folder": "data/hdtf-synth",
        "size": 128,
        "max_clips": None,
    }


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'hdtf-synth'"):
        build_dataset(Dataset(kind="hdtf-sinth"))


def test_a_size_that_no_clip_can_have_is_refused_with_the_suite() -> None:
    values = {"name": "a", "dataset": {"kind": "hdtf-synth", "size": 130}, "metrics": ["psnr/rgb@1"]}
    with pytest.raises(ConfigError, match=r"dataset\.size: .*multiple of 4"):
        suite_from_values(values, base=Path())
