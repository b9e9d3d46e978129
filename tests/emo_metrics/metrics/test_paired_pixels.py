from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from emo_metrics.contract import ClipFeatures, ClipInputs, Piece, Unscored
from emo_metrics.extractors.flicker_pixels import FLICKER, FlickerPixels, small_luma
from emo_metrics.extractors.paired_pixels import PAIRED, PairedPixels, _similarity_sum, psnr, ssim
from emo_metrics.faces.gaps import FACE
from emo_metrics.metrics.flicker import Flicker
from emo_metrics.metrics.lmd import LmdInterocular, LmdPixels
from emo_metrics.metrics.psnr_ssim import Psnr, Ssim


def images(seed, *, shape=(40, 53, 3), noise=25.0):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 256, shape, dtype=np.uint8)
    second = np.clip(first + rng.normal(0, noise, shape), 0, 255).astype(np.uint8)
    return first, second


def through(extractor, frames, truth=None, *, piece=32):
    clip = ClipInputs(
        clip_id="c",
        fps=Fraction(25),
        n_frames=len(frames),
        height=frames.shape[1],
        width=frames.shape[2],
        reference_image=frames[0],
    )
    running = extractor.begin(clip)
    rows = []
    for start in range(0, len(frames), piece):
        part = slice(start, start + piece)
        rows.append(
            running.update(Piece(frames=frames[part], start=start, ground_truth=None if truth is None else truth[part]))
        )
    arrays = {key: np.concatenate([row[key] for row in rows]) for key in rows[0]} | dict(running.finish())
    return ClipFeatures(
        clip_id="c", identity="i", fps=Fraction(25), n_frames=len(frames), arrays={extractor.name: arrays}
    )


@pytest.mark.slow  # the import alone takes longer than all other tests here
@pytest.mark.reference
@pytest.mark.parametrize("seed", range(3))
def test_both_equal_torchmetrics(seed):
    import torch
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    first, second = images(seed, noise=(2.0, 25.0, 90.0)[seed])
    x, y = (torch.from_numpy(image).permute(2, 0, 1)[None].double() for image in (first, second))
    assert ssim(first, second) == pytest.approx(
        structural_similarity_index_measure(x, y, data_range=255.0).item(), abs=1e-10
    )
    assert psnr(first, second) == pytest.approx(peak_signal_noise_ratio(x, y, data_range=255.0).item(), abs=5e-6)


def test_ssim_by_its_definition():
    first, second = images(4, shape=(13, 16, 3))
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()

    def neighbourhoods(image):
        padded = np.pad(image.astype(np.float64), ((5, 5), (5, 5), (0, 0)), mode="reflect")
        return np.lib.stride_tricks.sliding_window_view(padded, (11, 11), axis=(0, 1))

    def mean(values):
        return (values * window).sum(axis=(-2, -1))

    x, y = neighbourhoods(first), neighbourhoods(second)
    mx, my = mean(x), mean(y)
    dx, dy = x - mx[..., None, None], y - my[..., None, None]
    c1, c2 = 2.55**2, 7.65**2
    structure = (2 * mean(dx * dy) + c2) / (mean(dx * dx) + mean(dy * dy) + c2)
    expected = ((2 * mx * my + c1) / (mx**2 + my**2 + c1) * structure).mean()
    assert ssim(first, second) == pytest.approx(expected, rel=1e-10)


def test_known_values():
    first, _ = images(0)
    assert ssim(first, first) == pytest.approx(1.0, abs=1e-12)
    assert psnr(first, first) == 100.0
    grey = np.full((20, 20, 3), 100, dtype=np.uint8)
    assert psnr(grey, grey + 10) == pytest.approx(20 * np.log10(25.5))
    c1 = 2.55**2
    assert ssim(grey, grey + 10) == pytest.approx((2 * 100 * 110 + c1) / (100**2 + 110**2 + c1))
    assert ssim(*images(1)) == pytest.approx(ssim(*images(1)[::-1]))
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(first[:10], first[:10])


def test_rows_do_not_depend_on_the_length_of_the_pieces():
    frames = np.random.default_rng(0).integers(0, 256, (9, 24, 30, 3), dtype=np.uint8)
    truth = np.roll(frames, 1, axis=0)
    for extractor in (PairedPixels({}), FlickerPixels({})):
        whole = through(extractor, frames, truth).arrays[extractor.name]
        for piece in (1, 7):
            other = through(extractor, frames, truth, piece=piece).arrays[extractor.name]
            for key in whole:
                np.testing.assert_array_equal(whole[key], other[key])


def test_the_value_of_a_clip_is_the_mean_over_frames():
    frames = np.random.default_rng(0).integers(0, 256, (3, 24, 30, 3), dtype=np.uint8)
    truth = frames.copy()
    truth[1] = 255 - truth[1]
    features = through(PairedPixels({}), frames, truth)
    assert Psnr().score_clip(features, None)["psnr"] == pytest.approx((200 + psnr(frames[1], truth[1])) / 3)
    assert Ssim().score_clip(features, None)["ssim"] == pytest.approx((2 + ssim(frames[1], truth[1])) / 3)


def test_missing_counterparts_have_a_status():
    frames = np.zeros((10, 24, 30, 3), dtype=np.uint8)
    with pytest.raises(Unscored, match="not_applicable"):
        Psnr().score_clip(through(PairedPixels({}), frames), None)
    with pytest.raises(Unscored, match="8 of 10"):
        Psnr().score_clip(through(PairedPixels({}), frames, frames[:8]), None)
    with pytest.raises(Unscored, match="30 x 24"):
        through(PairedPixels({}), frames, np.zeros((10, 12, 15, 3), dtype=np.uint8))


def test_flicker_counts_one_flashed_frame_and_not_a_fade():
    fade = np.repeat(np.arange(10, 60, 5, dtype=np.uint8), 20 * 20 * 3).reshape(10, 20, 20, 3)
    assert Flicker().score_clip(through(FlickerPixels({}), fade), None) == {"flicker": 0.0, "flicker-whole": 0.0}
    flash = np.full((10, 20, 20, 3), 50, dtype=np.uint8)
    flash[4] = 82
    values = Flicker().score_clip(through(FlickerPixels({}), flash), None)
    # the flash itself leaves its neighbours' span by 32, in one of the eight rows
    assert values["flicker"] == pytest.approx(32 / 8, abs=1e-4)
    checkers = np.full((10, 20, 20, 3), 50, dtype=np.uint8)
    checkers[4, :10] = 60
    checkers[4, 10:] = 40
    values = Flicker().score_clip(through(FlickerPixels({}), checkers), None)
    assert values["flicker"] == pytest.approx(10 / 8, abs=1e-4)
    assert values["flicker-whole"] == pytest.approx(0.0, abs=1e-4)
    with pytest.raises(Unscored, match="too_short"):
        Flicker().score_clip(through(FlickerPixels({}), flash[:2]), None)


def test_luma_is_averaged_down_to_128():
    assert small_luma(np.zeros((512, 256, 3), dtype=np.uint8)).shape == (128, 64)
    assert small_luma(np.zeros((60, 100, 3), dtype=np.uint8)).shape == (60, 100)
    red = np.zeros((300, 300, 3), dtype=np.uint8)
    red[..., 0] = 255
    assert small_luma(red).mean() == pytest.approx(0.299 * 255, abs=1e-4)


def face_clip(points, *, size=(512, 512), found=None):
    points = np.asarray(points, dtype=np.float32)
    found = np.ones(len(points), dtype=bool) if found is None else found
    arrays = {FACE: {"points68": points, "found": found, "frame_size": np.array([size])}}
    return ClipFeatures(clip_id="c", identity="i", fps=Fraction(25), n_frames=len(points), arrays=arrays)


@pytest.fixture
def points():
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.uniform(100, 300, (1, 68, 2)), 10, axis=0)
    rows[:, 36], rows[:, 45] = (100, 150), (200, 150)
    return rows


def test_lmd_of_a_moved_face_is_zero_and_of_a_wider_mouth_known(points):
    truth = face_clip(points)
    assert LmdPixels().score_clip(face_clip(points + np.array([7, -3])), truth)["m-lmd"] == pytest.approx(0.0, abs=1e-4)
    mouth = points[:, 48:68] - points[:, 48:68].mean(axis=1, keepdims=True)
    wider = points.copy()
    wider[:, 48:68] += 0.1 * mouth
    expected = 0.1 * np.linalg.norm(mouth, axis=2).mean()
    assert LmdPixels().score_clip(face_clip(wider), truth)["m-lmd"] == pytest.approx(expected, rel=1e-4)
    assert LmdInterocular().score_clip(face_clip(wider), truth)["m-lmd"] == pytest.approx(expected / 100, rel=1e-4)


def test_lmd_in_eye_distances_does_not_depend_on_the_resolution(points):
    rng = np.random.default_rng(1)
    other = points + rng.normal(0, 2, points.shape)
    normal = LmdInterocular().score_clip(face_clip(other), face_clip(points))
    half = LmdInterocular().score_clip(face_clip(other / 2, size=(256, 256)), face_clip(points))
    assert half["m-lmd"] == pytest.approx(normal["m-lmd"], rel=1e-4)
    assert half["f-lmd"] == pytest.approx(normal["f-lmd"], rel=1e-4)
    with pytest.raises(Unscored, match="equal sizes"):
        LmdPixels().score_clip(face_clip(other / 2, size=(256, 256)), face_clip(points))


def test_lmd_leaves_out_frames_without_a_face_on_either_side(points):
    spoiled = points.copy()
    spoiled[3] = np.nan
    found = np.arange(10) != 3
    truth = face_clip(points)
    assert LmdPixels().score_clip(face_clip(spoiled, found=found), truth)["f-lmd"] == 0.0


def test_lmd_needs_pairs(points):
    with pytest.raises(Unscored, match="not_applicable"):
        LmdPixels().score_clip(face_clip(points), None)
    with pytest.raises(Unscored, match=r"10 frames.*7"):
        LmdInterocular().score_clip(face_clip(points), face_clip(points[:7]))
    assert LmdPixels().score_clip(face_clip(points), face_clip(points[:8]))["m-lmd"] == 0.0


def test_names():
    assert PairedPixels.name == PAIRED
    assert FlickerPixels.name == FLICKER


@pytest.mark.parametrize("seed", range(5))
def test_equal_frames_give_one_to_the_bit_with_and_without_the_shortcut(seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (42, 37, 3), dtype=np.uint8)
    assert ssim(frame, frame) == 1.0
    inner = frame.size - 10 * 37 * 3
    assert _similarity_sum(frame.astype(np.float64), frame.astype(np.float64)) == inner
