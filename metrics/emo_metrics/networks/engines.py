"""What computes a convolutional network: PyTorch, or OpenVINO, which must agree with it before it is used."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import nn

from emo_metrics.networks.signal_stack import kept_signal_stack

Engine = Literal["torch", "openvino"]
TORCH: Final[Engine] = "torch"
"""The truth: what published numbers are compared with."""
OPENVINO: Final[Engine] = "openvino"
"""On processors only."""
ENGINES: Final[frozenset[str]] = frozenset({TORCH, OPENVINO})

PARITY: Final = 1e-4
"""How far OpenVINO's outputs may lie from PyTorch's, as a share of the largest of them."""


def with_engine(network: nn.Module, engine: Engine) -> nn.Module:
    """The network as the engine computes it; same inputs, same outputs but for rounding.

    Args:
        network: In evaluation mode, on the processor unless the engine is PyTorch.
        engine: See ``Engine``.

    Raises:
        ModuleNotFoundError: when the engine is not installed.
    """
    if engine == TORCH:
        return network
    if not is_installed(engine):
        raise ModuleNotFoundError("OpenVINO is not installed; install emo-bench[openvino] or use the engine torch")
    return _OpenVinoNetwork(network)


def is_installed(engine: Engine) -> bool:
    """Whether networks can be computed by the engine here."""
    return engine == TORCH or importlib.util.find_spec("openvino") is not None


class _OpenVinoNetwork(nn.Module):
    """Compiles the network for each size of inputs (the batch apart) and compares the first outputs with PyTorch's."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._network = network
        self._compiled: dict[tuple[tuple[int, ...], ...], Any] = {}

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """As the network.

        Raises:
            RuntimeError: when OpenVINO's outputs are not PyTorch's.
        """
        with kept_signal_stack():
            return self._computed(inputs)

    def _computed(self, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        sizes = tuple(tuple(x.shape[1:]) for x in inputs)
        if sizes not in self._compiled:
            first = tuple(x[:1] for x in inputs)
            compiled = compiled_network(self._network, first)
            require_parity(_run(compiled, first), self._network(*first), name=type(self._network).__name__)
            self._compiled = {sizes: compiled}  # one at a time: clips of a set mostly have one size
        return _run(self._compiled[sizes], inputs)


def compiled_network(network: nn.Module, inputs: tuple[torch.Tensor, ...]) -> Any:
    """The network for OpenVINO in single precision, for any batch of inputs of these sizes."""
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    # Not openvino.convert_model: that reports its use to a server.
    with torch.inference_mode(mode=False), torch.no_grad(), warnings.catch_warnings():
        # That tracing is to be replaced one day, and that sizes become constants, which is why they are compiled for.
        warnings.simplefilter("ignore")
        example = tuple(x.detach().clone().contiguous() for x in inputs)
        frontend = FrontEndManager().load_by_framework("pytorch")
        # Traced once; the decoder must outlive the conversion.
        decoder = TorchScriptPythonDecoder(network, example_input=example, trace_kwargs={"check_trace": False})
        model = frontend.convert(frontend.load(decoder))
    model.reshape({index: [-1, *x.shape[1:]] for index, x in enumerate(inputs)})
    settings = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    return openvino.Core().compile_model(model, "CPU", settings)


def _run(compiled: Any, inputs: Any) -> torch.Tensor:
    arrays = [np.ascontiguousarray(x.numpy()) for x in inputs]
    return torch.from_numpy(np.array(compiled(arrays)[0]))


def require_parity(found: torch.Tensor, truth: torch.Tensor, *, name: str) -> None:
    """Compares what an engine computed with what PyTorch did.

    Raises:
        RuntimeError: when they differ by more than ``PARITY``, or in shape.
    """
    if found.shape != truth.shape:
        raise RuntimeError(f"{name}: expected outputs of shape {tuple(truth.shape)}, found {tuple(found.shape)}")
    difference = float((found - truth).abs().max() / truth.abs().max().clamp_min(torch.finfo(torch.float32).tiny))
    if not difference <= PARITY:
        raise RuntimeError(
            f"{name}: OpenVINO differs from PyTorch by {difference:.1e} of the largest output, at most {PARITY:g} is "
            "allowed; use the engine torch"
        )
