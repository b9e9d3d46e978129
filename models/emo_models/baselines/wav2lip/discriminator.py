"""The visual quality discriminator: is this lower half of a face real (paper, 3.4)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emo_models.baselines.wav2lip.config import Wav2LipConfig
from emo_models.baselines.wav2lip.layers import ConvLeaky, Stride

# Each block: (published channels, kernel, stride, padding) of its layers, for a lower half of 48 x 96 pixels.
_BLOCKS: tuple[tuple[tuple[int, int, Stride, int], ...], ...] = (
    ((32, 7, 1, 3),),
    ((64, 5, (1, 2), 2), (64, 5, 1, 2)),
    ((128, 5, 2, 2), (128, 5, 1, 2)),
    ((256, 5, 2, 2), (256, 5, 1, 2)),
    ((512, 3, 2, 1), (512, 3, 1, 1)),
    ((512, 3, 2, 1), (512, 3, 1, 1)),
    ((512, 3, 1, 0), (512, 1, 1, 0)),
)


class QualityDiscriminator(nn.Module):
    """Judges lower half faces one by one; parameter names as in the published ``visual_quality_disc.pth``.

    Args:
        config: Widths and image size.
    """

    def __init__(self, config: Wav2LipConfig | None = None) -> None:
        super().__init__()
        self.config = config or Wav2LipConfig()
        # A half face of 24 x 48 pixels needs one halving less.
        blocks = _BLOCKS if self.config.image_size == 96 else (*_BLOCKS[:2], *_BLOCKS[3:])
        self.face_encoder_blocks = nn.ModuleList()
        inputs = 3
        for layers in blocks:
            built = []
            for published, kernel, stride, padding in layers:
                outputs = self.config.channels(published)
                built.append(ConvLeaky(inputs, outputs, kernel=kernel, stride=stride, padding=padding))
                inputs = outputs
            self.face_encoder_blocks.append(nn.Sequential(*built))
        self.binary_pred = nn.Sequential(nn.Conv2d(inputs, 1, kernel_size=1), nn.Sigmoid())

    def forward(self, faces: Tensor) -> Tensor:
        """Probability of being real: ``[B, 3, T, S, S]`` -> ``[B T]``, each frame by itself."""
        x = faces.transpose(1, 2).flatten(0, 1)
        x = x[..., x.shape[-2] // 2 :, :]
        for block in self.face_encoder_blocks:
            x = block(x)
        probability: Tensor = self.binary_pred(x)
        return probability.flatten()


def generator_quality_loss(discriminator: QualityDiscriminator, painted: Tensor) -> Tensor:
    """What the generator minimises: painted faces should be taken for real ones."""
    judged = discriminator(painted)
    return F.binary_cross_entropy(judged, torch.ones_like(judged))


def discriminator_loss(discriminator: QualityDiscriminator, real: Tensor, painted: Tensor) -> Tensor:
    """What the discriminator minimises; ``painted`` must be detached from the generator."""
    on_real, on_painted = discriminator(real), discriminator(painted)
    return F.binary_cross_entropy(on_real, torch.ones_like(on_real)) + F.binary_cross_entropy(
        on_painted, torch.zeros_like(on_painted)
    )
