"""EMO as a system of a suite: length, frame rate, seeds, regions, and weights that are part of its digest."""

from __future__ import annotations

import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from emo_bench.media.types import Audio
from emo_bench.systems.emo import Emo, EmoOptions, sampling_options
from emo_bench.systems.system import GenerationRequest, SystemContext
from emo_core.errors import ConfigError, GenerationError, WeightsError


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny EMO whose Face Locator and audio layers have been woken, so that regions and sounds matter."""
    import torch

    from emo_models.emo.building import build_pipeline, preset_named

    folder = tmp_path_factory.mktemp("weights") / "tiny"
    pipeline = build_pipeline(preset_named("tiny"))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in pipeline.model.parameters():
            if not parameter.any():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    pipeline.facts["sampling"] = {"steps": 2, "segment_noise": "reflected", "audio_guidance": 1.5}
    pipeline.save_pretrained(folder)
    return folder


def request(**changes: Any) -> GenerationRequest:
    random = np.random.default_rng(0)
    given = GenerationRequest(
        clip_id="one",
        reference_image=random.integers(0, 256, (64, 64, 3), dtype=np.uint8),
        audio=Audio(random.uniform(-0.3, 0.3, 11 * 640).astype(np.float32), 16000),
        fps=Fraction(25),
        n_frames=11,
        width=64,
        height=64,
        seed=3,
        face_box=(16.0, 10.0, 50.0, 50.0),
    )
    return replace(given, **changes)


def loaded(weights: Path, **options: Any) -> Emo:
    built = Emo(EmoOptions(weights=weights.name, **options))
    built.load(SystemContext(base=weights.parent))
    return built


def frames(system: Emo, **changes: Any) -> np.ndarray:
    return system.generate(request(**changes)).video.read_all()


def test_a_clip_depends_on_its_seed_only(weights: Path) -> None:
    first, second = loaded(weights), loaded(weights)
    frames(second, seed=9)  # whatever was made before
    assert np.array_equal(frames(first), frames(second))
    made = first.generate(request())
    assert np.array_equal(made.video.read_all(), made.video.read_all())
    assert not np.array_equal(frames(first), frames(first, seed=4))


def test_other_frame_rates_show_the_same_moments(weights: Path) -> None:
    system = loaded(weights)
    own = frames(system)
    fifty = system.generate(request(fps=Fraction(50), n_frames=22))
    assert np.array_equal(fifty.video.read_all(), own.repeat(2, axis=0))
    assert not system.generate(request()).notes
    twelve = frames(system, fps=Fraction(25, 2), n_frames=6)
    assert np.array_equal(twelve, own[::2])


def test_the_sound_and_the_region_matter(weights: Path) -> None:
    free, bound = loaded(weights), loaded(weights, face_region="dataset")
    silent = Audio(np.zeros(11 * 640, np.float32), 16000)
    assert not np.array_equal(frames(free), frames(free, audio=silent))
    assert not np.array_equal(frames(free), frames(bound))
    assert np.array_equal(frames(free), frames(bound, face_box=None))


def test_what_cannot_be_animated_is_a_status(weights: Path) -> None:
    system = loaded(weights)
    broken = Audio(np.full(11 * 640, np.nan, np.float32), 16000)
    with pytest.raises(GenerationError, match="finite samples"):
        frames(system, audio=broken)
    with pytest.raises(GenerationError, match="at least 16 pixels"):
        frames(system, reference_image=np.zeros((8, 8, 3), np.uint8))


def test_the_weights_are_part_of_what_is_hashed(weights: Path, tmp_path: Path) -> None:
    built = Emo(EmoOptions(weights=weights.name))
    before = built.dependencies(SystemContext(base=weights.parent))
    copy = tmp_path / weights.name
    for path in weights.rglob("*"):
        if path.is_file():
            (copy / path.relative_to(weights)).parent.mkdir(parents=True, exist_ok=True)
            (copy / path.relative_to(weights)).write_bytes(path.read_bytes())
    assert built.dependencies(SystemContext(base=tmp_path)) == before
    index = copy / "model_index.json"
    index.write_text(index.read_text("utf-8").replace('"steps": 2', '"steps": 3'), "utf-8")
    assert built.dependencies(SystemContext(base=tmp_path)) != before
    with pytest.raises(WeightsError, match="no EMO weights"):
        built.dependencies(SystemContext(base=tmp_path / "nowhere"))


def test_a_part_that_is_a_link_to_a_folder_is_hashed_too(weights: Path, tmp_path: Path) -> None:
    built = Emo(EmoOptions(weights=weights.name))
    before = built.dependencies(SystemContext(base=weights.parent))
    copy = shutil.copytree(weights, tmp_path / weights.name)
    elsewhere = shutil.move(copy / "audio_encoder", tmp_path / "elsewhere")
    (copy / "audio_encoder").symlink_to(elsewhere, target_is_directory=True)
    (copy / "model" / "circle").symlink_to(copy, target_is_directory=True)
    assert built.dependencies(SystemContext(base=tmp_path)) == before
    config = tmp_path / "elsewhere" / "config.json"
    config.write_text(config.read_text("utf-8") + " ", "utf-8")
    assert built.dependencies(SystemContext(base=tmp_path)) != before


def test_weights_that_cannot_blink_are_refused_before_any_clip(weights: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be asked to blink"):
        loaded(weights, blinks=17.0)
    assert frames(loaded(weights, blinks=0.0)).shape == (11, 64, 64, 3)


def test_options_left_open_come_from_the_weights() -> None:
    facts = {"sampling": {"steps": 8, "sampler": "dpmsolver++", "audio_guidance": 2.0, "segment_noise": "reflected"}}
    said = sampling_options(EmoOptions(), facts)
    assert (said.steps, said.sampler, said.guidance.audio, said.segment_noise) == (8, "dpmsolver++", 2.0, "reflected")
    asked = sampling_options(EmoOptions(steps=40, sampler="ddim", audio_guidance=1.0, speed=0.7), facts)
    assert (asked.steps, asked.sampler, asked.guidance.audio, asked.speed) == (40, "ddim", 1.0, 0.7)
    facts["sampling"]["guidance_interval"] = [0.4, 0.8]
    assert sampling_options(EmoOptions(audio_guidance=3.0), facts).guidance.interval == (0.4, 0.8)
    everywhere = EmoOptions.model_validate({"guidance_interval": [0, 1]})
    assert sampling_options(everywhere, facts).guidance.interval == (0.0, 1.0)
    facts["sampling"]["blinks"] = 17.0
    assert sampling_options(EmoOptions(), facts).blinks == 17.0
    assert sampling_options(EmoOptions(blinks=0.0), facts).blinks == 0.0
    plain = sampling_options(EmoOptions(), {})
    assert (plain.steps, plain.sampler, plain.guidance.audio, plain.segment_noise) == (40, "ddim", 1.0, "independent")


@pytest.mark.parametrize("interval", [[0.8, 0.4], [0.0, 1.5], [0.5]])
def test_an_interval_that_is_none_is_refused(interval: list[float]) -> None:
    with pytest.raises(ValidationError, match="guidance_interval"):
        EmoOptions.model_validate({"guidance_interval": interval})
