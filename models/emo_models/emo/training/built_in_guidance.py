"""Audio guidance as part of the weights, so that one pass draws what guidance needs two passes for.

Guidance of scale w draws ``u + w * (c - u)``, with c the prediction that hears and u the one that does not. A network
learns to give that at once if its target, the true velocity v with the mean c, gets ``(w - 1) * (c - u)`` added, where
c and u come from a frozen teacher: the weights at the stage's start (after Meng et al., arXiv 2210.03142, who let the
student learn from the teacher alone; keeping v in the target lets the network still learn from the data).

Where the teacher has guidance of scale w' built in already, hearing adds ``w' * (c - u)`` to its prediction, so the
difference is divided by w': such weights can be trained on without the guidance growing.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from emo_models.emo.conditions import ClipConditions, Gates
from emo_models.emo.model import EMOModel


@dataclass(frozen=True, eq=False, kw_only=True)
class Teacher:
    """A frozen network and the scale of the audio guidance that its weights have built in (1 is none)."""

    model: EMOModel
    built_in: float = 1.0

    @torch.no_grad()
    def push(self, noisy: Tensor, times: Tensor, **inputs: Any) -> Tensor:
        """What hearing adds without any guidance, ``c - u``; ``inputs`` are those of `EMOModel.prepare`."""
        return audio_push(self.model, noisy, times, self.model.prepare(**inputs)) / self.built_in


def frozen_copy(model: EMOModel) -> EMOModel:
    """A teacher: the model as it is now, in eval mode and without gradients."""
    teacher = copy.deepcopy(model).eval()
    teacher.requires_grad_(False)
    return teacher


@torch.no_grad()
def audio_push(teacher: EMOModel, noisy: Tensor, times: Tensor, conditions: ClipConditions) -> Tensor:
    """What hearing adds to the teacher's prediction, ``c - u``; 0 for samples whose audio is dropped.

    Args:
        teacher: A frozen network.
        noisy: ``[b, f, c, h, w]``, as `EMOModel.to_diffused` gives it, with noise.
        times: ``[b]``.
        conditions: As the teacher's own `EMOModel.prepare` gives them.

    Returns:
        The shape of ``noisy``.
    """
    silent: Gates = replace(conditions.gates, audio=torch.zeros(len(noisy), device=noisy.device))
    hearing: Tensor = teacher.backbone(noisy, times, conditions)
    deaf: Tensor = teacher.backbone(noisy, times, replace(conditions, gates=silent))
    return hearing - deaf
