"""Repackaged networks, converted to safetensors files with the official tensor names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emo_bench.extract.package_archives import Conversion
from emo_bench.extract.restricted_reading import read_array_pickle, read_number_lists, read_torchscript
from emo_core.errors import WeightsError

Array = NDArray[Any]


def convert(path: Path, target: Path, how: Conversion) -> None:
    """Writes the tensors of a file as safetensors.

    Args:
        path: What came out of an archive, its bytes checked.
        target: Is written.
        how: What the file is.

    Raises:
        WeightsError: when it is another network, or no plain file of arrays.
    """
    from safetensors.numpy import save

    try:
        tensors = _CONVERSIONS[how](path)
    except KeyError as error:
        raise WeightsError(
            f"{path.name} is another network than {how} expects",
            expected=f"a tensor {error.args[0]}",
            found="none of that name",
            fix="get the file again from a source you trust",
        ) from None
    target.write_bytes(save({name: np.ascontiguousarray(value) for name, value in sorted(tensors.items())}))


def arrays_as_json(path: Path, target: Path) -> None:
    """Writes the arrays of a pickled dictionary as JSON lists of numbers; no code in the pickle runs.

    Raises:
        WeightsError: when it holds anything but flat arrays of numbers.
    """
    arrays = read_array_pickle(path)
    target.write_text(json.dumps({name: value.ravel().tolist() for name, value in arrays.items()}), encoding="utf-8")


def _checked(tensors: Mapping[str, Array], *, read: int, path: Path, expected: int) -> None:
    if len(tensors) != expected or read != expected:
        raise WeightsError(
            f"{path.name} is another network than expected",
            expected=f"{expected} tensors",
            found=f"{read} tensors in it, {len(tensors)} of known names",
            fix="get the file again from a source you trust",
        )


_STEM: Final = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")
_BLOCKS: Final = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")
_BLOCK_35: Final = {"conv": "branch1x1", "tower": "branch5x5_", "tower_1": "branch3x3dbl_", "tower_2": "branch_pool"}
_BLOCK_17: Final = {"conv": "branch1x1", "tower": "branch7x7_", "tower_1": "branch7x7dbl_", "tower_2": "branch_pool"}
_BLOCK_8: Final = {
    "conv": "branch1x1",
    "tower_conv": "branch3x3_1",
    "tower_mixed_conv": "branch3x3_2a",
    "tower_mixed_conv_1": "branch3x3_2b",
    "tower_1_conv": "branch3x3dbl_1",
    "tower_1_conv_1": "branch3x3dbl_2",
    "tower_1_mixed_conv": "branch3x3dbl_3a",
    "tower_1_mixed_conv_1": "branch3x3dbl_3b",
    "tower_2_conv": "branch_pool",
}
_BRANCHES: Final[Mapping[str, Mapping[str, str]]] = {
    **dict.fromkeys(("5b", "5c", "5d"), _BLOCK_35),
    "6a": {"conv": "branch3x3", "tower": "branch3x3dbl_"},
    **dict.fromkeys(("6b", "6c", "6d", "6e"), _BLOCK_17),
    "7a": {"tower": "branch3x3_", "tower_1": "branch7x7x3_"},
    **dict.fromkeys(("7b", "7c"), _BLOCK_8),
}
_NORM: Final = {"weight": "conv.weight", "beta": "bn.bias", "mean": "bn.running_mean", "var": "bn.running_var"}
_INCEPTION_TENSORS: Final = 4 * 94


def _inception(path: Path) -> dict[str, Array]:
    """FID's Inception: the graph's batch norms have no scale, so ``bn.weight`` is 1."""
    source = read_torchscript(path)
    result: dict[str, Array] = {}
    for name, value in source.items():
        layer, _, part = name.removeprefix("net.layers.").rpartition(".")
        official = _inception_layer(layer)
        if official is None or part not in _NORM:
            raise KeyError(f"that official files have instead of {name}")
        result[f"{official}.{_NORM[part]}"] = value
    _checked(result, read=len(source), path=path, expected=_INCEPTION_TENSORS)
    return _with_scales(result)


def _with_scales(tensors: dict[str, Array]) -> dict[str, Array]:
    """Batch norms without a scale have the scale 1."""
    scales = {name: np.ones_like(value) for name, value in tensors.items() if name.endswith("bn.bias")}
    return tensors | {name.replace("bn.bias", "bn.weight"): value for name, value in scales.items()}


def _inception_layer(layer: str) -> str | None:
    """``mixed_3.tower.conv_1`` to ``Mixed_6a.branch3x3dbl_2``; None for a name that is none."""
    block, *rest = layer.split(".")
    if not rest:
        return _numbered(_STEM, block, "conv")
    name = _numbered(_BLOCKS, block, "mixed")
    branch = _BRANCHES[name].get(rest[0]) if name else None
    if branch is None:
        return None
    if len(rest) == 1:
        return f"Mixed_{name}.{branch}"
    number = _numbered("123456789", rest[1], "conv")
    return f"Mixed_{name}.{branch}{number}" if branch.endswith("_") else f"Mixed_{name}.{branch}"


def _numbered(names: str | tuple[str, ...], key: str, stem: str) -> str | None:
    """The first of the names for ``stem``, the third for ``stem_2``."""
    number = key.removeprefix(stem).removeprefix("_") or "0"
    return names[int(number)] if key.startswith(stem) and number.isdigit() and int(number) < len(names) else None


_I3D_BRANCHES: Final = {
    "Branch_0/Conv3d_0a_1x1": "b0",
    "Branch_1/Conv3d_0a_1x1": "b1a",
    "Branch_1/Conv3d_0b_3x3": "b1b",
    "Branch_2/Conv3d_0a_1x1": "b2a",
    "Branch_2/Conv3d_0b_3x3": "b2b",
    "Branch_3/Conv3d_0b_1x1": "b3b",
}
_I3D_PARTS: Final = {
    "Conv_0/kernel": "conv3d.weight",
    "Conv_0/bias": "conv3d.bias",
    "BatchNorm_0/bias": "bn.bias",
    "BatchNorm_0/mean": "bn.running_mean",
    "BatchNorm_0/var": "bn.running_var",
}
_I3D_TENSORS: Final = 4 * 57 + 2
"""57 convolutions with batch norm, and the classifier's weight and bias."""


def _i3d(path: Path) -> dict[str, Array]:
    """I3D on Kinetics-400: kernels ``[t, h, w, in, out]`` become ``[out, in, t, h, w]``."""
    source = read_array_pickle(path)
    result: dict[str, Array] = {}
    for name, value in source.items():
        layer, kind, part = name.split("/", 1)[1].rsplit("/", 2)
        official = f"{_i3d_layer(layer)}.{_I3D_PARTS[f'{kind}/{part}']}"
        result[official] = value.transpose(4, 3, 0, 1, 2) if part == "kernel" else value.reshape(-1)
    _checked(result, read=len(source), path=path, expected=_I3D_TENSORS)
    return _with_scales(result)


def _i3d_layer(layer: str) -> str:
    if layer == "Logits/Conv3d_0c_1x1":
        return "logits"
    block, _, branch = layer.partition("/")
    return f"{block}.{_I3D_BRANCHES[branch]}" if branch else block


_ALEX_LAYERS: Final = (0, 3, 6, 8, 10)
_VGG_LAYERS: Final = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def _trunk(path: Path, network: str, layers: tuple[int, ...]) -> dict[str, Array]:
    """The convolutions of a classifier; its heads for LPIPS come with another package and stay behind."""
    source = {name: value for name, value in read_array_pickle(path).items() if not name.startswith("NetLinLayer_")}
    result: dict[str, Array] = {}
    for number, place in enumerate(layers):
        kernel = source[f"{network}_0/Conv_{number}/kernel"]
        result[f"features.{place}.weight"] = kernel.transpose(3, 2, 0, 1)
        result[f"features.{place}.bias"] = source[f"{network}_0/Conv_{number}/bias"]
    _checked(result, read=len(source), path=path, expected=2 * len(layers))
    return result


def _regression(path: Path) -> dict[str, Array]:
    """Support vector regression in LIBSVM's text: lines ``name value``, ``SV``, lines ``weight place:value ...``."""
    try:
        head, _, body = path.read_text("ascii").partition("\nSV\n")
        facts = dict(line.split(" ", 1) for line in head.splitlines())
        rows = [line.split() for line in body.splitlines() if line.strip()]
        parts = [[place_value.split(":") for place_value in row[1:]] for row in rows]
        width = max(int(place) for row in parts for place, _ in row)
        vectors = np.zeros((len(rows), width))
        for number, row in enumerate(parts):
            for place, value in row:
                vectors[number, int(place) - 1] = float(value)
        kind, count = (facts["svm_type"], facts["kernel_type"]), int(facts["total_sv"])
        found = {
            "coefficients": np.array([float(row[0]) for row in rows]),
            "vectors": vectors,
            "gamma": np.array([float(facts["gamma"])]),
            "rho": np.array([float(facts["rho"])]),
        }
    except ValueError as error:
        raise WeightsError(f"{path.name} is no model in LIBSVM's text format", found=str(error)) from None
    if kind != ("epsilon_svr", "rbf") or len(rows) != count:
        raise WeightsError(
            f"{path.name} is another model than expected",
            expected=f"epsilon_svr with rbf kernel and {count} vectors",
            found=f"{kind[0]} with {kind[1]} kernel and {len(rows)} vectors",
        )
    return found


_CONVERSIONS: Final[Mapping[str, Callable[[Path], dict[str, Array]]]] = {
    "inception-torchscript": _inception,
    "i3d-flax": _i3d,
    "alexnet-flax": lambda path: _trunk(path, "AlexNet", _ALEX_LAYERS),
    "vgg16-flax": lambda path: _trunk(path, "VGG16", _VGG_LAYERS),
    "libsvm-regression": _regression,
    "number-lists": read_number_lists,
}
