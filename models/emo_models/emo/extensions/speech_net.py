"""A small speech encoder with weights: convolutions along log-mel columns, trained to predict mouth shapes.

An extension. The paper's audio layers read the hidden states of a network that already knows speech (wav2vec 2.0).
This is its counterpart where everything is trained from scratch: less than a megabyte, trained in minutes before EMO.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emo_models.configured_module import ConfiguredModule, register_to_config
from emo_models.emo.audio import write_encoder_config
from emo_models.emo.extensions.log_mel import LogMelEncoder
from emo_models.emo.weights import load_module, save_module

SHAPES = 3
"""What the network is trained to predict: mouth opening, and width and height of the mouth's box."""


class SpeechNet(ConfiguredModule):
    """Residual convolutions along time, without padding.

    Args:
        in_width: Log-mel values per frame.
        width: Of the hidden states.
        blocks: Convolutions; each widens the view.
        kernel: Frames one convolution sees; odd.
        dropout: In training.
    """

    @register_to_config
    def __init__(
        self, in_width: int = 192, width: int = 128, blocks: int = 4, kernel: int = 5, dropout: float = 0.1
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"expected an odd kernel, found {kernel}")
        self.reach = kernel // 2
        self.context = self.reach * blocks
        self.center = nn.BatchNorm1d(in_width, affine=False)
        self.first = nn.Linear(in_width, width)
        self.convolutions = nn.ModuleList(
            nn.Sequential(nn.Conv1d(width, width, kernel), nn.SiLU(), nn.Dropout(dropout), nn.Conv1d(width, width, 1))
            for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.shapes = nn.Linear(width, SHAPES)

    def forward(self, columns: Tensor) -> Tensor:
        """Hidden states ``[b, t, width]`` of ``columns [b, t + 2 * context, in_width]``."""
        x = self.first(self.center(columns.transpose(1, 2)).transpose(1, 2)).transpose(1, 2)
        for block in self.convolutions:
            x = x[:, :, self.reach : x.shape[2] - self.reach] + block(x)
        hidden: Tensor = self.norm(x.transpose(1, 2))
        return hidden


class SpeechNetEncoder:
    """`SpeechNet` as a speech encoder; see `audio_encoders.AudioEncoder`.

    Args:
        net: The network.
        mel: Its input.
    """

    layers = 1

    def __init__(self, net: SpeechNet, mel: LogMelEncoder) -> None:
        config: Any = net.config
        if config["in_width"] != mel.width:
            raise ValueError(f"expected {config['in_width']} log-mel values per frame, found {mel.width}")
        self.net, self.mel = net.eval(), mel
        self.fps, self.width = mel.fps, int(config["width"])

    @torch.no_grad()
    def window(self, samples: NDArray[np.float32], first: int, last: int) -> Tensor:
        """See `AudioEncoder.window`; normalised hidden states, ``[last - first, 1, width]``."""
        columns = self.mel.window(samples, first - self.net.context, last + self.net.context)
        hidden: Tensor = self.net(columns[None, :, 0])[0]
        return hidden[:, None]

    @torch.no_grad()
    def heard_opening(self, samples: NDArray[np.float32], frames: int) -> NDArray[np.float64]:
        """The predicted mouth opening of the first ``frames`` frames, ``float64 [frames]``."""
        opening: NDArray[np.float64] = self.net.shapes(self.window(samples, 0, frames))[:, 0, 0].double().numpy()
        return opening

    def with_vtlp(self, factor: float) -> SpeechNetEncoder:
        """The same, with all frequencies times ``factor``."""
        return SpeechNetEncoder(self.net, self.mel.with_vtlp(factor))

    def save(self, folder: Path) -> None:
        """See `AudioEncoder.save`."""
        save_module(self.net, folder / "network")
        write_encoder_config(folder, {**self.mel.settings, "kind": "speech-net"})


def load_speech_net_encoder(folder: Path, **mel: Any) -> SpeechNetEncoder:
    """What `SpeechNetEncoder.save` wrote; ``mel`` are the arguments of `LogMelEncoder`."""
    return SpeechNetEncoder(load_module(SpeechNet, folder / "network"), LogMelEncoder(**mel))
