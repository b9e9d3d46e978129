"""The extractor ``inception/open@1``: a trained Inception v3 under a permissive licence, for real frames.

The network was fine-tuned on another task and its weights are stored as bytes. It tells blur, noise and compression
from clean frames, but its numbers compare with nothing published.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from emo_metrics.contract import Accumulator, ClipInputs, Extractor, FrameArray
from emo_metrics.extractors.inception_frames import SampledFrames, compute_features
from emo_metrics.networks.engines import ENGINES, TORCH, Engine, with_engine
from emo_metrics.networks.image_resize import prepare_clean
from emo_metrics.networks.weight_files import read_tensors

OPEN_WEIGHTS: Final = "inceptionv3_nsfwjs_uint8_tvnames.safetensors"


class InceptionOpen(Extractor):
    """Pooled features of up to 32 evenly spaced whole frames of each clip; PIL bicubic to 299 x 299, range [0, 1]."""

    name: ClassVar[str] = "inception/open@1"
    weights: ClassVar[tuple[str, ...]] = (OPEN_WEIGHTS,)
    engines: ClassVar[frozenset[str]] = ENGINES

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu", engine: Engine = TORCH) -> None:
        super().__init__(weights, device=device)
        self._network = with_engine(load_open_inception(weights[OPEN_WEIGHTS]).to(device), engine)

    def features(self, frames: FrameArray) -> NDArray[np.float32]:
        """``float32 [n, 2048]`` of frames ``uint8 RGB [n, H, W, 3]``."""
        return compute_features(self._network, _prepare, frames, self.device)

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        return SampledFrames(clip, self.features)


def _prepare(frames: FrameArray) -> torch.Tensor:
    return (prepare_clean(frames) * 128.0 + 128.0) / 255.0


def load_open_inception(path: Path) -> nn.Module:
    """Inception v3 of torchvision without its classifier, with the stored bytes turned back into weights.

    Each tensor NAME is stored as ``NAME.q`` (bytes) and ``NAME.ms`` (offset and step). Batch norms have no scale in
    the file; it is 1.

    Raises:
        ValueError: when the file lacks a tensor of the network.
    """
    from torchvision.models import inception_v3

    network = inception_v3(weights=None, aux_logits=False, transform_input=False, init_weights=False)
    network.fc = nn.Identity()
    stored = read_tensors(path)
    tensors = {}
    for name in network.state_dict():
        if name.endswith("num_batches_tracked"):
            continue
        if name.endswith("bn.weight"):
            tensors[name] = torch.ones_like(network.state_dict()[name])
            continue
        if f"{name}.q" not in stored:
            raise ValueError(f"{path.name} has no tensor {name}")
        offset, step = stored[f"{name}.ms"].tolist()
        value = stored[f"{name}.q"].float() * step + offset
        tensors[name] = value.clamp_min(0.0) if name.endswith("running_var") else value
    network.load_state_dict(tensors, strict=False)
    network.eval().requires_grad_(False)
    return nn.Sequential(network)
