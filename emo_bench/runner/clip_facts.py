"""From a prepared clip to what the report's images need to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emo_bench.data.manifest import ManifestEntry
from emo_bench.record.clip_facts import ClipFacts, box_as_fractions
from emo_bench.systems.clip_store import Sidecar
from emo_bench.systems.conform import moved_box

LONGEST_META = 200
"""Characters of a value of ``meta`` that a record keeps; longer ones are texts, not groups."""


def plain_meta(meta: Mapping[str, Any]) -> dict[str, str]:
    """What a record keeps of a manifest's ``meta``: texts, numbers and yes or no, each as text.

    >>> plain_meta({"style": "anime", "age": 31, "glasses": True, "boxes": [1, 2]})
    {'style': 'anime', 'age': '31', 'glasses': 'true'}
    """
    found = {}
    for key, value in meta.items():
        if isinstance(value, bool):
            found[key] = "true" if value else "false"
        elif isinstance(value, (str, int, float)) and len(str(value)) <= LONGEST_META:
            found[key] = str(value)
    return found


def facts_of(entry: ManifestEntry, stored: Sidecar) -> ClipFacts:
    """Facts of a prepared clip, with its face box moved to the frame that is really shown.

    Args:
        entry: The clip in its manifest; ``meta["style"]`` names the kind of portrait.
        stored: The prepared clip.
    """
    box = entry.face_box
    if box is not None and stored.source_width:
        source, target = (stored.source_width, stored.source_height), (stored.width, stored.height)
        box = moved_box(box, source=source, target=target)
    return ClipFacts(entry.id, str(entry.meta.get("style", "")), box_as_fractions(box, stored.width, stored.height))
