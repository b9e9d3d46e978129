"""Which clips a rater sees, in which order and on which side: balanced, randomised, the same for the same generator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

import numpy as np

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Item:
    """What is judged: two systems on a clip, or one.

    Attributes:
        clip: Id of the clip.
        systems: Two names in alphabetical order, or one.
    """

    clip: str
    systems: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Showing:
    """An item as one form shows it.

    Attributes:
        item: What is judged.
        left: Which of its systems stands on the left (or is shown at all), 0 or 1.
        repeats: Whether the same form showed the item before, with its sides exchanged.
    """

    item: Item
    left: int
    repeats: bool = False


def items_of(systems: Sequence[str], clips: Sequence[str], *, pairs: bool) -> tuple[Item, ...]:
    """All pairs of systems, or all systems, on all clips."""
    names = sorted(systems)
    groups = list(combinations(names, 2)) if pairs else [(name,) for name in names]
    return tuple(Item(clip=clip, systems=group) for clip in sorted(clips) for group in groups)


def balanced_forms(
    items: Sequence[Item], *, n_forms: int, per_form: int, n_repeats: int, generator: np.random.Generator
) -> tuple[tuple[Showing, ...], ...]:
    """Forms in which groups of systems, items and sides come equally often.

    Over all forms the number of showings of any two items differs by at most one per group of systems; within a form no
    item comes twice, except as a repeat with exchanged sides; the order is random, and repeats come late.

    Args:
        items: All items.
        n_forms: How many forms; raters are dealt one each.
        per_form: Items of a form without repeats; at most all of them.
        n_repeats: How many items of a form come again.
        generator: The only source of randomness.
    """
    groups = sorted({item.systems for item in items})
    waiting = {group: _shuffled([item for item in items if item.systems == group], generator) for group in groups}
    used: Counter[Item] = Counter()
    on_left: Counter[tuple[Item, int]] = Counter()
    shown_of: Counter[tuple[str, ...]] = Counter()
    left_of: Counter[tuple[str, int]] = Counter()
    forms = []
    for _ in range(n_forms):
        chosen: list[Item] = []
        while len(chosen) < min(per_form, len(items)):
            open_groups = [group for group in groups if any(item not in chosen for item in waiting[group])]
            order = _shuffled(open_groups, generator)
            group = min(order, key=lambda name: shown_of[name])
            candidates = [item for item in waiting[group] if item not in chosen]
            item = min(candidates, key=lambda one: used[one])
            chosen.append(item)
            used[item] += 1
            shown_of[group] += 1
        showings = []
        for item in _shuffled(chosen, generator):
            left = _side(item, on_left, left_of, generator)
            on_left[item, left] += 1
            left_of[item.systems[left], 0] += 1
            left_of[item.systems[-1 - left], 1] += 1
            showings.append(Showing(item=item, left=left))
        early = showings[: max(1, len(showings) // 2)]
        again = _shuffled(early, generator)[: min(n_repeats, len(early))]
        for one in again:
            other = 1 - one.left if len(one.item.systems) == 2 else 0
            place = int(generator.integers(len(showings) // 2 + len(again), len(showings) + 1))
            showings.insert(min(place, len(showings)), Showing(item=one.item, left=other, repeats=True))
        forms.append(tuple(showings))
    return tuple(forms)


def _side(
    item: Item,
    on_left: Counter[tuple[Item, int]],
    left_of: Counter[tuple[str, int]],
    generator: np.random.Generator,
) -> int:
    """The system that was on the left less often, for this item first, over all items second, else by chance."""
    if len(item.systems) == 1:
        return 0
    first, second = (on_left[item, side] for side in (0, 1))
    if first != second:
        return int(first > second)
    ahead = [left_of[name, 0] - left_of[name, 1] for name in item.systems]
    return int(ahead[0] > ahead[1]) if ahead[0] != ahead[1] else int(generator.integers(2))


def _shuffled(values: Sequence[Value], generator: np.random.Generator) -> list[Value]:
    return [values[int(index)] for index in generator.permutation(len(values))]
