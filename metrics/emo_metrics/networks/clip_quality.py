"""CLIP as a judge of images: how much closer an image is to "Good photo." than to "Bad photo."."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from emo_core.network_config import without_code
from emo_metrics.contract import FrameArray
from emo_metrics.networks.inference import exact_inference

PROMPTS: Final = ("Good photo.", "Bad photo.")
SCALE: Final = 100.0
"""Of the cosines before the softmax; CLIP's own after training."""
PARTS: Final = ("config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json")


class ClipQuality:
    """CLIP-IQA with a CLIP of the user's, by the steps of torchmetrics.

    Only the four files are read, nothing is downloaded and no code of the folder runs.

    Args:
        folder: With ``config.json``, ``model.safetensors``, ``preprocessor_config.json``, ``tokenizer.json`` as
            transformers writes them.

    Raises:
        ValueError: when the folder holds no complete CLIP.
    """

    def __init__(self, folder: Path, *, device: str = "cpu") -> None:
        self._device = device
        self._network, self._prepare = _network(folder).to(device).eval(), _image_processor(folder)
        with exact_inference():
            rows = [self._pooled(self._network.get_text_features(input_ids=ids.to(device))) for ids in _tokens(folder)]
            self._anchors = torch.cat(rows).double()

    def score(self, frame: FrameArray) -> float:
        """Probability of the good prompt for a frame ``uint8 RGB [H, W, 3]``, in [0, 1]; higher is better."""
        # As float, 0 to 255, like torchmetrics: integers would be rounded once more when the image is resized.
        image = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1).float()
        pixels = self._prepare(images=[image], return_tensors="pt")["pixel_values"]
        with exact_inference():
            seen = self._pooled(self._network.get_image_features(pixel_values=pixels.to(self._device))).double()
            return float((SCALE * seen @ self._anchors.T).softmax(dim=-1)[0, 0])

    @staticmethod
    def _pooled(features: Any) -> torch.Tensor:
        # transformers 5 wraps them; earlier versions return the tensor itself.
        vectors: torch.Tensor = features if isinstance(features, torch.Tensor) else features.pooler_output
        unit: torch.Tensor = vectors / vectors.norm(p=2, dim=-1, keepdim=True)
        return unit


def check_folder(folder: Path) -> None:
    """Looks at what can be seen without loading the network.

    Raises:
        ValueError: when a file is of another kind.
    """
    from safetensors import SafetensorError, safe_open

    kind = _read_json(folder / "config.json").get("model_type")
    if kind != "clip":
        raise ValueError(f"{folder / 'config.json'}: expected model_type 'clip', found {kind!r}")
    for name in ("preprocessor_config.json", "tokenizer.json"):
        _read_json(folder / name)
    _tokens(folder)
    try:
        with safe_open(folder / "model.safetensors", framework="pt"):
            pass
    except SafetensorError as error:
        raise ValueError(f"{folder / 'model.safetensors'} is no safetensors file: {error}") from None


def _network(folder: Path) -> Any:
    from safetensors.torch import load_file
    from transformers import CLIPConfig, CLIPModel

    check_folder(folder)
    try:
        # Not by the folder's name: transformers would put an adapter that lies there into the network as well.
        loaded: Any = CLIPModel.from_pretrained(
            None,
            config=CLIPConfig.from_dict(without_code(_read_json(folder / "config.json"))),
            state_dict=load_file(folder / "model.safetensors"),
            attn_implementation="sdpa",
            output_loading_info=True,
            dtype=torch.float32,
        )
    except Exception as error:  # whatever other files make transformers and safetensors raise
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{folder} holds no CLIP that transformers can read: {first}") from None
    network, told = loaded
    lacking = sorted(told["missing_keys"])
    if lacking or told["mismatched_keys"]:
        raise ValueError(
            f"{folder / 'model.safetensors'} does not fit config.json: {len(lacking)} tensors missing "
            f"{lacking[:2]}, {len(told['mismatched_keys'])} of another shape"
        )
    return network


def _image_processor(folder: Path) -> Any:
    from transformers import CLIPImageProcessor

    values = _read_json(folder / "preprocessor_config.json")
    return CLIPImageProcessor(**{key: values[key] for key in _PREPARATION if key in values})


_PREPARATION: Final = (
    "do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize",
    "image_mean", "image_std", "do_convert_rgb",
)  # fmt: skip


def _tokens(folder: Path) -> list[torch.Tensor]:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises bare exceptions
        raise ValueError(f"{folder / 'tokenizer.json'} is no tokenizer: {error}") from None
    return [torch.tensor([tokenizer.encode(prompt).ids]) for prompt in PROMPTS]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: expected an object, found {type(value).__name__}")
    return value
