"""SyncNet, S3FD, MFCC and the tracker against syncnet-python and python_speech_features, with the same weights."""

from __future__ import annotations

from copy import deepcopy
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from emo_metrics.contract import ClipFeatures, ClipInputs, Piece
from emo_metrics.extractors.sync_windows import DETECTOR, SYNCNET, SyncNetShort, embed_sound, to_int16
from emo_metrics.faces.tracks import FaceTracker
from emo_metrics.metrics.lip_sync import SyncShort
from emo_metrics.networks.s3fd import detect_faces, load_s3fd
from emo_metrics.networks.syncnet import load_syncnet
from emo_metrics.signals.mfcc import mfcc
from emo_metrics.signals.sync_curve import lag_distances

pytestmark = pytest.mark.reference
CLIPS = Path(__file__).resolve().parents[3] / ".." / "shared" / "assets" / "clips"


def _signal(seconds: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(int(16000 * seconds)) / 16000
    voice = sum(np.sin(2 * np.pi * f * t * (1 + 0.02 * np.sin(7 * t))) / f for f in (140, 280, 900))
    return (voice * 600000 * (0.5 + 0.5 * np.sin(9 * t)) + rng.normal(scale=200, size=t.size)).astype(np.int16)


@pytest.mark.parametrize("samples", [1, 399, 400, 401, 560, 16000, 16123])
def test_mfcc_equals_python_speech_features(samples: int) -> None:
    reference = pytest.importorskip("python_speech_features")
    signal = _signal(1.1, 0)[:samples]
    np.testing.assert_allclose(mfcc(signal), reference.mfcc(signal, 16000), rtol=0, atol=1e-6)


def test_mfcc_of_silence_and_of_full_scale() -> None:
    reference = pytest.importorskip("python_speech_features")
    for signal in (np.zeros(3200, dtype=np.int16), np.full(3200, -32768, dtype=np.int16)):
        np.testing.assert_allclose(mfcc(signal), reference.mfcc(signal, 16000), rtol=0, atol=1e-6)


@pytest.mark.slow
@torch.inference_mode()
def test_embeddings_equal_syncnet_python(sync_files: dict[str, Path]) -> None:
    model = pytest.importorskip("syncnet_python.SyncNetModel")
    theirs = model.S()
    theirs.load_state_dict(torch.load(sync_files[SYNCNET]))
    # In float64, because sums in another order round differently on another kind of processor.
    theirs.eval().double()
    # A copy: loaded networks are kept and shared, and the other tests here want theirs in float32.
    ours = deepcopy(load_syncnet(sync_files[SYNCNET], "cpu")).double()
    frames = torch.randint(0, 256, (7, 3, 224, 224), generator=torch.Generator().manual_seed(0)).double()
    windows = torch.stack([frames[i : i + 5].transpose(0, 1) for i in range(3)])
    np.testing.assert_allclose(ours.mouth(frames), theirs.forward_lip(windows), rtol=1e-4, atol=1e-4)
    cepstra = torch.randn(3, 1, 13, 20, generator=torch.Generator().manual_seed(1)).double() * 10
    np.testing.assert_allclose(ours.sound(cepstra), theirs.forward_aud(cepstra), rtol=1e-4, atol=1e-4)


def test_distances_equal_syncnet_python() -> None:
    module = pytest.importorskip("syncnet_python.SyncNetInstance")
    rng = np.random.default_rng(0)
    mouth, sound = (rng.normal(size=(40, 64)).astype(np.float32) for _ in range(2))
    theirs = torch.stack(module.calc_pdist(torch.from_numpy(mouth), torch.from_numpy(sound), vshift=15)).numpy()
    np.testing.assert_allclose(lag_distances(mouth, sound), theirs, rtol=1e-5)


@pytest.mark.slow
def test_faces_equal_syncnet_python(sync_files: dict[str, Path], frames: np.ndarray) -> None:
    package = pytest.importorskip("syncnet_python.detectors.s3fd")
    network = package.S3FDNet(device="cpu")
    network.load_state_dict(torch.load(sync_files[DETECTOR]))
    detector = package.S3FD(net=network.eval(), device="cpu")
    ours = detect_faces(load_s3fd(sync_files[DETECTOR], "cpu"), frames[:2], "cpu")
    for frame, found in zip(frames, ours, strict=False):
        theirs = detector.detect_faces(frame, conf_th=0.9, scales=[0.25])
        assert len(theirs) > 0
        np.testing.assert_allclose(found, theirs, rtol=0, atol=1e-2)


def _moving_boxes(frames: int, seed: int) -> list[np.ndarray]:
    """Two faces that move, jitter, and are missed now and then; the second appears late."""
    rng = np.random.default_rng(seed)
    result = []
    for i in range(frames):
        faces = []
        for place, start, end in ((100.0, 0, frames), (420.0, 30, frames - 20)):
            gone = start + 10 <= i < start + 16 or rng.random() < 0.1
            if start <= i < end and not gone:
                x, y = place + 30 * np.sin(i / 12) + rng.normal(), 150 + 10 * np.cos(i / 9) + rng.normal()
                half = 65 + 4 * np.sin(i / 20)
                faces.append([x - half, y - half, x + half, y + half * 1.1, 0.99])
        rng.shuffle(faces)
        result.append(np.array(faces).reshape(-1, 5))
    return result


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tracks_equal_syncnet_python(seed: int) -> None:
    module = pytest.importorskip("syncnet_python.syncnet_pipeline")
    boxes = _moving_boxes(150, seed)
    pipeline = module.SyncNetPipeline.__new__(module.SyncNetPipeline)
    pipeline.cfg = module.PipelineConfig()
    detections = [[{"frame": i, "bbox": b[:4].tolist(), "conf": 0.99} for b in rows] for i, rows in enumerate(boxes)]
    theirs = pipeline._track(detections)
    tracker = FaceTracker(lambda: lambda _: None, best_face_only=True)
    blank = np.zeros((300, 600, 3), dtype=np.uint8)
    for i, rows in enumerate(boxes):
        tracker.update(i, blank, rows)
    ours = [t for t in tracker.finish() if t.detections > 50 and t.mean_side() > 100]
    assert len(theirs) >= 1
    assert [(t.start, len(t.boxes)) for t in ours] == [(int(t["frame"][0]), len(t["frame"])) for t in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.array(mine.boxes), other["bbox"], rtol=0, atol=1e-9)


def _tracks_one_after_another(rows: list[np.ndarray], *, least: int) -> list[tuple[list[int], np.ndarray]]:
    """Tracks as the original program makes them: one through the whole clip, then the next from the faces left over."""
    left = [[box[:4] for box in boxes] for boxes in rows]
    tracks = []
    while any(left):
        seen: list[int] = []
        boxes: list[np.ndarray] = []
        for i, faces in enumerate(left):
            if seen and i - seen[-1] > 25:
                break
            for place, face in enumerate(faces):  # one at most: faces of a frame hardly overlap after the detector
                if not seen or _intersection_over_union(face, boxes[-1]) > 0.5:
                    seen.append(i)
                    boxes.append(faces.pop(place))
                    break
        if len(seen) > least:
            every, corners = np.arange(seen[0], seen[-1] + 1), np.array(boxes)
            tracks.append((seen, np.stack([np.interp(every, seen, corners[:, c]) for c in range(4)], axis=1)))
    return tracks


def _intersection_over_union(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.maximum(0.0, np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]))
    shared = float(sides.prod())
    return shared / float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tracks_of_all_faces_equal_those_made_one_after_another(seed: int) -> None:
    rows = _moving_boxes(150, seed)
    theirs = _tracks_one_after_another(rows, least=25)
    tracker = FaceTracker(lambda: lambda _: None)
    blank = np.zeros((300, 600, 3), dtype=np.uint8)
    for i, boxes in enumerate(rows):
        tracker.update(i, blank, boxes)
    ours = [track for track in tracker.finish() if track.detections > 25]
    assert len(theirs) == 2
    assert [(t.start, t.detections) for t in ours] == [(seen[0], len(seen)) for seen, _ in theirs]
    for mine, (_, boxes) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.array(mine.boxes), boxes, rtol=0, atol=1e-9)


def _decoded(path: Path, seconds: float) -> tuple[np.ndarray, np.ndarray, Fraction]:
    import av

    with av.open(str(path)) as container:
        rate = container.streams.video[0].average_rate
        count = int(seconds * rate)
        video = [
            frame.to_ndarray(format="rgb24") for frame, _ in zip(container.decode(video=0), range(count), strict=False)
        ]
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=16000)
        sound = [part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.stack(video), np.concatenate(sound)[: int(16000 * seconds)], Fraction(rate)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grid_bbaf2n.mpg", "May_5s.mp4"])
def test_scores_on_real_clips_at_the_same_boxes(name: str, sync_files: dict[str, Path], tmp_path: Path) -> None:
    instance = pytest.importorskip("syncnet_python.SyncNetInstance")
    model = pytest.importorskip("syncnet_python.SyncNetModel")
    if not (CLIPS / name).is_file():
        pytest.skip("the shared real clips are not here")
    import cv2
    import scipy.io.wavfile
    import scipy.signal

    video, sound, rate = _decoded(CLIPS / name, 1.8)
    assert rate == 25
    side = 120.0
    centres = [
        (video.shape[2] / 2 + 8 * np.sin(i / 7), video.shape[1] / 2 + 5 * np.cos(i / 5)) for i in range(len(video))
    ]
    boxes = [np.array([[x - side / 2, y - side / 2, x + side / 2, y + side / 2, 1.0]]) for x, y in centres]
    boxes[10:14] = [np.zeros((0, 5))] * 4

    extractor = SyncNetShort(sync_files)
    calls = iter([boxes[i : i + 4] for i in range(0, len(boxes), 4)])
    extractor.detect = lambda _: next(calls)  # type: ignore[method-assign]
    clip = ClipInputs(
        clip_id="c", fps=rate, n_frames=len(video), height=video.shape[1], width=video.shape[2],
        reference_image=video[0], audio=sound,
    )  # fmt: skip
    accumulator = extractor.begin(clip)
    for start in range(0, len(video), 13):
        accumulator.update(Piece(frames=video[start : start + 13], start=start))
    arrays = accumulator.finish()
    features = ClipFeatures(clip_id="c", identity="p", fps=rate, n_frames=len(video), arrays={extractor.name: arrays})
    ours = SyncShort().score_clip(features, None)

    # The reference reads crops and sound from files; here they are lossless (PNG inside of .jpg).
    known = np.array([i for i, rows in enumerate(boxes) if len(rows)])
    filled = np.stack([np.interp(np.arange(len(boxes)), known, [boxes[i][0, c] for i in known]) for c in range(4)], 1)
    half = scipy.signal.medfilt(np.maximum(filled[:, 3] - filled[:, 1], filled[:, 2] - filled[:, 0]) / 2, 13)
    x = scipy.signal.medfilt((filled[:, 0] + filled[:, 2]) / 2, 13)
    y = scipy.signal.medfilt((filled[:, 1] + filled[:, 3]) / 2, 13)
    for i, frame in enumerate(video):
        pad = int(half[i] * 1.8)
        image = cv2.copyMakeBorder(frame[..., ::-1].copy(), pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(110,) * 3)
        my, mx = y[i] + pad, x[i] + pad
        rows, columns = (
            slice(int(my - half[i]), int(my + half[i] * 1.8)),
            slice(int(mx - half[i] * 1.4), int(mx + half[i] * 1.4)),
        )
        _, png = cv2.imencode(".png", cv2.resize(image[rows, columns], (224, 224)))
        (tmp_path / f"{i:06d}.jpg").write_bytes(png.tobytes())
    scipy.io.wavfile.write(tmp_path / "audio.wav", 16000, to_int16(sound, 16000))
    network = model.S()
    network.load_state_dict(torch.load(sync_files[SYNCNET]))
    with torch.inference_mode():
        offset, confidence, distance = instance.SyncNetInstance(network.eval(), device="cpu").evaluate(
            SimpleNamespace(tmp_dir=str(tmp_path), batch_size=20, vshift=15)
        )
    assert ours["offset"] == offset
    assert ours["lse-c"] == pytest.approx(confidence, abs=1e-3)
    assert ours["lse-d"] == pytest.approx(distance, abs=1e-3)
    assert ours["n-windows"] == len(video) - 5


def test_sound_embeddings_do_not_depend_on_how_many_windows_follow(sync_files: dict[str, Path]) -> None:
    network = load_syncnet(sync_files[SYNCNET], "cpu")
    signal = _signal(2.0, 3)
    np.testing.assert_allclose(
        embed_sound(network, signal, 40, "cpu")[:20], embed_sound(network, signal, 20, "cpu"), rtol=0, atol=1e-5
    )
