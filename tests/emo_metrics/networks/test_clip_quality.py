"""CLIP-IQA on a tiny CLIP with random weights: torchmetrics' steps on the same folder, and folders that are no CLIP."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics.functional.multimodal import clip_iqa as theirs
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from emo_bench.extract.weights import WeightsFinder
from emo_metrics.contract import ClipFeatures, ClipInputs, Piece
from emo_metrics.extractors.clip_quality_frames import CLIP_QUALITY, FOLDER, ClipQualityFrames
from emo_metrics.metrics.clip_iqa import ClipIqa
from emo_metrics.networks.clip_quality import PARTS, ClipQuality


def write_clip_folder(folder: Path, *, seed: int = 6) -> Path:
    """A CLIP of a few thousand parameters, written by transformers as the real ones are.

    With seed 6 its scores spread; with most others they are all 0 or all 1.
    """
    torch.manual_seed(seed)
    layer = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
    letters = list(bytes_to_unicode().values())
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    ends = {"bos_token_id": len(words) - 2, "eos_token_id": len(words) - 1, "pad_token_id": len(words) - 1}
    config = CLIPConfig(
        text_config={**layer, **ends, "vocab_size": len(words), "max_position_embeddings": 20},
        vision_config={**layer, "image_size": 32, "patch_size": 8},
        projection_dim=8,
    )
    CLIPModel(config).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(images, tokenizer).save_pretrained(folder)
    images.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip_folder(tmp_path_factory.mktemp("weights") / FOLDER)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    made = np.random.default_rng(0).integers(0, 256, (5, 48, 64, 3), dtype=np.uint8)
    made[1] = 128
    made[2] = np.linspace(0, 255, 64).astype(np.uint8)[None, :, None]
    made[3] //= 4
    made[4, :24] = 20
    return made


class Unwrapped:
    """The features as tensors, as torchmetrics expects them; transformers 5 wraps them."""

    def __init__(self, network: Any) -> None:
        self._network = network

    def get_text_features(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self._tensor(self._network.get_text_features(input_ids=ids, attention_mask=mask))

    def get_image_features(self, pixels: torch.Tensor) -> torch.Tensor:
        return self._tensor(self._network.get_image_features(pixel_values=pixels))

    @staticmethod
    def _tensor(features: Any) -> torch.Tensor:
        return features if isinstance(features, torch.Tensor) else features.pooler_output


def test_scores_equal_those_of_torchmetrics(folder: Path, frames: np.ndarray) -> None:
    network, processor = Unwrapped(CLIPModel.from_pretrained(folder).eval()), CLIPProcessor.from_pretrained(folder)
    prompts, names = theirs._clip_iqa_format_prompts(("quality",))
    images = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        anchors = theirs._clip_iqa_get_anchor_vectors("a folder", network, processor, prompts, "cpu")  # type: ignore[arg-type]
        # The processor divides by 255 itself, so torchmetrics' own division has to be by 1.
        seen = theirs._clip_iqa_update("a folder", images, network, processor, 1.0, "cpu")  # type: ignore[arg-type]
        expected = theirs._clip_iqa_compute(seen, anchors, names)
    model = ClipQuality(folder)
    found = [model.score(frame) for frame in frames]
    assert 0.1 < np.median(found) < 0.9
    np.testing.assert_allclose(found, np.asarray(expected), rtol=1e-3)


def test_a_clip_is_the_mean_of_spread_frames(folder: Path, frames: np.ndarray) -> None:
    long = np.concatenate([frames] * 8)
    extractor = ClipQualityFrames({f"{FOLDER}/{part}": folder / part for part in PARTS})
    clip = ClipInputs(clip_id="c", fps=25, n_frames=40, height=48, width=64, reference_image=frames[0])  # type: ignore[arg-type]
    accumulator = extractor.begin(clip)
    for start in (0, 24):
        accumulator.update(Piece(frames=long[start : start + 24], start=start))
    arrays = accumulator.finish()
    assert len(arrays["score"]) == 16
    assert (arrays["frame"][0], arrays["frame"][-1]) == (0, 39)
    expected = [extractor.model.score(long[place]) for place in arrays["frame"]]
    features = ClipFeatures(clip_id="c", identity="i", fps=25, n_frames=40, arrays={CLIP_QUALITY: arrays})  # type: ignore[arg-type]
    assert ClipIqa().score_clip(features, None)["clip-iqa"] == pytest.approx(np.mean(expected))


@pytest.mark.parametrize(
    ("part", "content", "message"),
    [
        ("config.json", b"{", "is not JSON"),
        ("config.json", b'{"model_type": "bert"}', "expected model_type 'clip'"),
        ("model.safetensors", b"not tensors", "is no safetensors file"),
        ("tokenizer.json", b"{}", "is no tokenizer"),
        ("preprocessor_config.json", b"[]", "expected an object"),
    ],
)
def test_what_is_no_clip_is_told(folder: Path, tmp_path: Path, part: str, content: bytes, message: str) -> None:
    shutil.copytree(folder, tmp_path / "bad")
    (tmp_path / "bad" / part).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        ClipQuality(tmp_path / "bad")
    with pytest.raises(ValueError, match=message):
        ClipQualityFrames.check({f"{FOLDER}/{name}": tmp_path / "bad" / name for name in PARTS})


def test_another_networks_tensors_are_told(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, tmp_path / "bad")
    tensors = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in tensors.items() if "vision" not in name}
    save_file(kept, tmp_path / "bad" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="tensors missing"):
        ClipQuality(tmp_path / "bad")


def test_the_users_files_are_known_by_their_digests(folder: Path, tmp_path: Path) -> None:
    from emo_core.hashing import sha256_file

    name = f"{FOLDER}/model.safetensors"
    finder = WeightsFinder(folders=(folder.parent,))
    assert finder.require(name) == folder / "model.safetensors"
    assert finder.serving(name).sha256 == sha256_file(folder / "model.safetensors")
    other = WeightsFinder(folders=(write_clip_folder(tmp_path / FOLDER, seed=1).parent,))
    assert other.serving(name).sha256 != finder.serving(name).sha256


def test_files_of_two_folders_are_told_before_any_work(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "other")
    paths = {f"{FOLDER}/{part}": folder / part for part in PARTS}
    paths[f"{FOLDER}/tokenizer.json"] = tmp_path / "other" / "tokenizer.json"
    with pytest.raises(ValueError, match="lie in 2 folders"):
        ClipQualityFrames.check(paths)


def test_an_adapter_beside_the_four_files_changes_nothing(folder: Path, tmp_path: Path, frames: np.ndarray) -> None:
    peft = pytest.importorskip("peft", reason="peft, with which transformers finds adapters, is not installed")
    wanted = peft.LoraConfig(r=2, lora_alpha=64, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    peft.get_peft_model(CLIPModel.from_pretrained(folder), wanted).save_pretrained(tmp_path / "adapter")
    shutil.copytree(folder, tmp_path / "both")
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(tmp_path / "adapter" / name, tmp_path / "both" / name)
    assert ClipQuality(tmp_path / "both").score(frames[0]) == ClipQuality(folder).score(frames[0])


@pytest.mark.parametrize("place", [(), ("text_config",), ("vision_config",)])
@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_code_that_a_configuration_names_is_not_asked_for(
    folder: Path, tmp_path: Path, frames: np.ndarray, place: tuple[str, ...], key: str
) -> None:
    shutil.copytree(folder, tmp_path / "clip")
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    part = values
    for name in place:
        part = part[name]
    part[key] = "nobody/attention"  # transformers fetches such kernels and runs them
    (tmp_path / "clip" / "config.json").write_text(json.dumps(values), encoding="utf-8")
    assert ClipQuality(tmp_path / "clip").score(frames[0]) == ClipQuality(folder).score(frames[0])


def test_nothing_is_rounded_on_a_gpu(folder: Path, frames: np.ndarray) -> None:
    seen: set[bool] = set()
    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda *_: seen.add(torch.backends.cudnn.allow_tf32)
    )
    try:
        ClipQuality(folder).score(frames[0])
    finally:
        hook.remove()
    assert seen == {False}
