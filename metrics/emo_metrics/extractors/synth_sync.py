"""The extractor ``sync/synth@1``: distances between mouth and audio at many lags."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray

from emo_metrics.contract import (
    Accumulator,
    Arrays,
    ClipInputs,
    Extractor,
    Need,
    Piece,
    Unscored,
)
from emo_metrics.faces.gaps import LEAST_FOUND
from emo_metrics.networks.inference import exact_inference
from emo_metrics.signals.sync_curve import lag_distances
from emo_metrics.synth.face import FACE
from emo_metrics.synth.face_network import FRAME_SIDE
from emo_metrics.synth.layers import to_square
from emo_metrics.synth.mouth_crops import mouth_placement, mouths
from emo_metrics.synth.pins import PINS
from emo_metrics.synth.shipped import load_shipped
from emo_metrics.synth.sound_windows import cepstra_of
from emo_metrics.synth.sync_network import CONTEXT, SyncNetwork

SYNC: Final = "sync/synth@1"
FILE: Final = "sync.safetensors"
MAX_LAG: Final = 10
LEAST_PAIRS: Final = 15
"""Fewest windows of mouth and audio that overlap at the largest lag."""
_FPS: Final = 25


class SyncSynth(Extractor):
    """Distances between mouth and audio at lags of −10 to 10 frames.

    Arrays: ``distances`` float64 [w, 21], row i is the window around frame i + 4, column k compares with the audio of
    window i + k − 10, NaN where that lies beyond the clip or its audio.
    """

    name: ClassVar[str] = SYNC
    requires: ClassVar[tuple[str, ...]] = (FACE,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.AUDIO})
    shipped: ClassVar[Mapping[str, str]] = {FILE: PINS.get(FILE, "")}

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        super().__init__(weights, device=device)
        self.network = load_shipped(SyncNetwork(), FILE, device=device, part="sync.")

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip.

        Raises:
            Unscored: ``no_audio``; ``not_applicable`` at another frame rate than 25; ``too_short`` below 33 frames.
        """
        if clip.audio is None or len(clip.audio) == 0:
            raise Unscored("no_audio", "the clip has no sound to compare with")
        if clip.fps != _FPS:
            raise Unscored("not_applicable", f"the network knows 25 frames a second, the clip has {clip.fps}")
        if clip.n_frames < 2 * CONTEXT + LEAST_PAIRS + MAX_LAG:
            least = 2 * CONTEXT + LEAST_PAIRS + MAX_LAG
            raise Unscored("too_short", f"{clip.n_frames} frames; at least {least} are needed")
        return _Mouths(self, clip, clip.audio)


class _Mouths(Accumulator):
    """Collects mouth crops (4.6 kB a frame); embeds them when the clip is complete."""

    def __init__(self, extractor: SyncSynth, clip: ClipInputs, audio: NDArray[np.float32]) -> None:
        self._extractor = extractor
        self._clip = clip
        self._audio = audio
        self._crops: list[torch.Tensor] = []
        self._found: list[NDArray[np.bool_]] = []

    def update(self, piece: Piece) -> Arrays:
        face = piece.upstream[FACE]
        found = np.asarray(face["found"], dtype=bool)
        height, width = piece.frames.shape[1:3]
        points = torch.from_numpy(np.nan_to_num(np.asarray(face["points68"], dtype=np.float32)))
        place = torch.from_numpy(np.nan_to_num(np.asarray(face["placement"], dtype=np.float32)))
        with exact_inference():
            x = to_square(piece.frames, FRAME_SIDE)
            cut = mouths(x, mouth_placement(points / torch.tensor([width, height]), place))
        self._crops.append((cut * 255).round().to(torch.uint8))
        self._found.append(found)
        return {}

    def finish(self) -> Arrays:
        found = np.concatenate(self._found)
        if found.mean() < LEAST_FOUND:
            raise Unscored("no_face", f"a face was found on {int(found.sum())} of {found.size} frames")
        heard = self._heard_windows()
        if heard < LEAST_PAIRS + MAX_LAG:
            raise Unscored("too_short", f"the sound fills {max(heard, 0)} windows; {LEAST_PAIRS + MAX_LAG} are needed")
        crops = _without_gaps(torch.cat(self._crops), found)
        network, device = self._extractor.network, self._extractor.device
        with exact_inference():
            mouth = network.mouth(crops[None].to(device).float() / 255.0)[0].cpu().numpy()
            cepstra = cepstra_of(self._audio, len(crops), rate=self._clip.audio_rate)
            audio = network.sound(cepstra[None].to(device))[0].cpu().numpy()
        return {"distances": _known_only(lag_distances(mouth, audio, max_lag=MAX_LAG), heard)}

    def _heard_windows(self) -> int:
        """How many windows the sound fills; one that ends within a frame fills that frame."""
        frames = math.ceil(len(self._audio) * _FPS / self._clip.audio_rate)
        return min(frames, self._clip.n_frames) - 2 * CONTEXT


def _without_gaps(crops: torch.Tensor, found: NDArray[np.bool_]) -> torch.Tensor:
    """The crop of the nearest frame with a face where there is none."""
    known = np.flatnonzero(found)
    nearest = known[np.argmin(np.abs(np.arange(len(found))[:, None] - known[None]), axis=1)]
    return crops[torch.from_numpy(nearest)]


def _known_only(distances: NDArray[np.float64], heard: int) -> NDArray[np.float64]:
    """NaN where the audio lies before the clip or after the ``heard`` windows that there are of it."""
    windows, lags = distances.shape
    at = np.arange(windows)[:, None] + np.arange(lags)[None] - lags // 2
    return np.where((at >= 0) & (at < heard), distances, np.nan)
