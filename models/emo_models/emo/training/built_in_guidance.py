"""Audio guidance as part of the weights, so that one pass draws what guidance needs two passes for.

Guidance of scale w draws ``u + w * (c - u)``, with c the prediction that hears and u the one that does not. A network
learns to give that at once if its target, the true velocity v with the mean c, gets ``(w - 1) * (c - u)`` added. The
difference is the network's own: once it has the scale g built in, hearing adds ``g * (c - u)`` to what it predicts,
and with the share ``(w - 1) / w`` of that added to the target, g is drawn to ``1 + g * (w - 1) / w`` and so comes to
rest at w, from wherever it starts. No other network is needed, and weights that have guidance already can be trained
on. (Two passes in one: Meng et al., arXiv 2210.03142, with a teacher; a network as its own teacher: Tang et al.,
arXiv 2502.12154.)
"""

from __future__ import annotations

from torch import Tensor


def guided_target(target: Tensor, heard: Tensor, deaf: Tensor, *, scale: float) -> Tensor:
    """The target of a network that is to have guidance ``scale`` built in; predictions get no gradient.

    ``target``, ``heard`` and ``deaf`` have the same shape; where nothing is heard both predictions agree, and the
    target stays as it is.

    >>> import torch
    >>> guided_target(torch.tensor(1.0), torch.tensor(3.0), torch.tensor(1.0), scale=2.0)
    tensor(2.)
    """
    return target + (scale - 1) / scale * (heard.detach() - deaf)


def guidance_found(target: Tensor, heard: Tensor, deaf: Tensor) -> tuple[float, float]:
    """Two sums, whose ratio over many clips is the guidance that a network has built in.

    What hearing adds, ``heard - deaf``, is ``g`` times what it should add, and that is the mean of ``target - deaf``
    over noise; so ``|heard - deaf|^2 / <target - deaf, heard - deaf>`` comes to g. What the network hears wrongly
    makes the first sum alone larger, so that the ratio is a little too high.

    Args:
        target: The true velocity, without guidance.
        heard: What the network predicts.
        deaf: What it predicts without hearing anything.

    >>> import torch
    >>> guidance_found(torch.tensor([1.0, 3.0]), torch.tensor([3.0, 5.0]), torch.tensor([0.0, 1.0]))
    (25.0, 11.0)
    """
    added = heard - deaf
    return float(added.square().sum()), float(((target - deaf) * added).sum())
