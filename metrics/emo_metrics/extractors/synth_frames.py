"""The extractors behind FID and FVD of the synth family: features of frames and of windows of 16 frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from emo_metrics.contract import Accumulator, ClipInputs, Extractor, FrameArray
from emo_metrics.extractors.inception_frames import SampledFrames
from emo_metrics.extractors.video_windows import _WindowExtractor
from emo_metrics.networks.inference import exact_inference
from emo_metrics.synth.appearance_network import SIDE as FRAME_SIDE
from emo_metrics.synth.appearance_network import AppearanceNetwork
from emo_metrics.synth.layers import to_square
from emo_metrics.synth.pins import PINS
from emo_metrics.synth.shipped import load_shipped
from emo_metrics.synth.video_network import SIDE as WINDOW_SIDE
from emo_metrics.synth.video_network import VideoNetwork

APPEARANCE: Final = "appearance/synth@1"
VIDEO: Final = "video/synth@1"
_APPEARANCE_FILE: Final = "appearance.safetensors"
_VIDEO_FILE: Final = "video.safetensors"


class AppearanceSynth(Extractor):
    """Features of up to 32 evenly spaced whole frames of a clip: ``features`` float32 [k, 64], ``frame`` int64 [k]."""

    name: ClassVar[str] = APPEARANCE
    shipped: ClassVar[Mapping[str, str]] = {_APPEARANCE_FILE: PINS.get(_APPEARANCE_FILE, "")}

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        super().__init__(weights, device=device)
        self._network = load_shipped(AppearanceNetwork(), _APPEARANCE_FILE, device=device, part="appearance.")

    def features(self, frames: FrameArray) -> NDArray[np.float32]:
        """``float32 [n, 64]`` of frames ``uint8 RGB [n, H, W, 3]``."""
        with exact_inference():
            rows = self._network(to_square(frames, FRAME_SIDE, self.device))
        return np.asarray(rows.cpu().numpy(), dtype=np.float32)

    def begin(self, clip: ClipInputs) -> Accumulator:
        """Starts a clip."""
        return SampledFrames(clip, self.features)


class VideoSynth(_WindowExtractor):
    """Features of up to 8 windows of 16 frames of a clip: ``features`` float32 [k, 64] and ``start`` int64 [k]."""

    name: ClassVar[str] = VIDEO
    shipped: ClassVar[Mapping[str, str]] = {_VIDEO_FILE: PINS.get(_VIDEO_FILE, "")}

    def __init__(self, weights: Mapping[str, Path], *, device: str = "cpu") -> None:
        super().__init__(weights, device=device)
        self._network = load_shipped(VideoNetwork(), _VIDEO_FILE, device=device, part="video.")

    def window_features(self, frames: FrameArray) -> NDArray[np.float32]:
        """``float32 [64]`` of a window ``uint8 RGB [16, H, W, 3]``."""
        with exact_inference():
            row = self._network(to_square(frames, WINDOW_SIDE, self.device)[None])[0]
        return np.asarray(row.cpu().numpy(), dtype=np.float32)
