"""A new speech encoder for weights trained with another: a linear map between the two is folded into the audio layers.

Encoders of other voices hear the same things in other features. The map that takes the new features closest to the old
ones, by least squares over the training clips, is folded into the first linear layer that reads them, so that training
does not have to find it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emo_models.emo.audio_encoders import AudioEncoder
from emo_models.emo.audio_layers import AudioLayers
from emo_models.training.clips import TrainingClips, every_clip, moving


@torch.no_grad()
def feature_map(
    new: AudioEncoder, old: AudioEncoder, data: TrainingClips, *, ridge: float = 1.0, clips: int = 400
) -> tuple[Tensor, Tensor, float]:
    """The affine map from features of ``new`` to those of ``old``, over at most ``clips`` clips spread over the data.

    Returns:
        Matrix ``[width, width]`` and offset ``[width]`` (``old = new @ matrix + offset``), and the share of the old
        features' variance that it leaves unexplained.

    Raises:
        ValueError: The encoders have several layers, or different widths: there is no one map then.
    """
    if (new.layers, new.width) != (old.layers, old.width) or new.layers != 1:
        raise ValueError(
            f"expected two speech encoders of one layer and one width, found {new.layers} of {new.width} and "
            f"{old.layers} of {old.width}"
        )
    records = list(every_clip(moving(data, sound=True)))
    if not records:
        raise ValueError("expected clips with audio, found none")
    pairs = [
        (new.window(clip.audio, 0, len(clip.frames))[:, 0], old.window(clip.audio, 0, len(clip.frames))[:, 0])
        for clip in records[:: max(1, len(records) // clips)]
    ]
    inputs, wanted = (torch.cat(column).double() for column in zip(*pairs, strict=True))
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=torch.float64)], 1)
    gram = inputs.T @ inputs + ridge * torch.eye(inputs.shape[1], dtype=torch.float64)
    solved = torch.linalg.solve(gram, inputs.T @ wanted)
    left = (inputs @ solved - wanted).square().sum() / (wanted - wanted.mean(0)).square().sum()
    return solved[:-1].float(), solved[-1].float(), float(left)


@torch.no_grad()
def fold_into(layers: AudioLayers, matrix: Tensor, offset: Tensor) -> None:
    """Changes audio layers so that new features do what ``features @ matrix + offset`` did.

    Raises:
        ValueError: The layers normalise features, so that a map cannot be folded in.
    """
    first = layers.project[0] if isinstance(layers.project, nn.Sequential) else layers.project
    if not isinstance(layers.norms[0], nn.Identity) or not isinstance(first, nn.Linear):
        raise ValueError("expected audio layers that read features as they are, found normalised ones")
    # One block of columns for each neighbour in the window.
    weight = torch.unflatten(first.weight, 1, (-1, len(matrix)))
    first.bias.copy_(first.bias + (weight @ offset).sum(1))
    first.weight.copy_((weight @ matrix.T).flatten(1))
