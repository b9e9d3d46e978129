"""The extractor ``sync/open@1``: distances between mouth and audio at many lags, on real faces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray

from emo_metrics.contract import Accumulator, Arrays, ClipInputs, Extractor, Need, Piece, Unscored
from emo_metrics.extractors.sync_windows import frames_at_25, source_frame
from emo_metrics.faces.gaps import FACE, LEAST_FOUND
from emo_metrics.networks.inference import exact_inference
from emo_metrics.signals.sync_curve import MAX_LAG, lag_distances
from emo_metrics.sync_open.audio import PER_FRAME, RATE, log_mel, mel_filters, power_spectra, speech_rows
from emo_metrics.sync_open.mouths import OUTLINE, SIDE, lip_outlines, mouth_squares
from emo_metrics.sync_open.network import CONTEXT, OpenSyncNetwork
from emo_metrics.sync_open.pins import PINS
from emo_metrics.synth.shipped import load_shipped

SYNC: Final = "sync/open@1"
FILE: Final = "sync_open.safetensors"
LEAST_PAIRS: Final = 15
"""Fewest windows of mouth and audio that overlap at the largest lag."""
LEAST_FRAMES: Final = 2 * CONTEXT + LEAST_PAIRS + MAX_LAG
BATCH: Final = 64


class SyncOpen(Extractor):
    """Distances between mouth and audio at lags of −15 to 15 frames at 25 a second.

    Arrays: ``distances`` float64 [w, 31], row i is the window around frame i + 6, column k compares with the audio of
    window i + k − 15, NaN where that lies beyond the clip; ``speech`` bool [w], whether anybody speaks in the middle
    of the audio of window i; ``found`` bool [frames at 25 a second].
    """

    name: ClassVar[str] = SYNC
    requires: ClassVar[tuple[str, ...]] = (FACE,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.AUDIO})
    shipped: ClassVar[Mapping[str, str]] = PINS

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        super().__init__(weights, device=device)
        self.network = load_shipped(
            OpenSyncNetwork(), FILE, device=device, package="emo_metrics.sync_open", pins=self.shipped
        )

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip.

        Raises:
            Unscored: ``no_audio``; ``too_short`` below 42 frames at 25 a second.
        """
        if clip.audio is None or len(clip.audio) == 0:
            raise Unscored("no_audio", "the clip has no sound to compare with")
        frames = frames_at_25(clip.n_frames, clip.fps)
        if frames < LEAST_FRAMES:
            raise Unscored("too_short", f"{frames} frames at 25 fps; at least {LEAST_FRAMES} are needed")
        return _Mouths(self, clip, clip.audio, frames)

    def embed_mouth(self, squares: NDArray[np.uint8], outlines: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit rows ``float32 [n - 12, 96]`` of squares ``[n, 48, 48]`` and outlines ``[n, 44]``.

        In runs of 64 windows counted from the start, so that memory does not grow with the clip.
        """
        done = []
        for start in range(0, len(squares) - 2 * CONTEXT, BATCH):
            part = slice(start, start + BATCH + 2 * CONTEXT)
            x = torch.from_numpy(squares[part])[None].to(self.device).float() / 255.0
            y = torch.from_numpy(outlines[part])[None].to(self.device)
            with exact_inference():
                done.append(self.network.mouth(x, y)[0].cpu().numpy())
        return np.concatenate(done)

    def embed_audio(self, spectra: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit rows ``float32 [n - 12, 96]`` of spectra ``[4 n, 257]``."""
        bands = torch.from_numpy(log_mel(spectra, mel_filters()))[None].to(self.device)
        with exact_inference():
            return np.asarray(self.network.sound(bands)[0].cpu().numpy(), dtype=np.float32)


class _Mouths(Accumulator):
    """Collects mouth squares (2.3 kB a frame); embeds them when the clip is complete."""

    def __init__(self, extractor: SyncOpen, clip: ClipInputs, audio: NDArray[np.float32], frames: int) -> None:
        self._extractor = extractor
        self._clip = clip
        self._audio = audio
        self._found = np.zeros(frames, dtype=bool)
        self._squares = np.zeros((frames, SIDE, SIDE), dtype=np.uint8)
        self._outlines = np.zeros((frames, OUTLINE), dtype=np.float32)
        self._next = 0

    def update(self, piece: Piece) -> Arrays:
        face = piece.upstream[FACE]
        for offset, frame in enumerate(piece.frames):
            points = np.asarray(face["points68"][offset], dtype=np.float64)[None]
            known = bool(face["found"][offset])
            while self._next < len(self._found) and self._source(self._next) == piece.start + offset:
                self._found[self._next] = known
                if known:
                    self._squares[self._next] = mouth_squares(frame[None], points)[0]
                    self._outlines[self._next] = lip_outlines(points)[0]
                self._next += 1
        return {}

    def _source(self, index: int) -> int:
        return source_frame(index, frames=self._clip.n_frames, fps=self._clip.fps)

    def finish(self) -> Arrays:
        if self._found.mean() < LEAST_FOUND:
            raise Unscored(
                "no_face",
                f"a face was found on {int(self._found.sum())} of {self._found.size} frames; "
                f"at least {LEAST_FOUND:.0%} are needed",
            )
        known = np.flatnonzero(self._found)
        after = np.clip(np.searchsorted(known, np.arange(len(self._found))), 1, max(len(known) - 1, 1))
        before, after = known[after - 1], known[np.minimum(after, len(known) - 1)]
        place = np.arange(len(self._found))
        nearest = np.where(place - before <= after - place, before, after)
        mouth = self._extractor.embed_mouth(self._squares[nearest], self._outlines[nearest])
        spectra = power_spectra(_at_16k(self._audio, self._clip.audio_rate), len(self._found))
        return {**window_features(self._extractor, mouth, spectra), "found": self._found}


def window_features(
    extractor: SyncOpen, mouth: NDArray[np.float32], spectra: NDArray[np.float32]
) -> dict[str, NDArray[np.generic]]:
    """``distances`` and ``speech`` of embedded mouths ``[n - 12, 96]`` and spectra ``[4 n, 257]``."""
    speech = speech_rows(spectra).reshape(-1, PER_FRAME).mean(axis=1) >= 0.5
    return {
        "distances": _known_only(lag_distances(mouth, extractor.embed_audio(spectra))),
        "speech": speech[CONTEXT : len(speech) - CONTEXT],
    }


def _at_16k(audio: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    if rate == RATE:
        return audio
    import soxr

    return np.asarray(soxr.resample(audio, rate, RATE, quality="VHQ"), dtype=np.float32)


def _known_only(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """NaN where the audio lies beyond the ends of the clip."""
    windows, lags = distances.shape
    at = np.arange(windows)[:, None] + np.arange(lags)[None] - lags // 2
    return np.where((at >= 0) & (at < windows), distances, np.nan)
