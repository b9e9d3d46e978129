"""Guidance distillation: audio guidance as part of the weights, so that one pass replaces two.

Guidance of scale w predicts ``u + w * (c - u)``, with c the prediction with audio and u the unconditional one. A
network learns to give that at once if its target, the true velocity v with the mean c, gets ``(w - 1) * (c - u)``
added. The difference is the network's own: once it has the scale g built in, audio adds ``g * (c - u)`` to what it
predicts, and with the share ``(w - 1) / w`` of that added to the target, g is pulled to ``1 + g * (w - 1) / w`` and so
comes to rest at w, from wherever it starts. No other network is needed, and weights that have guidance already can be
trained on. (Two passes in one: Meng et al., arXiv 2210.03142, with a teacher; a network as its own teacher: Tang et
al., arXiv 2502.12154.)
"""

from __future__ import annotations

from torch import Tensor


def guided_target(target: Tensor, conditional: Tensor, unconditional: Tensor, *, scale: float) -> Tensor:
    """The target of a network that is to have guidance ``scale`` built in; predictions get no gradient.

    ``target``, ``conditional`` and ``unconditional`` have the same shape; without audio both predictions agree, and the
    target stays as it is.

    >>> import torch
    >>> guided_target(torch.tensor(1.0), torch.tensor(3.0), torch.tensor(1.0), scale=2.0)
    tensor(2.)
    """
    return target + (scale - 1) / scale * (conditional.detach() - unconditional)


def guidance_found(target: Tensor, conditional: Tensor, unconditional: Tensor) -> tuple[float, float]:
    """Two sums, whose ratio over many clips is the guidance that a network has built in.

    What audio adds, ``conditional - unconditional``, is ``g`` times what it should add, and that is the mean of
    ``target - unconditional`` over noise; so the square of the first over the product of both comes to g. What the
    network misreads of the audio makes the first sum alone larger, so the ratio is a little too high.

    Args:
        target: The true velocity, without guidance.
        conditional: What the network predicts.
        unconditional: What it predicts without audio.

    >>> import torch
    >>> guidance_found(torch.tensor([1.0, 3.0]), torch.tensor([3.0, 5.0]), torch.tensor([0.0, 1.0]))
    (25.0, 11.0)
    """
    added = conditional - unconditional
    return float(added.square().sum()), float(((target - unconditional) * added).sum())
