"""How much of a clip a number rests on, and which missing numbers are a loss that the user must hear of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from emo_bench.record.rows import ClipRow
from emo_bench.record.schema import FailureEntry, ValueEntry

if TYPE_CHECKING:
    from emo_metrics.contract import Arrays, ClipFeatures

BY_NATURE = frozenset({"undefined", "not_applicable"})
"""An anchor without a value for one of these reasons behaves as it must: a frozen face has no head movement."""


BRIDGED = 0.05
"""A clip may lack faces on this share of frames more than its ground truth before that counts as a loss: about what the
protocols bridge in a clip of a few seconds."""


def frame_share(clip: ClipFeatures) -> float:
    """Share of a clip's frames that its features exist for, in [0, 1]: the least over all extractors.

    An extractor says so itself by an array ``found``; else a frame counts when a per-frame array of the extractor
    has no NaN there: one that is heard but has no pitch is measured. Arrays without a row per frame say nothing.
    """
    return min((_share(arrays, clip.n_frames) for arrays in clip.arrays.values()), default=1.0)


def _share(arrays: Arrays, n_frames: int) -> float:
    if "found" in arrays and len(arrays["found"]):
        return float(np.asarray(arrays["found"], dtype=bool).mean())
    rows = [
        np.asarray(a) for a in arrays.values() if a.ndim and len(a) == n_frames and np.issubdtype(a.dtype, np.floating)
    ]
    if not rows or n_frames == 0:
        return 1.0
    lost = [np.isnan(a.reshape(n_frames, -1)).any(axis=1) for a in rows]
    return float(1 - np.logical_and.reduce(lost).mean())


def mean_coverage(shares: Iterable[float | None]) -> float | None:
    """Mean share over clips; None when one of them is unknown or there is none."""
    known = list(shares)
    if not known or any(share is None for share in known):
        return None
    return float(np.mean([share for share in known if share is not None]))


def clip_losses(rows: Sequence[ClipRow], anchors: Collection[str]) -> list[FailureEntry]:
    """One failure for each clip of a system that a per-clip protocol has no number for.

    Args:
        rows: Rows of one protocol.
        anchors: Names of the anchors; what one of them lacks by its nature is no loss.
    """
    found: dict[tuple[str, str, int, str], FailureEntry] = {}
    for row in rows:
        if row.value is None and not (row.system in anchors and row.status in BY_NATURE):
            place = (row.system, row.clip, row.seed, row.status)
            found.setdefault(
                place,
                FailureEntry(
                    stage="score", system=row.system, clip=row.clip, seed=row.seed, part=row.protocol, code=row.status,
                    reason=row.reason,
                ),
            )  # fmt: skip
    return list(found.values())


def partial_losses(
    protocol: str, system: str, shares: Mapping[str, float], truth: Mapping[str, float]
) -> list[FailureEntry]:
    """One failure for each clip that has a number which rests on fewer of its frames than the ground truth's.

    Args:
        protocol: Its name.
        system: Name of the system.
        shares: ``clip#seed`` -> share of frames.
        truth: Clip -> share of frames of the ground truth.
    """
    found = []
    for name, share in sorted(shares.items()):
        clip, _, seed = name.rpartition("#")
        if share < truth.get(clip, 1.0) - BRIDGED:
            found.append(
                FailureEntry(
                    stage="score", system=system, clip=clip, seed=int(seed), part=protocol, code="partly_seen",
                    reason=f"the number rests on {100 * share:.0f} % of the frames, "
                    f"the ground truth's on {100 * truth.get(clip, 1.0):.0f} %",
                )
            )  # fmt: skip
    return found


def set_losses(
    protocol: str, system: str, missing: Mapping[str, str], values: Sequence[ValueEntry], *, anchor: bool
) -> list[FailureEntry]:
    """The same for a protocol of whole sets: clips without samples, and a set without a value.

    Args:
        protocol: Its name.
        system: Name of the system.
        missing: ``clip#seed`` -> ``status: reason``.
        values: The system's values under the protocol.
        anchor: Whether the system is an anchor.
    """
    found = []
    for name, why in sorted(missing.items()):
        clip, _, seed = name.rpartition("#")
        code, _, reason = why.partition(": ")
        if not (anchor and code in BY_NATURE):
            found.append(
                FailureEntry(
                    stage="score", system=system, clip=clip, seed=int(seed), part=protocol, code=code, reason=reason
                )
            )
    nothing = next((entry for entry in values if entry.value is None), None)
    if nothing is not None and nothing.status != "not_applicable" and not missing and not anchor:
        code, _, reason = nothing.reason.partition(": ")
        found.append(
            FailureEntry(
                stage="score", system=system, clip="", seed=0, part=protocol, code=code if reason else nothing.status,
                reason=reason or nothing.reason,
            )
        )  # fmt: skip
    return found
