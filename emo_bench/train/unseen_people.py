"""Whether those whom a training is measured on are others than those it learns from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from emo_bench.data.naming import listed

if TYPE_CHECKING:
    from emo_models.training.clips import TrainingClips


def tell_known_people(data: TrainingClips, held_out: TrainingClips, *, say: Callable[[str], None]) -> None:
    """Says which people of the clips held out are trained on too: progress on them is no progress on strangers."""
    from emo_models.training.clips import every_clip

    people, unseen = ({clip.identity for clip in every_clip(clips) if clip.identity} for clips in (data, held_out))
    known = sorted(people & unseen)
    if known:
        say(f"{len(known)} of {len(unseen)} people held out are trained on too: {listed(known)}")
