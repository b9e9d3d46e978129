"""The three convolution layers that all Wav2Lip networks are made of."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

Stride = int | tuple[int, int]


class ConvNorm(nn.Module):
    """Convolution, batch normalisation, optional residual sum, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, stride: Stride = 1, padding: int = 0, residual: bool = False
    ) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.BatchNorm2d(outputs))
        self.act = nn.ReLU()
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[B, inputs, H, W]`` to ``[B, outputs, H', W']``."""
        y: Tensor = self.conv_block(x)
        activated: Tensor = self.act(y + x if self.residual else y)
        return activated


class UpConvNorm(nn.Module):
    """Transposed convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, padding: int, output_padding: int = 0) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ConvTranspose2d(inputs, outputs, 3, stride, padding, output_padding), nn.BatchNorm2d(outputs)
        )
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[B, inputs, H, W]`` to ``[B, outputs, H', W']``."""
        y: Tensor = self.act(self.conv_block(x))
        return y


class ConvLeaky(nn.Module):
    """Convolution and leaky ReLU with slope 0.01, without normalisation (discriminator)."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: Stride = 1, padding: int = 0) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding))
        self.act = nn.LeakyReLU(0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[B, inputs, H, W]`` to ``[B, outputs, H', W']``."""
        y: Tensor = self.act(self.conv_block(x))
        return y


@dataclass(frozen=True)
class Step:
    """One row of a network table.

    Attributes:
        outputs: Channels of the published network.
        kernel: Side of the kernel.
        stride: Step along height and width.
        padding: Zero padding on each side.
        repeats: How many residual 3x3 layers follow.
    """

    outputs: int
    kernel: int = 3
    stride: Stride = 1
    padding: int = 1
    repeats: int = 0


def conv_layers(steps: tuple[Step, ...], inputs: int, width: float) -> list[ConvNorm]:
    """The layers of a table, in order; every number of channels is multiplied by ``width`` (at least 4)."""
    layers: list[ConvNorm] = []
    for step in steps:
        outputs = max(4, round(step.outputs * width))
        layers.append(ConvNorm(inputs, outputs, kernel=step.kernel, stride=step.stride, padding=step.padding))
        layers += [ConvNorm(outputs, outputs, kernel=3, padding=1, residual=True) for _ in range(step.repeats)]
        inputs = outputs
    return layers


AUDIO_STEPS = (
    Step(32, repeats=2),
    Step(64, stride=(3, 1), repeats=2),
    Step(128, stride=3, repeats=2),
    Step(256, stride=(3, 2), repeats=1),
    Step(512, padding=0),
    Step(512, kernel=1, padding=0),
)
"""Generator's audio encoder: ``[B, 1, 80, 16]`` to ``[B, 512, 1, 1]``; the expert has one more residual layer."""

EXPERT_AUDIO_STEPS = (*AUDIO_STEPS[:3], Step(256, stride=(3, 2), repeats=2), *AUDIO_STEPS[4:])
"""Sync expert's audio encoder."""
