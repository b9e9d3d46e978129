"""The portrait refiner alone, in training, and in the pipeline."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from emo_scenes import SMALL_REFINER, TINY, MovingSquares, awake_model, awake_refiner, speech_like
from torch import Tensor

from emo_models.autoencoder.small_autoencoder import to_signed
from emo_models.emo.building import build_autoencoder, build_pipeline, build_refiner
from emo_models.emo.codec import encode_images
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.extensions.portrait_refiner import PortraitRefiner, cells, warp
from emo_models.emo.pipeline import EMOPipeline, SamplingOptions
from emo_models.emo.schedulers import NoiseSchedule
from emo_models.emo.training import refiner_frames, run
from emo_models.emo.training.batches import LatentClips
from emo_models.emo.training.config import StageConfig, TrainConfig
from emo_models.emo.training.refiner_frames import GeneratedFrames, generate_clips
from emo_models.emo.training.refiner_training import (
    RefinerTraining,
    before_and_after,
    refiner_batch,
    train_refiner,
)

SETTINGS = RefinerTraining(steps=4, batch=2, clips=3, rounds=3, checkpoint_every=2, warmup=1)


def pictures(count: int, side: int = 32, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_a_fresh_one_changes_nothing() -> None:
    frames = pictures(2)
    assert torch.equal(build_refiner()(frames, pictures(1, seed=1)), frames)


def test_warp_reads_at_the_place_plus_flow_in_cells_of_four_pixels() -> None:
    picture = pictures(1)
    assert torch.allclose(warp(picture, torch.zeros(1, 2, 32, 32)), picture, atol=1e-5)
    right_and_down = torch.tensor([1.0, 0.5]).view(1, 2, 1, 1).expand(1, 2, 32, 32)
    moved = warp(picture, right_and_down)
    assert torch.allclose(moved[..., :30, :28], picture[..., 2:, 4:], atol=1e-5)
    # Beyond the edge the edge is repeated.
    assert torch.allclose(moved[..., :30, 28:], picture[..., 2:, -1:].expand(-1, -1, -1, 4), atol=1e-5)


def test_cells_are_x_then_y() -> None:
    assert cells(2, 3)[0].tolist() == [[[0, 1, 2], [0, 1, 2]], [[0, 0, 0], [1, 1, 1]]]


def test_without_a_likeness_nothing_moves() -> None:
    """Near an edge a place has more neighbours on one side, which must not pass for movement."""
    refiner = build_refiner()
    torch.nn.init.zeros_(refiner.to_q.weight)
    torch.nn.init.zeros_(refiner.to_q.bias)
    flow, _ = refiner._match(refiner.look(pictures(1)), refiner.look(pictures(1, seed=1)))
    assert flow.abs().max() < 1e-4


def test_a_frame_does_not_depend_on_its_batch() -> None:
    refiner, frames, portrait = awake_refiner(), pictures(3), pictures(1, seed=1)
    with torch.no_grad():
        together = refiner(frames, portrait)
        assert torch.allclose(refiner(frames[1:2], portrait), together[1:2], atol=1e-5)
        assert torch.allclose(refiner(frames, portrait.expand(3, -1, -1, -1)), together, atol=1e-5)
        assert not torch.allclose(refiner(frames, -portrait), together, atol=1e-3)


def test_it_learns_to_bring_detail_over() -> None:
    """Blurred frames are portraits moved by a pixel at most; their detail is known from the portrait alone."""
    torch.manual_seed(0)
    refiner = PortraitRefiner(**SMALL_REFINER).train()
    optimizer = torch.optim.AdamW(refiner.parameters(), lr=5e-3)
    draw = torch.Generator().manual_seed(0)

    def scene(count: int) -> tuple[Tensor, Tensor, Tensor]:
        wide = F.interpolate(torch.rand(count, 3, 20, 20, generator=draw) * 2 - 1, scale_factor=2)
        x, y = torch.randint(3, 6, (2, count), generator=draw).tolist()
        truth = torch.stack([p[:, b : b + 32, a : a + 32] for p, a, b in zip(wide, x, y, strict=True)])
        frames = F.interpolate(F.avg_pool2d(truth, 4), scale_factor=4, mode="bilinear")
        return frames, wide[..., 4:36, 4:36], truth

    for _ in range(120):
        frames, portraits, truth = scene(8)
        loss = (refiner(frames, portraits) - truth).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    frames, portraits, truth = scene(32)
    with torch.no_grad():
        refined = refiner(frames, portraits)
        without = refiner(frames, portraits.roll(1, 0))
    blurred = (frames - truth).abs().mean()
    assert (refined - truth).abs().mean() < 0.9 * blurred
    assert (refined - truth).abs().mean() < 0.8 * (without - truth).abs().mean()


@pytest.fixture(scope="module")
def clips() -> LatentClips:
    encoder = LogMelEncoder(fps=25.0, bands=8, steps=2)
    return LatentClips(MovingSquares(), build_autoencoder(TINY), encoder, window=1, downsample=8)


@pytest.fixture(scope="module")
def generated(clips: LatentClips, tmp_path_factory: pytest.TempPathFactory) -> list[GeneratedFrames]:
    return generate(clips, tmp_path_factory.mktemp("generated"))


def generate(clips: LatentClips, folder: Path, *, seed: int = 0, **changes: float) -> list[GeneratedFrames]:
    vae, schedule = build_autoencoder(TINY).eval(), NoiseSchedule(TINY.schedule)
    settings = SETTINGS.model_copy(update=changes)
    return generate_clips(
        awake_model(seed), vae, clips, schedule, settings, folder, report=lambda line: None, together=2
    )


def test_clips_are_drawn_where_the_real_ones_are(
    clips: LatentClips, generated: list[GeneratedFrames], tmp_path: Path
) -> None:
    assert [clip.record.id for clip in generated] == ["0", "1", "2"]
    for clip in generated:
        assert clip.frames.shape == clip.coded.shape == (12, 64, 64, 3)
        assert 2 <= clip.first <= 20 - 12
        assert not np.array_equal(clip.frames, clip.coded)
        assert len(set(clip.shares)) == 3
        assert SETTINGS.least <= clip.shares.min() <= clip.shares.max() <= SETTINGS.most
    again = generate(clips, tmp_path)
    assert all(np.array_equal(a.frames, b.frames) for a, b in zip(generated, again, strict=True))


def test_drawings_are_kept_for_the_weights_and_settings_that_made_them(
    clips: LatentClips, generated: list[GeneratedFrames], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = generate(clips, tmp_path)
    # Half of it was lost when the run was killed.
    sorted(tmp_path.glob("*/*.safetensors"))[1].unlink()
    regenerated = []
    regenerate = refiner_frames.regenerate
    monkeypatch.setattr(
        refiner_frames, "regenerate", lambda *given, **named: regenerated.append(1) or regenerate(*given, **named)
    )
    again = generate(clips, tmp_path)
    assert len(regenerated) == SETTINGS.rounds, "generated again what was kept"
    for clips_generated in (first, again):
        assert all(np.array_equal(a.frames, b.frames) for a, b in zip(generated, clips_generated, strict=True))
    for change in ({"seed": 1}, {"sampling_steps": 2}):
        other = generate(clips, tmp_path, **change)
        assert not np.array_equal(other[0].frames, first[0].frames), f"{change} was given what others had generated"


def test_drawings_of_other_clips_or_another_network_are_others(clips: LatentClips, tmp_path: Path) -> None:
    generate(clips, tmp_path)
    other = copy.copy(clips)
    inverted = replace(clips.clips[0].record, frames=255 - clips.clips[0].record.frames)
    other.clips = [replace(clips.clips[0], record=inverted), *clips.clips[1:]]
    generate(other, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    louder = copy.copy(clips)
    louder.clips = [replace(clips.clips[0], audio=tuple(2 * audio for audio in clips.clips[0].audio)), *clips.clips[1:]]
    generate(louder, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    # The same weights, used in another way.
    vae, schedule = build_autoencoder(TINY).eval(), NoiseSchedule(TINY.schedule)
    model = awake_model(extensions={"first_motion": "portrait"})
    generate_clips(model, vae, clips, schedule, SETTINGS, tmp_path, report=lambda line: None, together=2)
    assert len(list(tmp_path.iterdir())) == 4


def test_little_noise_leaves_what_the_autoencoder_gives(
    clips: LatentClips, generated: list[GeneratedFrames], tmp_path: Path
) -> None:
    """So frames and truth belong together: neither a frame late, nor another clip's."""
    close = generate(clips, tmp_path, least=0.01, most=0.02, audio_guidance=1.0)
    for near, far in zip(close, generated, strict=True):
        assert near.first == far.first
        difference = [np.abs(c.frames.astype(int) - c.coded.astype(int)).mean() for c in (near, far)]
        assert difference[0] < 0.2 * difference[1]


def test_a_batch_pairs_each_frame_with_its_truth(generated: list[GeneratedFrames]) -> None:
    settings = SETTINGS.model_copy(update={"untouched": 0.0, "trusted": 1.0})
    frames, portraits, truth, weights = refiner_batch(generated, settings, 0)
    known = [
        tuple(to_signed(torch.from_numpy(np.array(f))) for f in (clip.frames[i], clip.record.frames[clip.first + i]))
        for clip in generated
        for i in range(len(clip.frames))
    ]
    known += [(a.flip(-1), b.flip(-1)) for a, b in known]
    for frame, real in zip(frames, truth, strict=True):
        assert any(torch.equal(frame, a) and torch.equal(real, b) for a, b in known)
    assert portraits.shape == truth.shape
    assert set(weights.unique().tolist()) == {1.0, 1.0 + settings.part_weight}


def test_frames_are_chosen_by_the_weights_of_their_clips(generated: list[GeneratedFrames]) -> None:
    only_last = [replace(clip, weight=float(clip is generated[-1])) for clip in generated]
    truth = refiner_batch(only_last, SETTINGS.model_copy(update={"batch": 8}), 0)[2]
    known = to_signed(torch.from_numpy(np.array(generated[-1].record.frames)))
    known = torch.cat([known, known.flip(-1)])
    assert all(any(torch.equal(frame, real) for real in known) for frame in truth)


def test_clips_are_generated_by_their_weights(clips: LatentClips, tmp_path: Path) -> None:
    """A small set of much weight beside a large one: all clips with their weights, or heavy ones more often."""
    weighted = copy.copy(clips)
    weighted.clips = [
        replace(clip, record=replace(clip.record, weight=weight))
        for clip, weight in zip(clips.clips, (0.5, 0.5, 3.0), strict=True)
    ]
    whole = generate(weighted, tmp_path)
    assert [(clip.record.id, clip.weight) for clip in whole] == [("0", 0.5), ("1", 0.5), ("2", 3.0)]
    vae, schedule = build_autoencoder(TINY).eval(), NoiseSchedule(TINY.schedule)
    two = SETTINGS.model_copy(update={"clips": 2})
    few = generate_clips(awake_model(), vae, weighted, schedule, two, tmp_path, report=lambda line: None)
    assert [(clip.record.id, clip.weight) for clip in few] == [("1", 1.0), ("2", 1.0)]
    assert refiner_frames.spread([1.0] * 10 + [10.0], 4) == [2, 7, 10, 10]
    assert [clip.weight for clip in generate(clips, tmp_path)] == [1.0] * 3


def test_eyes_and_mouths_generated_from_much_noise_are_left_out(generated: list[GeneratedFrames]) -> None:
    mostly_noise = SETTINGS.model_copy(update={"untouched": 0.0, "trusted": 0.0})
    for step in range(5):
        weights = refiner_batch(generated, mostly_noise, step)[3]
        trusted = refiner_batch(generated, mostly_noise.model_copy(update={"trusted": 1.0}), step)[3]
        assert torch.equal(weights == 0, trusted > 1)
        assert torch.equal(weights == 1, trusted == 1)
    # What only went through the autoencoder is the truth itself.
    assert (
        refiner_batch(generated, mostly_noise.model_copy(update={"untouched": 1.0}), 0)[3].max()
        == 1 + SETTINGS.part_weight
    )


def test_training_stopped_and_resumed_gives_the_same_weights(generated: list[GeneratedFrames], tmp_path: Path) -> None:
    def train(folder: Path, *steps: int) -> dict[str, Tensor]:
        for last in steps:
            # The rate falls towards the last step, so a stop is a shorter run only in its loop.
            settings = SETTINGS.model_copy(update={"steps": 4})
            model = awake_refiner()
            if last < 4:
                with pytest.raises(KeyboardInterrupt):
                    train_refiner(
                        model, settings, StopAfter(generated, 2 * settings.batch), folder, report=lambda line: None
                    )
            else:
                trained = train_refiner(model, settings, generated, folder, report=lambda line: None)
        return trained.state_dict()

    whole, resumed = train(tmp_path / "whole", 4), train(tmp_path / "resumed", 2, 4)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


class StopAfter(list):  # type: ignore[type-arg]
    """Generated clips whose reader is interrupted after some reads."""

    def __init__(self, clips: list[GeneratedFrames], reads: int) -> None:
        super().__init__(clips)
        self.reads = reads

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if not self.reads:
            raise KeyboardInterrupt
        self.reads -= 1
        return super().__getitem__(index)


def test_pictures_of_before_and_after(generated: list[GeneratedFrames]) -> None:
    pairs = before_and_after(awake_refiner(), generated, clips=2, frames=3)
    assert [(before.shape, after.shape) for before, after in pairs] == [((3, 64, 64, 3),) * 2] * 2
    assert not np.array_equal(*pairs[0])


@pytest.fixture
def pipeline() -> EMOPipeline:
    made = build_pipeline(TINY)
    made.refiner = awake_refiner()
    return made


def portrait() -> np.ndarray:
    return MovingSquares()[0].frames[0]


def test_a_pipeline_refines_and_goes_on_from_refined_frames(
    pipeline: EMOPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: list[Tensor | None] = []
    prepare = pipeline.model.prepare

    def watched(**inputs: Tensor | None) -> object:
        before.append(inputs["motion"])
        return prepare(**inputs)

    monkeypatch.setattr(pipeline.model, "prepare", watched)
    options = SamplingOptions(steps=2)
    pieces = list(pipeline.animate(portrait(), speech_like(0.3), 16_000, options=options))
    with torch.no_grad():
        expected = encode_images(pipeline.vae, to_signed(torch.from_numpy(pieces[0][-2:])))
    assert torch.equal(before[1], expected[None])
    pipeline.refiner = None
    plain = next(iter(pipeline.animate(portrait(), speech_like(0.3), 16_000, options=options)))
    assert not np.array_equal(plain, pieces[0])


def test_it_is_saved_and_loaded_with_the_pipeline(pipeline: EMOPipeline, tmp_path: Path) -> None:
    made = pipeline(portrait(), speech_like(0.1), steps=2).frames
    pipeline.save_pretrained(tmp_path / "with")
    assert np.array_equal(
        EMOPipeline.from_pretrained(tmp_path / "with")(portrait(), speech_like(0.1), steps=2).frames, made
    )
    pipeline.refiner = None
    pipeline.save_pretrained(tmp_path / "without")
    assert EMOPipeline.from_pretrained(tmp_path / "without").refiner is None
    assert not (tmp_path / "without" / "refiner").exists()


def test_training_goes_on_from_the_one_it_starts_from(pipeline: EMOPipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path / "start")
    image = StageConfig(name="image", steps=1, clips=1, frames=2, reference_margin=0)

    def refined(lr: float) -> dict[str, Tensor]:
        settings = SETTINGS.model_copy(update={"rounds": 1, "lr": lr})
        plan = TrainConfig(preset="tiny", stages=(image,), reader_steps=0, refiner=settings,
                           start_from=str(tmp_path / "start"))  # fmt: skip
        made = EMOPipeline.from_pretrained(run(plan, MovingSquares(), tmp_path / f"out-{lr}"))
        assert made.refiner is not None
        return made.refiner.state_dict()

    known = pipeline.refiner.state_dict()
    still, moved = refined(0.0), refined(1e-2)
    assert all(torch.equal(value, known[name]) for name, value in still.items())
    assert any(not torch.equal(value, known[name]) for name, value in moved.items())
