"""Support vector regressions in LIBSVM's text become tensors; other models are refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.numpy import load_file

from emo_bench.extract.weight_conversion import convert
from emo_core.errors import WeightsError

MODEL = """svm_type epsilon_svr
kernel_type rbf
gamma 0.05
nr_class 2
total_sv 2
rho -1.5
SV
-1024 1:-0.5 3:0.25
2 2:1
"""


def test_vectors_and_facts_come_over(tmp_path: Path) -> None:
    (tmp_path / "svm.txt").write_text(MODEL)
    convert(tmp_path / "svm.txt", tmp_path / "out.safetensors", "libsvm-regression")
    found = load_file(tmp_path / "out.safetensors")
    assert found["coefficients"].tolist() == [-1024.0, 2.0]
    assert found["vectors"].tolist() == [[-0.5, 0.0, 0.25], [0.0, 1.0, 0.0]]
    assert (found["gamma"].tolist(), found["rho"].tolist()) == ([0.05], [-1.5])


@pytest.mark.parametrize(
    "change",
    [
        ("epsilon_svr", "c_svc"),
        ("rbf", "linear"),
        ("total_sv 2", "total_sv 3"),
        ("gamma 0.05\n", ""),
        ("3:0.25", "3:x"),
        ("SV\n", ""),
    ],
)
def test_other_models_are_refused(tmp_path: Path, change: tuple[str, str]) -> None:
    (tmp_path / "svm.txt").write_text(MODEL.replace(*change))
    with pytest.raises(WeightsError):
        convert(tmp_path / "svm.txt", tmp_path / "out.safetensors", "libsvm-regression")
