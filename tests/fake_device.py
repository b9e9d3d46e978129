"""A device that is not there: tensors say they lie on it, compute on the CPU, and refuse others as a GPU's would.

So a test finds, on a machine without a GPU, every tensor that somebody forgot to move; results equal the CPU's to the
bit. The device is called ``meta``, the only one besides the CPU that PyTorch lets gradients run on everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = torch.device("meta")
ops = torch.ops.aten
# These read from another device.
COPIES = (ops.copy_.default, ops._to_copy.default)
# Of these the second argument may lie on the CPU: the indices.
INDEXED = (ops.index.Tensor, ops.index_put_.default, ops.index_put.default)
# Of these even a number without dimensions must lie where the others do.
JOINED = (ops.cat.default, ops.stack.default)


class FarTensor(Tensor):
    """A tensor on the fake device; ``held`` has its values."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> FarTensor:
        made: FarTensor = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
            requires_grad=held.requires_grad,
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _run(func, args, dict(kwargs or {}))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.held.detach().__reduce_ex__(protocol)

    def __repr__(self, **options: Any) -> str:
        return f"far {self.held!r}"


class _Literals(TorchFunctionMode):
    """Values written out in Python are copied there only after they are a tensor."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if func is torch.tensor and "device" in named:
            device = named.pop("device")
            return torch.tensor(*args, **named).to(device)
        return func(*args, **named)


class FakeDevice(TorchDispatchMode):
    """While it is entered, ``torch.device("meta")`` is the fake device."""

    def __enter__(self) -> FakeDevice:
        # Modules are moved by giving them other parameters, not other values: a far tensor's values cannot be replaced.
        self._swaps = torch.__future__.get_swap_module_params_on_conversion()
        torch.__future__.set_swap_module_params_on_conversion(True)
        self._literals = _Literals()
        self._literals.__enter__()
        entered: FakeDevice = super().__enter__()
        return entered

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._literals.__exit__(*error)
        torch.__future__.set_swap_module_params_on_conversion(self._swaps)

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _run(func, args, dict(kwargs or {}))


def _run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    far: list[FarTensor] = []
    near: list[Tensor] = []

    def held(value: Tensor) -> Tensor:
        if isinstance(value, FarTensor):
            far.append(value)
            return value.held
        if value.dim() or func in JOINED:
            near.append(value)
        return value

    inner_args, inner = _mapped(held, args), _mapped(held, kwargs)
    if func in INDEXED and isinstance(args[0], FarTensor):
        indices = [index for index in args[1] if index is not None]
        near = [value for value in near if not any(value is index for index in indices)]
    asked = kwargs.get("device")
    asked = None if asked is None else torch.device(asked)
    if far and near and func not in COPIES:
        raise RuntimeError(f"expected all tensors of {func} on one device, found {tuple(near[0].shape)} on the CPU")
    if asked == DEVICE:
        inner["device"] = torch.device("cpu")
    out = func(*inner_args, **inner)
    goes_far = asked == DEVICE if asked is not None else _answers_far(func, args, far)
    if not goes_far:
        return out
    # What an operation changed in place comes back as the very tensor that went in.
    same = {id(value.held): value for value in far}
    return _mapped(lambda value: same[id(value)] if id(value) in same else FarTensor(value), out)


def _mapped(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """``value`` with its tensors changed; PyTorch's own way through nested values takes four times as long."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(change, part) for part in value)
    if isinstance(value, dict):
        return {name: _mapped(change, part) for name, part in value.items()}
    return value


def _answers_far(func: Any, args: tuple[Any, ...], far: list[FarTensor]) -> bool:
    if func is ops.copy_.default:
        return isinstance(args[0], FarTensor)
    return bool(far)
