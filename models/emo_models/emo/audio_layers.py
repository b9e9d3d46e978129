"""Audio layers: speech features of all encoder blocks, a window of 2m+1 frames, several tokens per frame.

``A_f = concat(A(f-m), ..., A(f), ..., A(f+m))`` (section 3.2), where A(f) holds the outputs of the speech encoder's
blocks at frame f. The tokens made here are what audio-attention reads; frame f sees only its own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emo_models.emo.architecture import AudioConfig


class AudioLayers(nn.Module):
    """Audio features to tokens.

    ``mix`` is one learned weight per block (``"weighted"``) or all blocks side by side (``"concat"``). With the
    projection ``"per_neighbour"`` each neighbour makes its own tokens; with ``"joint"`` an MLP over the whole window
    makes all of them, for features that no network has processed yet, such as log-mel. To ``normalise`` each block's
    output per frame is right for hidden states of a network and wrong for log-mel, where it would remove loudness.

    Args:
        config: The audio part of the architecture.
        window: m, neighbours on each side; a frame gets ``(2m + 1) * config.tokens`` tokens.
    """

    def __init__(self, config: AudioConfig, *, window: int = 2) -> None:
        super().__init__()
        self.window, self.tokens, self.token_dim = window, config.tokens, config.token_dim
        self.mix, self.projection = config.mix, config.projection
        self.norms = nn.ModuleList(
            nn.LayerNorm(config.width) if config.normalise else nn.Identity() for _ in range(config.blocks)
        )
        neighbours = 2 * window + 1
        features = config.width
        if config.mix == "weighted":
            self.layer_logits = nn.Parameter(torch.zeros(config.blocks))
        else:
            features = config.width * config.blocks
        if config.projection == "joint":
            self.project: nn.Module = nn.Sequential(
                nn.Linear(neighbours * features, config.hidden),
                nn.SiLU(),
                nn.Linear(config.hidden, config.hidden),
                nn.SiLU(),
                nn.Linear(config.hidden, neighbours * config.tokens * config.token_dim),
            )
        else:
            self.project = nn.Linear(features, config.tokens * config.token_dim)
        self.neighbour_positions = nn.Parameter(torch.randn(neighbours * config.tokens, config.token_dim) * 0.02)
        self.norm_out = nn.LayerNorm(config.token_dim)

    def forward(self, features: Tensor) -> Tensor:
        """Tokens ``[b, f, k, token_dim]``.

        Args:
            features: ``[b, f + 2m, layers, width]``, m neighbours on each side; or, for frames that do not follow one
                another, one window each: ``[b, f, 2m + 1, layers, width]``.
        """
        mixed = self._mix_layers(features)
        if self.projection == "joint":
            tokens = torch.unflatten(self.project(self._windows(mixed).flatten(2)), 2, (-1, self.token_dim))
        else:
            windows = self._windows(self.project(mixed))
            tokens = torch.unflatten(windows, 3, (self.tokens, self.token_dim)).flatten(2, 3)
        normed: Tensor = self.norm_out(tokens + self.neighbour_positions.to(tokens.dtype))
        return normed

    def _windows(self, frames: Tensor) -> Tensor:
        """``[b, f + 2m, c]`` -> ``[b, f, 2m + 1, c]``; windows pass through."""
        if frames.dim() == 4:
            return frames
        return frames.unfold(1, 2 * self.window + 1, 1).transpose(2, 3)

    def _mix_layers(self, features: Tensor) -> Tensor:
        normed = [norm(layer) for norm, layer in zip(self.norms, features.unbind(-2), strict=True)]
        if self.mix == "concat":
            return torch.cat(normed, -1)
        weights = F.softmax(self.layer_logits.float(), 0).to(normed[0].dtype)
        return torch.stack(normed, -1) @ weights
