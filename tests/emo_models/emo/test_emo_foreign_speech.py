"""Speech encoders of the user's own: only their weights and plain configuration count, whatever lies beside them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from emo_models.emo.audio_encoders import load_transformer_encoder

SOUND = np.sin(np.arange(8000) * 0.05).astype(np.float32) * 0.3
SHAPES: dict[str, dict[str, Any]] = {
    "wav2vec2": {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
        "conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "vocab_size": 32,
    },
    "whisper": {
        "d_model": 16, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "vocab_size": 60,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1, "suppress_tokens": [],
        "begin_suppress_tokens": [],
    },
}  # fmt: skip


@pytest.fixture(params=["wav2vec2", "whisper"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(kind: str, tmp_path: Path) -> Path:
    """As published: with the head of the task that it was trained for."""
    import transformers

    torch.manual_seed(0)
    if kind == "wav2vec2":
        network: Any = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**SHAPES[kind]))
    else:
        network = transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**SHAPES[kind]))
        transformers.WhisperFeatureExtractor(feature_size=80).save_pretrained(tmp_path / "network")
    network.save_pretrained(tmp_path / "network")
    return tmp_path / "network"


def features(folder: Path, kind: str) -> torch.Tensor:
    return load_transformer_encoder(folder, kind=kind, fps=25.0).window(SOUND, 0, 12)


def change_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **values}), "utf-8")


def test_a_checkpoint_with_a_head_gives_what_transformers_gives(folder: Path, kind: str) -> None:
    import transformers

    encoder = load_transformer_encoder(folder, kind=kind, fps=25.0)
    classes = {"wav2vec2": transformers.Wav2Vec2Model, "whisper": transformers.WhisperModel}
    expected = classes[kind].from_pretrained(folder, local_files_only=True).state_dict()
    found = encoder.model.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        if name != "masked_spec_embed":
            assert torch.equal(found[name], tensor), name


def test_an_adapter_beside_the_weights_changes_nothing(folder: Path, kind: str, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="peft, with which transformers finds adapters, is not installed")
    import transformers

    expected = features(folder, kind)
    classes = {"wav2vec2": transformers.Wav2Vec2Model, "whisper": transformers.WhisperModel}
    wanted = peft.LoraConfig(r=2, lora_alpha=64, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    peft.get_peft_model(classes[kind].from_pretrained(folder), wanted).save_pretrained(tmp_path / "adapter")
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(tmp_path / "adapter" / name, folder / name)
    assert torch.equal(features(folder, kind), expected)


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_code_that_a_configuration_names_is_not_asked_for(folder: Path, kind: str, key: str) -> None:
    expected = features(folder, kind)
    change_config(folder, **{key: "nobody/attention", "auto_map": {"AutoModel": "nobody/code--network.Network"}})
    assert torch.equal(features(folder, kind), expected)


def test_weights_in_half_precision_are_computed_with_in_full(folder: Path, kind: str) -> None:
    path = folder / "model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(path).items()}, path, metadata={"format": "pt"})
    change_config(folder, dtype="float16", torch_dtype="float16")
    encoder = load_transformer_encoder(folder, kind=kind, fps=25.0)
    assert {tensor.dtype for tensor in encoder.model.parameters()} == {torch.float32}
    assert encoder.window(SOUND, 0, 12).isfinite().all()


def test_missing_tensors_are_not_drawn_at_random(folder: Path, kind: str) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors[next(name for name in tensors if "encoder.layers.1" in name and name.endswith("q_proj.weight"))]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"found 1 missing \['encoder.layers.1.*q_proj.weight'\]"):
        features(folder, kind)


def test_tensors_of_another_shape_are_refused(folder: Path, kind: str) -> None:
    change_config(folder, **{"intermediate_size" if kind == "wav2vec2" else "encoder_ffn_dim": 24})
    with pytest.raises((ValueError, RuntimeError), match=r"of another shape|size mismatch|mismatched"):
        features(folder, kind)
