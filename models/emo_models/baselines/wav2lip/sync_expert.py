"""The lip-sync expert: does this mouth belong to this audio (paper, 3.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emo_models.baselines.wav2lip.config import SYNC_FRAMES, Wav2LipConfig
from emo_models.baselines.wav2lip.layers import EXPERT_AUDIO_STEPS, Step, conv_layers

_FACE_96 = (
    Step(32, kernel=7, padding=3),
    Step(64, kernel=5, stride=(1, 2), padding=1, repeats=2),
    Step(128, stride=2, repeats=3),
    Step(256, stride=2, repeats=2),
    Step(512, stride=2, repeats=2),
    Step(512, stride=2),
    Step(512, padding=0),
    Step(512, kernel=1, padding=0),
)
# 24x48 after the first layer instead of 46x48 after the second one; the rest is the same.
_FACE_48 = (Step(64, kernel=7, padding=3, repeats=2), Step(128, stride=(1, 2), repeats=3), *_FACE_96[3:])


class SyncExpert(nn.Module):
    """Embeds five lower half faces and 0.2 s of audio on one unit sphere.

    Names and shapes of the parameters are those of ``lipsync_expert.pth`` when the configuration is the default one.

    Args:
        config: Widths and image size.
    """

    def __init__(self, config: Wav2LipConfig | None = None) -> None:
        super().__init__()
        self.config = config or Wav2LipConfig()
        steps = _FACE_96 if self.config.image_size == 96 else _FACE_48
        self.face_encoder = nn.Sequential(*conv_layers(steps, 3 * SYNC_FRAMES, self.config.width))
        self.audio_encoder = nn.Sequential(*conv_layers(EXPERT_AUDIO_STEPS, 1, self.config.width))

    def forward(self, mel: Tensor, mouths: Tensor) -> tuple[Tensor, Tensor]:
        """Embeds a batch.

        Args:
            mel: Audio windows ``float [B, 1, 80, 16]`` in [-4, 4].
            mouths: Lower halves of five successive faces, BGR in [0, 1], frame by frame along the channels, as
                ``float [B, 15, S / 2, S]``.

        Returns:
            Audio and face embeddings, ``float [B, D]`` of length 1 and with no negative entry (they end in a ReLU), so
            that their cosine is in [0, 1] and serves as a probability.
        """
        audio = F.normalize(self.audio_encoder(mel).flatten(1), dim=1)
        face = F.normalize(self.face_encoder(mouths).flatten(1), dim=1)
        return audio, face


def lower_halves(frames: Tensor) -> Tensor:
    """Stacks the lower halves of windows as the expert expects them: ``[B, 3, T, S, S]`` -> ``[B, 3 T, S / 2, S]``."""
    lower = frames[..., frames.shape[-2] // 2 :, :]
    return lower.transpose(1, 2).flatten(1, 2)


def sync_probability(audio: Tensor, face: Tensor) -> Tensor:
    """Paper, equation 1: cosine of the two embeddings, ``[B]`` in [0, 1]."""
    return F.cosine_similarity(audio, face, dim=1, eps=1e-8)


def sync_loss(audio: Tensor, face: Tensor, in_sync: Tensor) -> Tensor:
    """Binary cross entropy of the sync probability.

    Args:
        audio: From ``SyncExpert``, ``[B, D]``.
        face: From ``SyncExpert``, ``[B, D]``.
        in_sync: 1 where audio and face belong together, else 0, ``float [B]``.
    """
    # Rounding can put a cosine of two equal vectors a little above 1, which the logarithm refuses.
    return F.binary_cross_entropy(torch.clamp(sync_probability(audio, face), 0.0, 1.0), in_sync)
