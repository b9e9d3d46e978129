"""Extractors of SyncNet distances: detect, track, cut, embed mouth and audio, compare at every lag."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray

from emo_metrics.contract import Accumulator, Arrays, ClipInputs, Extractor, FrameArray, Need, Piece, Unscored
from emo_metrics.faces.tracks import FaceTracker, Track
from emo_metrics.networks.inference import exact_inference
from emo_metrics.networks.s3fd import detect_faces, load_s3fd
from emo_metrics.networks.syncnet import WINDOW, SyncNet, load_syncnet
from emo_metrics.signals.mfcc import RATE, mfcc
from emo_metrics.signals.sync_curve import lag_distances

SYNCNET: Final = "syncnet_v2.model"
DETECTOR: Final = "sfd_face.pth"
FPS: Final = 25
SAMPLES_PER_FRAME: Final = RATE // FPS
SMALLEST_FACE: Final = 100
BATCH: Final = 20
DETECTION_BATCH: Final = 4


class MouthStream:
    """Embeds crops in runs of 20 windows, counted from the start of the track, keeping four crops in between."""

    def __init__(self, network: SyncNet, device: str) -> None:
        self._network = network
        self._device = device
        self._held: list[FrameArray] = []
        self._done: list[NDArray[np.float32]] = []

    def __call__(self, crop: FrameArray) -> None:
        """Takes the next crop ``uint8 RGB [224, 224, 3]``."""
        self._held.append(crop)
        if len(self._held) == BATCH + WINDOW - 1:
            self._run()

    def finish(self) -> NDArray[np.float32]:
        """``float32 [crops - 4, 1024]``."""
        if len(self._held) >= WINDOW:
            self._run()
        return np.concatenate(self._done) if self._done else np.zeros((0, 0), dtype=np.float32)

    def _run(self) -> None:
        frames = torch.from_numpy(np.stack(self._held)[..., ::-1].copy()).permute(0, 3, 1, 2).float()
        with exact_inference():
            self._done.append(self._network.mouth(frames.to(self._device)).cpu().numpy())
        self._held = self._held[-(WINDOW - 1) :]


def embed_sound(network: SyncNet, samples: NDArray[np.int16], windows: int, device: str) -> NDArray[np.float32]:
    """Embeddings of windows of 0.2 s, one every 0.04 s.

    Args:
        network: From ``load_syncnet``.
        samples: ``int16 [n]`` at 16 kHz.
        windows: How many.
        device: Of the network.

    Returns:
        ``float32 [windows, 1024]``.
    """
    cepstra = mfcc(samples).T.astype(np.float32)
    done = []
    for start in range(0, windows, BATCH):
        places = range(start, min(windows, start + BATCH))
        stack = np.stack([cepstra[None, :, 4 * i : 4 * i + 4 * WINDOW] for i in places])
        with exact_inference():
            done.append(network.sound(torch.from_numpy(stack).to(device)).cpu().numpy())
    return np.concatenate(done)


def to_int16(audio: NDArray[np.float32], rate: int) -> NDArray[np.int16]:
    """Audio as 16-bit samples at 16 kHz.

    Args:
        audio: Mono ``float32 [n]`` in [-1, 1].
        rate: Samples per second; another rate than 16000 is resampled with soxr's highest quality.
    """
    if rate != RATE:
        import soxr

        audio = soxr.resample(audio, rate, RATE, quality="VHQ")
    return np.clip(np.rint(np.asarray(audio, dtype=np.float64) * 32768.0), -32768, 32767).astype(np.int16)


class _SyncExtractor(Extractor):
    """Distances between mouth and audio at lags of −15 to 15 frames, for every track of a face.

    Arrays: ``distances`` float64 [n, 31], row i of a track is its window i, column k compares with the audio of window
    i + k − 15; ``track`` int64 [n]; ``track_frames`` int64 [tracks, 2], first frame and length at 25 fps.
    """

    weights: ClassVar[tuple[str, ...]] = (SYNCNET, DETECTOR)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.AUDIO})
    min_track: ClassVar[int]
    best_face_only: ClassVar[bool] = False

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        super().__init__(weights, device=device)
        self.network = load_syncnet(weights[SYNCNET], device)
        self.detector = load_s3fd(weights[DETECTOR], device)

    def detect(self, frames: FrameArray) -> list[NDArray[np.float64]]:
        """Faces of each frame; see ``detect_faces``."""
        return detect_faces(self.detector, frames, self.device)

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip.

        Raises:
            Unscored: ``no_audio`` without audio, ``too_short`` when no track can be long enough.
        """
        if clip.audio is None or len(clip.audio) == 0:
            raise Unscored("no_audio", "the clip has no sound to compare with")
        length = frames_at_25(clip.n_frames, clip.fps)
        if length <= self.min_track:
            raise Unscored("too_short", f"{length} frames at 25 fps; a track needs more than {self.min_track}")
        return _SyncAccumulator(self, clip, clip.audio)


def frames_at_25(frames: int, fps: Fraction) -> int:
    """How many frames a clip has at 25 per second.

    >>> frames_at_25(90, Fraction(30)), frames_at_25(50, Fraction(25))
    (75, 50)
    """
    return int(Fraction(frames) * FPS / fps + Fraction(1, 2))


def source_frame(index: int, *, frames: int, fps: Fraction) -> int:
    """Which frame of a clip stands for frame ``index`` at 25 per second: the nearest in time, the earlier of two.

    >>> [source_frame(i, frames=90, fps=Fraction(30)) for i in range(4)]
    [0, 1, 2, 4]
    """
    exact = Fraction(index) * fps / FPS
    return min(frames - 1, -int(-(exact - Fraction(1, 2)) // 1))


class _SyncAccumulator(Accumulator):
    def __init__(self, extractor: _SyncExtractor, clip: ClipInputs, audio: NDArray[np.float32]) -> None:
        self._extractor = extractor
        self._clip = clip
        self._samples = to_int16(audio, clip.audio_rate)
        self._total = frames_at_25(clip.n_frames, clip.fps)
        self._next = 0
        self._waiting: list[tuple[int, FrameArray]] = []
        self._streams: list[MouthStream] = []
        self._tracker = FaceTracker(self._new_stream, best_face_only=extractor.best_face_only)

    def _new_stream(self) -> MouthStream:
        self._streams.append(MouthStream(self._extractor.network, self._extractor.device))
        return self._streams[-1]

    def update(self, piece: Piece) -> Arrays:
        for offset, frame in enumerate(piece.frames):
            while self._next < self._total and self._source(self._next) == piece.start + offset:
                self._waiting.append((self._next, frame.copy()))
                self._next += 1
                if len(self._waiting) == DETECTION_BATCH:
                    self._detect()
        return {}

    def _source(self, index: int) -> int:
        return source_frame(index, frames=self._clip.n_frames, fps=self._clip.fps)

    def _detect(self) -> None:
        faces = self._extractor.detect(np.stack([frame for _, frame in self._waiting]))
        for (index, frame), boxes in zip(self._waiting, faces, strict=True):
            self._tracker.update(index, frame, boxes)
        self._waiting = []

    def finish(self) -> Arrays:
        if self._waiting:
            self._detect()
        tracks = self._tracker.finish()
        if not tracks:
            raise Unscored("no_face", "the detector found no face in any frame")
        least = self._extractor.min_track
        long = [(t, s) for t, s in zip(tracks, self._streams, strict=True) if t.detections > least]
        if not long:
            longest = max(track.detections for track in tracks)
            raise Unscored("too_short", f"the longest face track has {longest} frames; more than {least} are needed")
        large = [(track, stream) for track, stream in long if track.mean_side() > SMALLEST_FACE]
        if not large:
            side = max(track.mean_side() for track, _ in long)
            raise Unscored("no_face", f"faces are {side:.0f} pixels at most; more than {SMALLEST_FACE} are needed")
        parts = [self._track_distances(track, stream) for track, stream in large]
        if not sum(len(part) for part in parts):
            raise Unscored("too_short", "the sound ends before a track has a window")
        return {
            "distances": np.concatenate(parts),
            "track": np.repeat(np.arange(len(parts)), [len(part) for part in parts]).astype(np.int64),
            "track_frames": np.array([(track.start, len(track.boxes)) for track, _ in large], dtype=np.int64),
        }

    def _track_distances(self, track: Track, stream: MouthStream) -> NDArray[np.float64]:
        first, length = track.start, len(track.boxes)
        samples = self._samples[first * SAMPLES_PER_FRAME : (first + length) * SAMPLES_PER_FRAME]
        mouth = stream.finish()
        # One window fewer than would fit: published numbers were made so.
        windows = min(length, len(samples) // SAMPLES_PER_FRAME) - WINDOW
        if windows < 1:
            return np.zeros((0, 31))
        audio = embed_sound(self._extractor.network, samples, windows, self._extractor.device)
        return lag_distances(mouth[:windows], audio)


class SyncNetJoonson(_SyncExtractor):
    """Tracks of more than 100 frames, as joonson/syncnet_python and its users."""

    name: ClassVar[str] = "syncnet/joonson@1"
    min_track: ClassVar[int] = 100


class SyncNetMocha(_SyncExtractor):
    """Tracks of more than 50 frames, and a tracker that looks at the best face only, as MoChaBench."""

    name: ClassVar[str] = "syncnet/mocha@1"
    min_track: ClassVar[int] = 50
    best_face_only: ClassVar[bool] = True


class SyncNetShort(_SyncExtractor):
    """Tracks of more than 25 frames: for clips of one to four seconds, which the original leaves out."""

    name: ClassVar[str] = "syncnet/short@1"
    min_track: ClassVar[int] = 25
