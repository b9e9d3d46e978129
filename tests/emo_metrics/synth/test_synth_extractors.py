"""The shipped networks on people and voices that they have never seen; the truth is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from importlib import import_module

import numpy as np
import pytest

from emo_metrics.contract import ClipFeatures, Family, Unscored
from emo_metrics.extractors.synth_face import FaceSynth, IdentitySynth
from emo_metrics.extractors.synth_frames import AppearanceSynth, VideoSynth
from emo_metrics.extractors.synth_sync import MAX_LAG, SyncSynth
from emo_metrics.metrics.synth_clips import TRUTH, FSimSynth, HeadVelocitySynth, MouthAudioSynth, MouthTruth
from emo_metrics.metrics.synth_lip_sync import SyncOnSynth
from emo_metrics.metrics.synth_sets import EFidSynth, FidSynth, FvdSynth
from emo_metrics.registered import EXTRACTORS, METRICS

Extract = Callable[..., ClipFeatures]


@pytest.fixture(scope="module")
def face() -> FaceSynth:
    return FaceSynth({})


@pytest.fixture(scope="module")
def faces(clips: list, extract: Extract, face: FaceSynth) -> list[ClipFeatures]:
    return [extract([face], clip) for clip in clips]


def _load(target: str) -> type:
    module, _, name = target.partition(":")
    loaded: type = getattr(import_module(module), name)
    return loaded


def test_the_synth_family_reads_only_networks_that_ship_with_it() -> None:
    for name in (name for name in METRICS if "/synth@" in name):
        spec = _load(METRICS[name]).spec
        assert spec.family is Family.SYNTH
        assert all("/synth@" in extractor or extractor == "audio/loudness-pitch@1" for extractor in spec.extractors)
    for name in (name for name in EXTRACTORS if "/synth@" in name):
        kind = _load(EXTRACTORS[name])
        assert kind.weights == ()
        assert all(len(digest) == 64 for digest in kind.shipped.values())


def test_landmarks_pose_and_mouth_agree_with_the_truth(clips: list, faces: list[ClipFeatures]) -> None:
    for clip, features in zip(clips, faces, strict=True):
        arrays = features.arrays["face/synth@1"]
        assert np.asarray(arrays["found"]).all()
        true = clip.truth["landmarks68"]
        scale = np.linalg.norm(true[:, 36] - true[:, 45], axis=1)
        error = np.linalg.norm(np.asarray(arrays["points68"]) - true, axis=2).mean(axis=1) / scale
        assert error.mean() < 0.2
        assert np.abs(np.asarray(arrays["pose"]) - clip.truth["pose"][:, :3]).mean() < 5.0
    seen = np.concatenate([np.asarray(f.arrays["face/synth@1"]["mouth"])[:, 0] for f in faces])
    true_mouth = np.concatenate([clip.truth["mouth_opening"] for clip in clips])
    assert np.corrcoef(seen, true_mouth)[0, 1] > 0.85


def test_the_way_frames_arrive_changes_nothing(clips: list, extract: Extract, face: FaceSynth) -> None:
    clip = clips[0]
    kinds = [face, IdentitySynth({}), AppearanceSynth({}), VideoSynth({}), SyncSynth({})]
    a, b = extract(kinds, clip, piece=32), extract(kinds, clip, piece=7)
    for name, arrays in a.arrays.items():
        for key, array in arrays.items():
            np.testing.assert_allclose(array, b.arrays[name][key], atol=2e-4, err_msg=f"{name} {key}")


def test_larger_frames_give_the_same_landmarks_in_their_own_pixels(
    clips: list, extract: Extract, face: FaceSynth, faces: list[ClipFeatures]
) -> None:
    large = clips[1].frames[:8].repeat(2, axis=1).repeat(2, axis=2)
    points = np.asarray(extract([face], clips[1], frames=large).arrays["face/synth@1"]["points68"])
    expected = 2 * np.asarray(faces[1].arrays["face/synth@1"]["points68"])[:8]
    assert np.abs(points - expected).mean() < 1.0


@pytest.mark.parametrize(
    "kind",
    [
        "black",
        "colour",
        pytest.param("noise", marks=pytest.mark.xfail(reason="the shipped locator takes pure noise for a face")),
    ],
)
def test_no_face_is_said_plainly(clips: list, extract: Extract, face: FaceSynth, kind: str) -> None:
    shape = (30, 128, 128, 3)
    frames = {
        "black": np.zeros(shape, np.uint8),
        "noise": np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8),
        "colour": np.full(shape, (30, 120, 60), np.uint8),
    }[kind]
    features = extract([face], clips[0], frames=frames)
    assert not np.asarray(features.arrays["face/synth@1"]["found"]).any()
    with pytest.raises(Unscored, match="no_face"):
        HeadVelocitySynth().score_clip(features, None)


def test_f_sim_tells_people_apart(clips: list, extract: Extract, face: FaceSynth) -> None:
    kinds = [face, IdentitySynth({})]
    own = FSimSynth().score_clip(extract(kinds, clips[0]), None)["f-sim"]
    other = FSimSynth().score_clip(extract(kinds, clips[0], reference=clips[1].frames[0]), None)["f-sim"]
    assert own > 70
    assert own > other + 30


def test_mouth_against_truth_orders_right_wrong_and_frozen(
    clips: list, extract: Extract, face: FaceSynth, faces: list[ClipFeatures]
) -> None:
    def with_truth(index: int) -> ClipFeatures:
        return ClipFeatures(
            clip_id="c",
            identity="p",
            fps=faces[index].fps,
            n_frames=faces[index].n_frames,
            arrays={**faces[index].arrays, TRUTH: clips[index].truth},
        )

    right = MouthTruth().score_clip(faces[0], with_truth(0))["mouth-truth"]
    wrong = MouthTruth().score_clip(faces[1], with_truth(0))["mouth-truth"]
    still = extract([face], clips[0], frames=clips[0].frames[:1].repeat(50, axis=0))
    frozen = MouthTruth().score_clip(still, with_truth(0))
    assert right > 0.7
    assert wrong < 0.5
    assert abs(frozen["mouth-truth"]) < 1e-6
    assert np.isnan(frozen["mouth-truth-r"])
    with pytest.raises(Unscored, match="no truth"):
        MouthTruth().score_clip(faces[0], faces[0])
    # Row i of the truth is at i / 25 s: at another rate it would be compared with another moment.
    faster = replace(faces[0], fps=Fraction(30))
    with pytest.raises(Unscored, match=r"not_applicable.* 25 frames a second"):
        MouthTruth().score_clip(faster, with_truth(0))


@pytest.mark.parametrize("shift", [-4, 0, 5])
def test_sync_finds_the_shift_of_the_sound(clips: list, extract: Extract, face: FaceSynth, shift: int) -> None:
    from emo_core.delay import delayed
    from hdtf_synth.recordings import FRAME_SAMPLES

    found = []
    for clip in clips:
        moved = delayed(np.rint(clip.audio * 32768).astype(np.int16), shift * FRAME_SAMPLES).astype(np.float32) / 32768
        features = extract([face, SyncSynth({})], clip, audio=moved)
        found.append(SyncOnSynth().score_clip(features, None)["offset"])
    # A sound that comes late has a negative offset; one of four clips may be misjudged.
    assert np.sum(np.abs(np.array(found) + shift) <= 1) >= 3


def test_mouths_after_the_end_of_the_sound_are_not_compared(clips: list, extract: Extract, face: FaceSynth) -> None:
    clip = clips[0]

    def in_step(audio: np.ndarray) -> np.ndarray:
        arrays = extract([face, SyncSynth({})], clip, audio=audio).arrays["sync/synth@1"]
        return np.asarray(arrays["distances"][:, MAX_LAG])

    whole, cut, nearly = in_step(clip.audio), in_step(clip.audio[: -10 * 640]), in_step(clip.audio[:-300])
    assert np.isnan(cut[-10:]).all()
    np.testing.assert_allclose(cut[:-10], whole[:-10], atol=0.1)
    assert np.isfinite(nearly).all()
    with pytest.raises(AssertionError, match="too_short"):
        in_step(clip.audio[:640])


def test_head_velocity_follows_the_true_head(clips: list, faces: list[ClipFeatures]) -> None:
    for clip, features in zip(clips, faces, strict=True):
        steps = np.linalg.norm(np.diff(clip.truth["pose"][:, :3], axis=0), axis=1).mean()
        seen = HeadVelocitySynth().score_clip(features, None)["velocity"]
        assert 0.5 * steps < seen < 2.5 * steps


def test_distances_rise_with_damage(clips: list, extract: Extract, face: FaceSynth) -> None:
    import torch

    from emo_bench.train.distortions import blurred

    def soft(frames: np.ndarray, sigma: float) -> np.ndarray:
        x = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
        return np.ascontiguousarray((blurred(x, sigma) * 255).round().byte().permute(0, 2, 3, 1).numpy())

    kinds = [face, AppearanceSynth({}), VideoSynth({})]
    fid, fvd, e_fid = FidSynth(), FvdSynth(), EFidSynth()
    plain = [extract(kinds, clip) for clip in clips]
    mild = [extract(kinds, clip, frames=soft(clip.frames, 0.6)) for clip in clips]
    strong = [extract(kinds, clip, frames=soft(clip.frames, 2.0)) for clip in clips]
    order = np.random.default_rng(0).permutation(50)
    shuffled = [extract(kinds, clip, frames=clip.frames[order]) for clip in clips]
    still = [extract(kinds, clip, frames=clip.frames[:1].repeat(50, axis=0)) for clip in clips]

    def distance(metric: FidSynth | FvdSynth | EFidSynth, items: list[ClipFeatures]) -> float:
        return float(
            next(iter(metric.compute([metric.samples(i) for i in items], [metric.samples(i) for i in plain]).values()))
        )

    assert distance(fid, plain) == 0.0
    assert 0 < distance(fid, mild) < distance(fid, strong)
    assert distance(fvd, shuffled) > distance(fvd, mild) > 0
    assert distance(fvd, still) > distance(fvd, mild)
    assert distance(e_fid, still) > distance(e_fid, mild)


def test_mouth_audio_reads_the_synth_landmarks(clips: list, extract: Extract, face: FaceSynth) -> None:
    from emo_metrics.extractors.loudness_pitch import LoudnessAndPitch

    values = [MouthAudioSynth().score_clip(extract([face, LoudnessAndPitch({})], clip), None) for clip in clips]
    assert np.mean([value["mouth-audio"] for value in values]) > 0.2


def test_changed_weights_are_refused() -> None:
    import emo_metrics.synth.shipped as shipped
    from emo_metrics.synth.video_network import VideoNetwork

    other = {"video.safetensors": "0" * 64}
    with pytest.raises(ValueError, match="expected SHA-256"):
        shipped.load_shipped(VideoNetwork(), "video.safetensors", part="video.", pins=other)
    with pytest.raises(ValueError, match="missing"):
        shipped.load_shipped(VideoNetwork(), "other.safetensors")
