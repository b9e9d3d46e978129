"""Names that import nothing until they are used; randomness that depends on its name only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emo_core.errors import ClipError, ConfigError, DecodeError, EmoBenchError, ExitCode, GenerationError
from emo_core.registry import Registry
from emo_core.rng import derive_seed, numpy_generator, torch_generator


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package with an entry point, whose module notes that it was imported."""
    (tmp_path / "plug_in_module.py").write_text("class Thing:\n    pass\n", encoding="utf-8")
    info = tmp_path / "plug_in-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug-in\nVersion: 1\n", encoding="utf-8")
    text = "[emo_bench.test_things]\noutside = plug_in_module:Thing\n"
    (info / "entry_points.txt").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("plug_in_module", None)


def test_entry_points_are_listed_without_being_imported(plug_in: Path) -> None:
    registry: Registry[type] = Registry("thing", entry_point_group="emo_bench.test_things")
    registry.add("inside", "plug_in_module:Thing")
    assert registry.names() == list(registry) == ["inside", "outside"]
    assert "outside" in registry
    assert registry.target("outside") == "plug_in_module:Thing"
    assert "plug_in_module" not in sys.modules
    assert registry.get("outside").__name__ == "Thing"
    assert "plug_in_module" in sys.modules


def test_an_entry_point_cannot_take_a_name_that_is_taken(plug_in: Path) -> None:
    registry: Registry[type] = Registry("thing", entry_point_group="emo_bench.test_things")
    registry.add("outside", "collections:Counter")
    with pytest.raises(ConfigError, match="registered twice"):
        registry.names()


def test_the_same_target_twice_is_harmless_another_is_refused() -> None:
    registry: Registry[type] = Registry("thing", entry_point_group="emo_bench.none")
    registry.add("a", "collections:Counter")
    registry.add("a", "collections:Counter")
    with pytest.raises(ConfigError, match="'a' is registered twice"):
        registry.add("a", "collections:OrderedDict")


def test_an_unknown_name_gets_the_nearest_one() -> None:
    registry: Registry[type] = Registry("thing", entry_point_group="emo_bench.none")
    with pytest.raises(ConfigError, match="none registered"):
        registry.get("x")
    registry.add("psnr/rgb@1", "collections:Counter")
    with pytest.raises(ConfigError, match=r"did you mean 'psnr/rgb@1'\?"):
        registry.get("psnr/rbg@1")
    assert 5 not in registry


@given(st.integers(), st.text(), st.text())
def test_seeds_are_stable_and_fit_every_generator(seed: int, purpose: str, clip: str) -> None:
    purpose, clip = purpose.encode("utf-8", "replace").decode(), clip.encode("utf-8", "replace").decode()
    derived = derive_seed(seed, purpose, clip)
    assert derived == derive_seed(seed, purpose, clip)
    assert 0 <= derived < 2**63


def test_seeds_differ_by_each_part() -> None:
    parts = [(0, "a", ""), (0, "a", "b"), (0, "ab", ""), (0, "", "ab"), (1, "a", "b"), (-1, "a", "b"), (0, "b", "a")]
    assert len({derive_seed(*part) for part in parts}) == len(parts)


def test_a_pinned_value_so_that_old_runs_can_be_repeated() -> None:
    assert derive_seed(0, "generate", "clip-1") == 5858244908940095545


def test_generators_repeat_and_leave_the_global_state_alone() -> None:
    import torch

    np.random.seed(5)  # noqa: NPY002 - the global state is what is watched
    torch.manual_seed(5)
    before = np.random.get_state()[1].copy(), torch.get_rng_state().clone()  # noqa: NPY002
    first, second = numpy_generator(3, "noise", "c").random(4), numpy_generator(3, "noise", "c").random(4)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, numpy_generator(3, "noise", "d").random(4))
    ours = torch.rand(4, generator=torch_generator(3, "noise", "c"))
    assert torch.equal(ours, torch.rand(4, generator=torch_generator(3, "noise", "c")))
    np.testing.assert_array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())


def test_errors_survive_the_way_between_processes() -> None:
    import pickle

    for kind in (EmoBenchError, ConfigError, DecodeError, GenerationError):
        error = kind("what", expected="a", found="b", fix="c")
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
        assert type(copy) is kind
        assert str(copy) == str(error) == "what\n  expected: a\n  found:    b\n  to do:    c"


def test_every_clip_error_has_a_status_word_of_its_own() -> None:
    def family(kind: type[ClipError]) -> list[type[ClipError]]:
        return [kind, *(item for child in kind.__subclasses__() for item in family(child))]

    core = [kind for kind in family(ClipError) if kind.__module__ == "emo_core.errors"]
    assert len({kind.code for kind in core}) == len(core) >= 7
    assert all(kind.exit_code == ExitCode.INCOMPLETE for kind in core)
