"""Pickles and TorchScript archives give arrays; whatever else they ask for is refused, and nothing runs."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emo_bench.extract.restricted_reading import read_array_pickle, read_number_lists, read_torchscript
from emo_core.errors import WeightsError


def pickled(path: Path, content: object) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=4))
    return path


class Runs:
    """Makes a file when it is unpickled by anything that obeys."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self._made = (function, arguments)

    def __reduce__(self) -> Any:
        return self._made


class TestArrayPickles:
    @pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int8", "int64", "uint8", "bool"])
    def test_arrays_come_back_equal(self, tmp_path: Path, kind: str) -> None:
        values = (np.arange(24).reshape(2, 3, 4) % 5).astype(kind)
        content = {
            "a": {"plain": values, "fortran": np.asfortranarray(values)},
            "b": OrderedDict(scalar=values[0, 0, 0:1]),
        }
        found = read_array_pickle(pickled(tmp_path / "x.ckpt", content))
        assert sorted(found) == ["a/fortran", "a/plain", "b/scalar"]
        for name in ("a/plain", "a/fortran"):
            assert found[name].dtype == values.dtype
            np.testing.assert_array_equal(found[name], values)

    @pytest.mark.parametrize("protocol", [3, 4, 5])
    def test_every_protocol_that_keeps_bytes(self, tmp_path: Path, protocol: int) -> None:
        values = np.arange(6, dtype=np.float32).reshape(2, 3)
        (tmp_path / "x").write_bytes(pickle.dumps({"a": values}, protocol=protocol))
        if protocol == 5:
            with pytest.raises(WeightsError, match="asks for numpy"):  # frombuffer: a function that is not needed
                read_array_pickle(tmp_path / "x")
        else:
            np.testing.assert_array_equal(read_array_pickle(tmp_path / "x")["a"], values)

    @pytest.mark.parametrize("function", [os.system, eval, __import__, os.unlink, np.load, np.zeros, getattr])
    def test_no_function_of_the_file_runs(self, tmp_path: Path, function: Any) -> None:
        mark = tmp_path / "ran"
        arguments = ("os", "x") if function is getattr else (f"touch {mark}",)
        with pytest.raises(WeightsError, match="it asks for"):
            read_array_pickle(pickled(tmp_path / "x", {"a": Runs(function, *arguments)}))
        assert not mark.exists()

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ({"a": "text"}, "is of type str"),
            ({"a": [np.zeros(2)]}, "is of type list"),
            ({3: np.zeros(2)}, "key of type int"),
            (7, "the whole is of type int"),
            ({"a": np.array([{}, None], dtype=object)}, "not of plain numbers"),
            ({"a": np.array(["ab"])}, "not of plain numbers"),
            ({"a": np.zeros(2, dtype=">f4")}, "high byte first"),
            ({"a": np.zeros(2, dtype=[("x", "f4")])}, "not of plain numbers"),
        ],
    )
    def test_anything_but_numbers_is_refused(self, tmp_path: Path, content: object, words: str) -> None:
        with pytest.raises(WeightsError) as caught:
            read_array_pickle(pickled(tmp_path / "x", content))
        assert words in caught.value.found

    @pytest.mark.parametrize("data", [b"", b"\x80\x04", b"not a pickle", b"\x80\x04(((((.", b"<!doctype html>"])
    def test_no_pickle(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(WeightsError, match="is not read"):
            read_array_pickle(tmp_path / "x")

    def test_every_cut_and_many_changed_bytes_end_in_a_weights_error_or_arrays(self, tmp_path: Path) -> None:
        data = pickle.dumps({"a": np.arange(6, dtype=np.float32), "b": {"c": np.ones((2, 2))}}, protocol=4)
        random = np.random.default_rng(0)
        hostile = [data[:length] for length in range(0, len(data), 7)]
        for _ in range(300):
            changed = bytearray(data)
            for place in random.integers(0, len(data), 3):
                changed[place] = random.integers(0, 256)
            hostile.append(bytes(changed))
        for content in hostile:
            (tmp_path / "x").write_bytes(content)
            try:
                found = read_array_pickle(tmp_path / "x")
            except WeightsError:
                continue
            assert all(isinstance(value, np.ndarray) for value in found.values())

    def test_a_shape_larger_than_its_numbers(self, tmp_path: Path) -> None:
        data = pickle.dumps({"a": np.zeros(3, np.float32)}, protocol=4)
        shape = b"K\x03\x85"
        assert data.count(shape) == 1
        (tmp_path / "x").write_bytes(data.replace(shape, b"J\xff\xff\xff\x7f\x85"))
        with pytest.raises(WeightsError, match="cannot reshape"):
            read_array_pickle(tmp_path / "x")


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1, bias=False), torch.nn.BatchNorm2d(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)  # type: ignore[no-any-return]


@pytest.fixture
def script(tmp_path: Path) -> tuple[Path, Small]:
    network = Small().eval()
    path = tmp_path / "net.pt"
    torch.jit.script(network).save(str(path))  # type: ignore[no-untyped-call]
    return path, network


def rewritten(path: Path, target: Path, **members: bytes) -> Path:
    """A copy of an archive with other bytes for the members that end so."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            known = [key for key in members if name.endswith("/" + key.replace("__", "/").replace("_pkl", ".pkl"))]
            new.writestr(name, members[known[0]] if known else old.read(name))
    return target


class TestTorchScript:
    def test_tensors_come_back_equal(self, script: tuple[Path, Small]) -> None:
        path, network = script
        found = read_torchscript(path)
        state = network.state_dict()
        assert set(state) == set(found)
        for name, value in state.items():
            np.testing.assert_array_equal(found[name], value.numpy())

    def test_no_function_of_the_file_runs(self, script: tuple[Path, Small], tmp_path: Path) -> None:
        mark = tmp_path / "ran"
        hostile = pickle.dumps(Runs(os.system, f"touch {mark}"), protocol=2)
        with pytest.raises(WeightsError, match="it asks for"):
            read_torchscript(rewritten(script[0], tmp_path / "other.pt", data_pkl=hostile))
        assert not mark.exists()

    def test_storages_shorter_than_their_tensors(self, script: tuple[Path, Small], tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="is not read"):
            read_torchscript(rewritten(script[0], tmp_path / "other.pt", data__0=b"\0" * 8))

    def test_no_archive_and_an_archive_of_something_else(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"no zip")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("x/other.txt", b"")
        (tmp_path / "b").write_bytes(packed.getvalue())
        for name in ("a", "b"):
            with pytest.raises(WeightsError, match="is not read"):
                read_torchscript(tmp_path / name)


class TestNumberLists:
    def test_lists_of_numbers_become_arrays(self, tmp_path: Path) -> None:
        found = read_number_lists(pickled(tmp_path / "x", {"low": [1, 2.5], "high": [3.0, 4.0]}))
        assert {name: value.tolist() for name, value in found.items()} == {"low": [1.0, 2.5], "high": [3.0, 4.0]}

    @pytest.mark.parametrize("content", [[1.0], {"a": [1.0, "b"]}, {"a": 1.0}, {1: [2.0]}, {"a": [True]}])
    def test_anything_else_is_refused(self, tmp_path: Path, content: object) -> None:
        with pytest.raises(WeightsError):
            read_number_lists(pickled(tmp_path / "x", content))

    def test_nothing_runs(self, tmp_path: Path) -> None:
        target = tmp_path / "victim"
        target.touch()
        with pytest.raises(WeightsError, match="asks for"):
            read_number_lists(pickled(tmp_path / "x", {"a": Runs(os.unlink, str(target))}))
        assert target.exists()
