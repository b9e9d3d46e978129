"""Wav2Lip's generator: a masked face, a reference face and 0.2 s of audio in, the spoken face out (paper, 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emo_models.baselines.wav2lip.config import Wav2LipConfig
from emo_models.baselines.wav2lip.layers import AUDIO_STEPS, ConvNorm, Step, UpConvNorm, conv_layers

_ENCODER_96: tuple[tuple[Step, ...], ...] = (
    (Step(16, kernel=7, padding=3),),
    (Step(32, stride=2, repeats=2),),
    (Step(64, stride=2, repeats=3),),
    (Step(128, stride=2, repeats=2),),
    (Step(256, stride=2, repeats=2),),
    (Step(512, stride=2, repeats=1),),
    (Step(512, padding=0), Step(512, kernel=1, padding=0)),
)
_ENCODER_48: tuple[tuple[Step, ...], ...] = ((Step(32, kernel=7, padding=3),), *_ENCODER_96[2:])

# (output channels, residual layers after the up-convolution) from 3x3 to the full size
_DECODER_96 = ((512, 1), (512, 2), (384, 2), (256, 2), (128, 2), (64, 2))
_DECODER_48 = _DECODER_96[:-1]


class Generator(nn.Module):
    """Paints the lower half of a face so that its mouth fits the audio.

    Names and shapes of the parameters are those of ``wav2lip.pth`` and ``wav2lip_gan.pth`` when the configuration is
    the default one.

    Args:
        config: Widths and image size.
    """

    def __init__(self, config: Wav2LipConfig | None = None) -> None:
        super().__init__()
        self.config = config or Wav2LipConfig()
        small = self.config.image_size == 48
        encoder, decoder = (_ENCODER_48, _DECODER_48) if small else (_ENCODER_96, _DECODER_96)
        width = self.config.width
        self.face_encoder_blocks = nn.ModuleList()
        inputs, skips = 6, []
        for steps in encoder:
            self.face_encoder_blocks.append(nn.Sequential(*conv_layers(steps, inputs, width)))
            inputs = self.config.channels(steps[-1].outputs)
            skips.append(inputs)
        self.audio_encoder = nn.Sequential(*conv_layers(AUDIO_STEPS, 1, width))
        bottom = self.config.channels(512)
        self.face_decoder_blocks = nn.ModuleList([nn.Sequential(ConvNorm(bottom, bottom, kernel=1))])
        inputs = bottom + skips.pop()
        for level, (published, repeats) in enumerate(decoder):
            outputs = self.config.channels(published)
            up = (
                UpConvNorm(inputs, outputs, stride=1, padding=0)
                if level == 0
                else UpConvNorm(inputs, outputs, stride=2, padding=1, output_padding=1)
            )
            rest = [ConvNorm(outputs, outputs, kernel=3, padding=1, residual=True) for _ in range(repeats)]
            self.face_decoder_blocks.append(nn.Sequential(up, *rest))
            inputs = outputs + skips.pop()
        last = self.config.channels(32)
        self.output_block = nn.Sequential(
            ConvNorm(inputs, last, kernel=3, padding=1), nn.Conv2d(last, 3, kernel_size=1), nn.Sigmoid()
        )

    def forward(self, mel: Tensor, faces: Tensor) -> Tensor:
        """Paints one batch of single frames.

        Args:
            mel: Audio windows ``float [B, 1, 80, 16]`` in [-4, 4].
            faces: Masked face and reference face, both BGR in [0, 1], as ``float [B, 6, S, S]``.

        Returns:
            Faces as ``float [B, 3, S, S]``, BGR in [0, 1].
        """
        features = []
        x = faces
        for block in self.face_encoder_blocks:
            x = block(x)
            features.append(x)
        x = self.audio_encoder(mel)
        for block in self.face_decoder_blocks:
            x = torch.cat((block(x), features.pop()), dim=1)
        painted: Tensor = self.output_block(x)
        return painted

    def forward_windows(self, mel: Tensor, faces: Tensor) -> Tensor:
        """The same for windows of several frames: ``[B, T, 1, 80, 16]``, ``[B, 6, T, S, S]`` -> ``[B, 3, T, S, S]``."""
        batch, frames = mel.shape[:2]
        flat = faces.transpose(1, 2).flatten(0, 1)
        painted: Tensor = self(mel.flatten(0, 1), flat)
        return painted.reshape(batch, frames, *painted.shape[1:]).transpose(1, 2)
