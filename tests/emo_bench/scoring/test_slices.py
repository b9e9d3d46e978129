"""Values by group of clips and the gaps between groups, against what was put in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emo_bench.config.schema import Statistics
from emo_bench.record.rows import ClipRow
from emo_bench.record.schema import ClipEntry
from emo_bench.scoring.slices import UNNAMED, groups_by, slices
from emo_core.errors import ConfigError
from emo_metrics.contract import Unscored
from emo_metrics.statistics.groups import group_difference

FLICKER = "flicker/luma@1"


def clips(count: int) -> list[ClipEntry]:
    styles = ("photo", "anime", "photo")
    return [
        ClipEntry(
            id=f"c{i:02d}", identity=f"p{i:02d}", split="test", status="ok", meta={"style": styles[i % 3]} if i else {}
        )
        for i in range(count)
    ]


def rows(entries: list[ClipEntry], *, extra: float, system: str = "mine") -> list[ClipRow]:
    """Clips in the style 'anime' have ``extra`` more."""
    return [
        ClipRow(
            system=system, clip=clip.id, identity=clip.identity, seed=0, protocol=FLICKER, key="flicker",
            value=index % 5 / 10 + extra * (clip.meta.get("style") == "anime"), status="ok", coverage=1.0,
        )
        for index, clip in enumerate(entries)
    ]  # fmt: skip


def test_groups_and_gaps() -> None:
    entries = clips(31)
    both = [*rows(entries, extra=2.0), *rows(entries, extra=0.0, system="ground-truth")]
    found = slices(entries, both, ["ground-truth", "mine"], "meta.style", Statistics(resamples=200))
    assert [(name, len(members)) for name, members in found.clips.items()] == [
        ("photo", 20),
        ("anime", 10),
        (UNNAMED, 1),
    ]
    value = next(v for v in found.values["anime"] if (v.system, v.key) == ("mine", "flicker"))
    assert value.n_scored == 10
    assert value.gap_to_ground_truth == pytest.approx(2.0)
    gaps = {(gap.group, gap.system): gap for gap in found.gaps if gap.key == "flicker"}
    anime, truth = gaps["anime", "mine"], gaps["anime", "ground-truth"]
    assert anime.interval is not None
    assert truth.interval is not None
    assert anime.interval.low > 1.5
    assert truth.interval.low < 0 < truth.interval.high
    assert "at least 3 identities" in gaps[UNNAMED, "mine"].reason


def test_a_distance_from_the_ground_truth_is_one_on_the_same_clips() -> None:
    """The last clip is a portrait with audio: it counts in the system's value, and no real video differs from it."""
    entries = clips(31)
    entries[-3] = entries[-3].model_copy(update={"ground_truth": False})
    assert entries[-3].meta["style"] == "anime"
    wild = entries[-3].id
    mine = [replace(row, value=100.0) if row.clip == wild else row for row in rows(entries, extra=2.0)]
    truth = [row for row in rows(entries, extra=0.0, system="ground-truth") if row.clip != wild]
    found = slices(entries, [*mine, *truth], ["ground-truth", "mine"], "meta.style", Statistics(resamples=100))
    value = next(v for v in found.values["anime"] if (v.system, v.key) == ("mine", "flicker"))
    assert value.n_scored == 10
    assert value.gap_to_ground_truth == pytest.approx(2.0)


def test_keys_that_no_clip_has() -> None:
    with pytest.raises(ConfigError, match=r"meta\.style"):
        groups_by(clips(4), "meta.voice")
    with pytest.raises(ConfigError, match="no key of clips"):
        groups_by(clips(4), "style")
    assert list(groups_by(clips(4), "split")) == ["test"]


def test_people_on_both_sides_stay_paired() -> None:
    rng = np.random.default_rng(0)
    people = rng.normal(0, 10, 12)
    inside = {f"a{i}": float(people[i] + 1 + rng.normal(0, 0.1)) for i in range(12)}
    outside = {f"b{i}": float(people[i]) for i in range(12)}
    clusters = {f"{side}{i}": f"p{i}" for side in "ab" for i in range(12)}
    gap, paired = group_difference(inside, outside, clusters, generator=np.random.default_rng(1), resamples=300)
    _, apart = group_difference(inside, outside, generator=np.random.default_rng(1), resamples=300)
    assert gap == pytest.approx(1, abs=0.2)
    assert paired.high - paired.low < (apart.high - apart.low) / 20
    with pytest.raises(Unscored, match="either side"):
        group_difference({"a": 1.0}, outside, generator=np.random.default_rng(1))
