from __future__ import annotations

from types import SimpleNamespace

import pytest

from emo_bench.config.schema import Execution
from emo_bench.engine import loading
from emo_bench.extract.catalogue import extractor_digest, extractors, load_catalogues
from emo_metrics.networks.engines import ENGINES

FINDER = SimpleNamespace(serving=lambda name: SimpleNamespace(sha256=f"digest of {name}"))


def test_only_features_that_the_engine_computes_get_another_key() -> None:
    load_catalogues()
    changed = {
        name
        for name in extractors.names()
        if extractor_digest(extractors.get(name), FINDER, engine="openvino")
        != extractor_digest(extractors.get(name), FINDER)
    }
    able = {name for name in extractors.names() if "openvino" in extractors.get(name).engines}
    assert changed == able
    assert {"inception/clean@1", "i3d/cd@1", "i3d/styleganv@1", "lpips-frames/alex@0.1"} <= changed
    assert "pixels/psnr-ssim@1" not in changed


def test_every_extractor_with_engines_takes_one() -> None:
    import inspect

    load_catalogues()
    for name in extractors.names():
        kind = extractors.get(name)
        takes = "engine" in inspect.signature(kind.__init__).parameters
        assert takes == (kind.engines == ENGINES), name


def test_an_engine_that_cannot_run_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loading._engine_problems(Execution()) == []
    (problem,) = loading._engine_problems(Execution(inference="openvino", device="cuda:1"))
    assert "cuda:1" in problem
    monkeypatch.setattr(loading, "find_spec", lambda _: None)
    (problem,) = loading._engine_problems(Execution(inference="openvino"))
    assert "emo-bench[openvino]" in problem
    assert loading._engine_problems(Execution(inference="torch", device="cuda")) == []


def test_a_device_that_is_not_there_is_told_before_any_work() -> None:
    assert loading._device_problems(Execution()) == []
    (problem,) = loading._device_problems(Execution(device="cuda:99"))
    assert problem.startswith("execution.device: there is no device cuda:99")
    assert loading._device_problems(Execution(device="cuda:99", engine="ray")) == []
