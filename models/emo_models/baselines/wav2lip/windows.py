"""Training examples: which frames, which reference, which audio; every step's examples follow from (seed, step)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emo_models.baselines.wav2lip.config import MEL_STEPS, SYNC_FRAMES, Wav2LipConfig
from emo_models.baselines.wav2lip.faces import FrameArray, crop_face, generator_input, padded_box, whole_pixels
from emo_models.baselines.wav2lip.mel import mel_spectrogram, mel_windows, window_first_step
from emo_models.training.clips import TrainingClip, chooser


@dataclass(frozen=True, eq=False)
class FaceClip:
    """One clip, cropped to its face.

    Attributes:
        clip: Its frames are faces, ``uint8 RGB [T, S, S, 3]``, and its boxes lie in them.
        mel: From ``mel_spectrogram``, ``[80, n]``.
    """

    clip: TrainingClip
    mel: NDArray[np.float32]

    @property
    def faces(self) -> FrameArray:
        """The frames."""
        return self.clip.frames

    @property
    def fps(self) -> Fraction:
        """Frame rate of the faces."""
        return Fraction(self.clip.fps).limit_denominator(1001)

    def heard(self, window_start: int) -> int:
        """How many of the first frames have their whole audio window; that of the last ones reaches past the end."""
        count = len(self.faces)
        while count and window_first_step(count - 1 + window_start, fps=self.fps) + MEL_STEPS > self.mel.shape[1]:
            count -= 1
        return count


def face_clip(clip: TrainingClip, *, padding: tuple[int, int, int, int], size: int) -> FaceClip:
    """A clip cropped to where its face stays, widened by ``padding``, and resized to ``size`` pixels."""
    height, width = clip.frames.shape[1:3]
    low, high = clip.face_boxes.min(0), clip.face_boxes.max(0)
    box = padded_box((*low[:2], *high[2:]), padding=padding, height=height, width=width)
    left, top, right, bottom = whole = whole_pixels(box, height=height, width=width)
    scale = np.array([size / (right - left), size / (bottom - top)] * 2, np.float32)

    def moved(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        placed: NDArray[np.float32] = (boxes - np.array([left, top, left, top], np.float32)) * scale
        return placed

    cropped = replace(
        clip,
        frames=np.stack([crop_face(frame, whole, size=size) for frame in clip.frames]),
        mouth_boxes=moved(clip.mouth_boxes),
        eye_boxes=moved(clip.eye_boxes),
        face_boxes=moved(clip.face_boxes),
    )
    return FaceClip(cropped, mel_spectrogram(np.asarray(clip.audio)))


@dataclass(frozen=True, eq=False)
class Windows:
    """A batch for the generator.

    Attributes:
        inputs: Masked and reference faces, ``float [B, 6, T, S, S]``.
        frame_mel: One audio window for each frame, ``float [B, T, 1, 80, 16]``.
        window_mel: One audio window for the whole window, ``float [B, 1, 80, 16]`` (sync loss).
        target: The true faces, BGR in [0, 1], ``float [B, 3, T, S, S]``.
    """

    inputs: Tensor
    frame_mel: Tensor
    window_mel: Tensor
    target: Tensor


class WindowSampler:
    """Draws training examples from clips in memory.

    Args:
        clips: At least one; each must be longer than two windows.
        config: Image size and position of audio windows.
        seed: All draws derive from it and the number of the step.
        mirror: Mirror half of the examples.

    Raises:
        ValueError: when there is no clip, or one is too short or of another size.
    """

    def __init__(
        self, clips: Sequence[FaceClip], config: Wav2LipConfig, *, seed: int = 0, mirror: bool = False
    ) -> None:
        if not clips:
            raise ValueError("expected at least one training clip, found none")
        for clip in clips:
            if clip.faces.shape[1:] != (config.image_size, config.image_size, 3):
                raise ValueError(
                    f"clip {clip.clip.id}: expected faces of {config.image_size} pixels: {clip.faces.shape}"
                )
            if len(clip.faces) < 2 * SYNC_FRAMES + 1:
                raise ValueError(f"clip {clip.clip.id}: expected more than {2 * SYNC_FRAMES} frames: {len(clip.faces)}")
        self.clips = clips
        self.choose = chooser([clip.clip.weight for clip in clips])
        self.config = config
        self.seed = seed
        self.mirror = mirror

    def random(self, purpose: int, step: int) -> np.random.Generator:
        """The generator of one step: nothing needs to be saved to resume."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, purpose, step])))

    def generator_batch(self, step: int, *, batch_size: int, frames: int) -> Windows:
        """Windows of ``frames`` frames with a reference window from elsewhere in the same clip (paper, 3.3).

        As published, no frame is shown with audio of another time, as the last ones are in use.
        """
        random = self.random(1, step)
        inputs, frame_mel, window_mel, target = [], [], [], []
        for _ in range(batch_size):
            clip = self.clips[self.choose(random)]
            heard = clip.heard(self.config.window_start)
            start, other = self._two_starts(random, len(clip.faces), frames, heard=heard)
            true = self._mirrored(random, clip.faces[start : start + frames], clip.faces[other : other + frames])
            inputs.append(generator_input(*true))
            target.append(true[0])
            frame_mel.append(self._mel(clip, range(start, start + frames)))
            window_mel.append(mel_windows(clip.mel, range(start, start + 1), fps=clip.fps)[0])
        return Windows(
            inputs=torch.from_numpy(np.stack(inputs)).transpose(1, 2),
            frame_mel=torch.from_numpy(np.stack(frame_mel)),
            window_mel=torch.from_numpy(np.stack(window_mel)),
            target=_bgr(np.stack(target)),
        )

    def expert_batch(self, step: int, *, batch_size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Pairs of audio and mouths, half of them from different times of one clip (paper, 3.2).

        Returns:
            Audio windows ``[B, 1, 80, 16]``, lower halves ``[B, 15, S / 2, S]``, and 1 for pairs that belong together.
        """
        random = self.random(2, step)
        mels, mouths, labels = [], [], []
        for _ in range(batch_size):
            clip = self.clips[self.choose(random)]
            start, other = self._two_starts(random, len(clip.faces), SYNC_FRAMES, heard=len(clip.faces))
            in_sync = bool(random.integers(2))
            shown = start if in_sync else other
            (faces, _) = self._mirrored(random, clip.faces[shown : shown + SYNC_FRAMES], clip.faces[:1])
            mels.append(mel_windows(clip.mel, range(start, start + 1), fps=clip.fps)[0])
            mouths.append(faces[:, self.config.image_size // 2 :, :, ::-1])
            labels.append(float(in_sync))
        stacked = np.ascontiguousarray(np.stack(mouths).transpose(0, 1, 4, 2, 3)).astype(np.float32) / 255.0
        flat = torch.from_numpy(stacked).flatten(1, 2)
        return torch.from_numpy(np.stack(mels)), flat, torch.tensor(labels)

    def _mel(self, clip: FaceClip, frames: range) -> NDArray[np.float32]:
        return mel_windows(clip.mel, frames, fps=clip.fps, window_start=self.config.window_start)

    def _mirrored(
        self, random: np.random.Generator, first: FrameArray, second: FrameArray
    ) -> tuple[FrameArray, FrameArray]:
        if self.mirror and bool(random.integers(2)):
            return first[:, :, ::-1], second[:, :, ::-1]
        return first, second

    @staticmethod
    def _two_starts(random: np.random.Generator, length: int, frames: int, *, heard: int) -> tuple[int, int]:
        places = length - frames + 1
        start = int(random.integers(heard - frames + 1))
        other = int(random.integers(places - 1))
        return start, other + (other >= start)


def _bgr(faces: FrameArray) -> Tensor:
    """``uint8 RGB [B, T, S, S, 3]`` as ``float BGR [B, 3, T, S, S]`` in [0, 1]."""
    planes = np.ascontiguousarray(faces[..., ::-1].transpose(0, 4, 1, 2, 3)).astype(np.float32) / np.float32(255.0)
    return torch.from_numpy(planes)
