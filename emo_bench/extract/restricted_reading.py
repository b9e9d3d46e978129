"""Reading arrays out of pickles and TorchScript archives without running any code in them.

A pickle is a program that may call any function by name. The readers here know a handful of names, each of which stands
for a harmless class of this module; every other name ends the reading. Numpy and torch themselves are never called with
values from the file.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from emo_core.errors import WeightsError

Array = NDArray[Any]
LARGEST_MEMBER: Final = 1 << 30
"""Bytes that one member of a TorchScript archive may unpack to."""
_KINDS: Final = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})
_STORAGES: Final = {"HalfStorage": "f2", "FloatStorage": "f4", "DoubleStorage": "f8", "LongStorage": "i8"}


class _Kind:
    """Stands for ``numpy.dtype``: a plain number of a known width."""

    def __init__(self, code: object, *_: object) -> None:
        if code not in _KINDS:
            raise pickle.UnpicklingError(f"an array of {code!r}, not of plain numbers")
        self.code = str(code)

    def __setstate__(self, state: tuple[object, ...]) -> None:
        if state[1] == ">":
            raise pickle.UnpicklingError("numbers with the high byte first")


class _Numbers:
    """Stands for a numpy array; becomes one when the reading is over."""

    def __init__(self, *_: object) -> None:
        self.array: Array = np.zeros(0, np.float32)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, raw = state
        if not isinstance(kind, _Kind) or not isinstance(raw, bytes):
            raise pickle.UnpicklingError("an array of objects, not of numbers")
        flat = np.frombuffer(raw, dtype="<" + kind.code)
        self.array = flat.reshape(shape, order="F" if fortran else "C")


class _Module:
    """Stands for a network's module: its attributes and nothing else."""

    def __setstate__(self, state: Mapping[str, object]) -> None:
        self.attributes = dict(state)


def _array_type(*_: object) -> None:
    raise pickle.UnpicklingError("an array that is made directly")


_NUMPY: Final[Mapping[tuple[str, str], Callable[..., object]]] = {
    ("numpy", "ndarray"): _array_type,
    ("numpy", "dtype"): _Kind,
    ("numpy.core.multiarray", "_reconstruct"): _Numbers,
    ("numpy._core.multiarray", "_reconstruct"): _Numbers,
    ("collections", "OrderedDict"): OrderedDict,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The harmless class behind a known name."""
        if (module, name) not in _NUMPY:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _NUMPY[module, name]


def read_array_pickle(path: Path) -> dict[str, Array]:
    """Arrays of a pickle of nested dictionaries, by their keys joined with ``/``.

    Raises:
        WeightsError: when it holds, or asks for, anything but plain numbers in dictionaries.
    """
    try:
        with path.open("rb") as stream:
            return _flat(_Reader(stream).load())
    except _FAILURES as error:
        raise _refusal(path, error) from None


def read_number_lists(path: Path) -> dict[str, Array]:
    """Lists of numbers of a pickled dictionary, by their keys, as float64.

    Raises:
        WeightsError: when it holds, or asks for, anything else.
    """
    try:
        with path.open("rb") as stream:
            content = _Reader(stream).load()
        if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
            raise pickle.UnpicklingError(f"the whole is of type {type(content).__name__}")
        for key, value in content.items():
            if not isinstance(value, list) or not all(type(number) in (int, float) for number in value):
                raise pickle.UnpicklingError(f"{key} is no list of numbers")
        return {key: np.array(value, dtype=np.float64) for key, value in content.items()}
    except _FAILURES as error:
        raise _refusal(path, error) from None


def _flat(content: object, prefix: str = "") -> dict[str, Array]:
    if isinstance(content, _Numbers):
        return {prefix: content.array}
    if not isinstance(content, dict):
        raise pickle.UnpicklingError(f"{prefix or 'the whole'} is of type {type(content).__name__}")
    result: dict[str, Array] = {}
    for key, value in content.items():
        if not isinstance(key, str):
            raise pickle.UnpicklingError(f"a key of type {type(key).__name__}")
        result |= _flat(value, f"{prefix}/{key}" if prefix else key)
    return result


class _TorchReader(pickle.Unpickler):
    """The ``data.pkl`` of a TorchScript archive; tensors are read from the other members by ``member``."""

    def __init__(self, stream: IO[bytes], member: Callable[[str], bytes]) -> None:
        super().__init__(stream)
        self._member = member

    def find_class(self, module: str, name: str) -> Any:
        """Modules become plain attributes; the code that belongs to them is never looked at."""
        if module == "__torch__" or module.startswith("__torch__."):
            return _Module
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("torch.jit._pickle", "build_intlist"):
            return list
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> Array:
        """The numbers of a storage ``("storage", kind, key, device, count)``."""
        _, code, key, _, count = pid
        if code not in _KINDS:
            raise pickle.UnpicklingError(f"a storage of {code!r}")
        return np.frombuffer(self._member(f"data/{key}"), dtype=f"<{code}", count=count)


def _tensor(storage: Array, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> _Numbers:
    count = int(np.prod(size, dtype=np.int64))
    contiguous = tuple(int(np.prod(size[place + 1 :], dtype=np.int64)) for place in range(len(size)))
    if tuple(stride) != contiguous or not 0 <= offset <= storage.size - count:
        raise pickle.UnpicklingError(f"a tensor {tuple(size)} with strides {tuple(stride)} at {offset}")
    numbers = _Numbers()
    numbers.array = storage[offset : offset + count].reshape(size)
    return numbers


def read_torchscript(path: Path) -> dict[str, Array]:
    """Tensors of a TorchScript archive by their attribute paths, ``layers.0.weight``; its code is not read.

    Raises:
        WeightsError: when it is no such archive or asks for anything but tensors.
    """
    try:
        with ZipFile(path) as archive:
            pickles = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise pickle.UnpicklingError(f"{len(pickles)} members data.pkl")
            root = pickles[0].removesuffix("data.pkl")

            def member(name: str) -> bytes:
                info = archive.getinfo(root + name)
                if info.file_size > LARGEST_MEMBER:
                    raise pickle.UnpicklingError(f"{name} unpacks to {info.file_size} bytes")
                return archive.read(info)

            return _attributes(_TorchReader(io.BytesIO(member("data.pkl")), member).load())
    except _FAILURES as error:
        raise _refusal(path, error) from None


def _attributes(content: object, prefix: str = "") -> dict[str, Array]:
    if isinstance(content, _Numbers):
        return {prefix: content.array}
    result: dict[str, Array] = {}
    if isinstance(content, _Module):
        for key, value in getattr(content, "attributes", {}).items():
            result |= _attributes(value, f"{prefix}.{key}" if prefix else str(key))
    return result


# Whatever a hostile file can bring up in the standard library and numpy.
_FAILURES: Final = (Exception,)


def _refusal(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"{path.name} is not read",
        expected="arrays of plain numbers and nothing else",
        found=str(error).splitlines()[0] if str(error) else type(error).__name__,
        fix="get the file again from a source you trust",
    )
