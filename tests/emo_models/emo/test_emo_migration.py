"""Pipelines saved by earlier versions: flat configs and old words load as today's, with the same weights and frames."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from emo_scenes import TINY, awake_model, speech_like

from emo_models.emo import migration
from emo_models.emo.architecture import PARTS
from emo_models.emo.building import build_pipeline
from emo_models.emo.migration import migrate_model_config
from emo_models.emo.model import EMOModel
from emo_models.emo.pipeline import EMOPipeline, recommended_sampling
from emo_models.emo.weights import WeightsError, load_module

SHARED = Path(__file__).parents[4] / "shared/prototypes/start"


def old_config(model: EMOModel) -> dict[str, object]:
    """A model's config as earlier versions wrote it: one flat list."""
    parts = model.architecture.to_parts()
    flat = {name: parts[part][field] for name, (part, field) in migration._MODEL_FIELDS.items()}
    std = model.architecture.extensions.residual_std
    return {
        "_class_name": "EMOModel",
        **flat,
        "zero_init": True,
        "diffused": "changes" if std else "latents",
        "change_scale": list(std),
    }


@pytest.mark.parametrize("std", [(), (0.5, 1.0, 2.0, 4.0)])
def test_a_flat_config_gives_the_same_architecture(std: tuple[float, ...]) -> None:
    model = awake_model(extensions={"residual_std": std, "first_motion": "portrait"}, reference={"variant": "concat"})
    flat = json.loads(json.dumps(old_config(model)))
    assert EMOModel.from_config(flat).architecture == model.architecture


def test_every_field_but_newer_ones_has_an_old_name() -> None:
    fields = {(part, name) for part, kind in PARTS.items() for name in kind.__dataclass_fields__}
    newer = {("extensions", "residual_std"), ("extensions", "eyelids")}
    assert fields - set(migration._MODEL_FIELDS.values()) == newer


def test_todays_config_stays_as_it_is() -> None:
    config = dict(awake_model().config)
    assert migrate_model_config(config) == config


def test_an_old_pipeline_makes_the_same_frames(tmp_path: Path) -> None:
    pipeline = build_pipeline(TINY)
    pipeline.model = awake_model()
    pipeline.facts["sampling"] = {"steps": 2, "segment_noise": "reflected"}
    pipeline.save_pretrained(tmp_path)
    for file, change in {
        "model/config.json": lambda _: old_config(pipeline.model),
        "audio_encoder/config.json": lambda values: {
            **{name: value for name, value in values.items() if name != "vtlp_factor"},
            "voice": 1.0,
        },
        "model_index.json": lambda values: {**values, "sampling": {"steps": 2, "clip_noise": "mirrored"}},
    }.items():
        values = json.loads((tmp_path / file).read_text("utf-8"))
        (tmp_path / file).write_text(json.dumps(change(values)), "utf-8")
    old = EMOPipeline.from_pretrained(tmp_path)
    assert recommended_sampling(old.facts).segment_noise == "reflected"
    portrait, audio = np.full((64, 64, 3), 90, np.uint8), speech_like(0.3)
    assert np.array_equal(old(portrait, audio).frames, pipeline(portrait, audio).frames)
    old.save_pretrained(tmp_path / "again")
    saved = json.loads((tmp_path / "again/model/config.json").read_text("utf-8"))
    assert saved["segment"] == {"fps": 25.0, "frames": 4, "motion_frames": 2, "window": 1}


def test_unknown_arguments_are_refused_with_the_nearest_name(tmp_path: Path) -> None:
    pipeline = build_pipeline(TINY)
    pipeline.save_pretrained(tmp_path)
    path = tmp_path / "model/config.json"
    saved = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**saved, "segment": {"frame": 4}}), "utf-8")
    with pytest.raises(WeightsError, match="in segment, found frame; did you mean frames"):
        load_module(EMOModel, tmp_path / "model")
    path.write_text(json.dumps({**saved, "eyes": 2}), "utf-8")
    with pytest.raises(WeightsError, match="found eyes"):
        load_module(EMOModel, tmp_path / "model")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the saved pipeline of an earlier version is not here")
def test_a_pipeline_that_was_saved_in_the_old_form_loads() -> None:
    pipeline = EMOPipeline.from_pretrained(SHARED)
    assert pipeline.model.architecture.extensions.concat_motion_frames
    assert recommended_sampling(pipeline.facts).segment_noise == "reflected"
    assert all(torch.isfinite(value).all() for value in pipeline.model.state_dict().values())
