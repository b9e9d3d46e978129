"""Per-clip rows: one number, or one reason, for every clip, system, seed and value of a protocol."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from emo_bench.engine.context import RunContext
from emo_bench.engine.unit import GROUND_TRUTH, Outcome, Unit
from emo_bench.extract.catalogue import needs_truth
from emo_bench.extract.feature_store import FeatureResult
from emo_bench.record.rows import ClipRow
from emo_bench.scoring.coverage import frame_share
from emo_core.errors import DataError
from emo_core.hashing import sha256_bytes

if TYPE_CHECKING:
    from emo_metrics.contract import Arrays, ClipFeatures, ClipMetric

TRUTH_FEATURES = "truth/hdtf-synth@1"
"""Name under which the per-frame truth of a synthetic clip stands beside its extracted features."""


NO_TRUTH = "the clip is a portrait with audio and has no ground truth"


class FeatureReader:
    """Reads the features of finished units, one protocol at a time, so that memory stays small."""

    def __init__(self, context: RunContext, outcomes: Iterable[Outcome]) -> None:
        self._context = context
        self.outcomes: Mapping[Unit, Outcome] = {outcome.unit: outcome for outcome in outcomes}
        self._truths = {unit.clip: outcome for unit, outcome in self.outcomes.items() if unit.system == GROUND_TRUTH}

    def truth_unit(self, clip: str) -> Unit:
        """The unit of a clip's ground truth."""
        return self._truths[clip].unit

    def lacks_truth(self, clip: str) -> bool:
        """Whether a clip is a portrait with audio only."""
        return self._context.entries[clip].wild

    def units(self, system: str) -> list[Unit]:
        """The units of a system in order of clip and seed; no ground truth of clips that have none."""
        return sorted(unit for unit in self.outcomes if unit.system == system and self._context.has_features(unit))

    def results(self, unit: Unit, extractors: Sequence[str]) -> dict[str, FeatureResult]:
        """What each extractor made of a unit's clip; a failed clip has its failure as the result of all."""
        if not self._context.has_features(unit):
            return {name: FeatureResult({}, "not_applicable", NO_TRUTH) for name in extractors}
        outcome, truth = self.outcomes[unit], self._truths[unit.clip]
        if outcome.code != "ok" or outcome.clip is None or truth.clip is None:
            return {name: FeatureResult({}, outcome.code, outcome.reason) for name in extractors}
        keys = self._context.feature_keys(unit.clip, outcome.clip, truth.clip)
        found = {}
        for name in extractors:
            if name not in keys:
                found[name] = FeatureResult({}, "not_applicable", NO_TRUTH)
                continue
            result = self._context.features.get(name, keys[name])
            if result is None:
                # Only an extractor that failed leaves nothing in the store.
                status, reason = (outcome.features or {}).get(name, ("ok", ""))
                lost = ("lost", "the stored features were damaged; run again")
                result = FeatureResult({}, *(lost if status == "ok" else (status, reason)))
            found[name] = result
        return found

    def truth_arrays(self, clip: str) -> Arrays:
        """Per-frame truth of a synthetic clip; empty for real ones.

        Raises:
            Unscored: when the file is missing or is not the one of the manifest.
        """
        from emo_metrics.contract import Unscored

        entry = self._context.entries[clip]
        if entry.truth is None:
            return {}
        from safetensors.numpy import load

        try:
            data = self._context.manifest.path(entry.truth).read_bytes()
        except (OSError, DataError) as error:
            raise Unscored("lost", f"the truth file {entry.truth} cannot be read: {error}") from None
        if sha256_bytes(data) != entry.sha256["truth"]:
            raise Unscored("wrong_bytes", f"the truth file {entry.truth} is not the one of the manifest")
        return dict(load(data))

    def features(self, unit: Unit, extractors: Sequence[str], *, with_truth: bool) -> ClipFeatures:
        """The features of a unit.

        Raises:
            Unscored: with the first missing extractor's status and reason.
        """
        from emo_metrics.contract import ClipFeatures, Unscored

        results = self.results(unit, extractors)
        for name in extractors:
            if results[name].status != "ok":
                raise Unscored(results[name].status, results[name].reason)
        outcome = self.outcomes[unit]
        assert outcome.clip is not None  # noqa: S101 - a missing clip was answered above
        arrays: dict[str, Arrays] = {name: result.arrays for name, result in results.items()}
        if with_truth:
            arrays[TRUTH_FEATURES] = self.truth_arrays(unit.clip)
        return ClipFeatures(
            clip_id=unit.clip,
            identity=self._context.entries[unit.clip].identity,
            fps=self._context.config.media.rate,
            n_frames=outcome.clip.n_frames,
            arrays=arrays,
        )


def clip_rows(
    reader: FeatureReader, metric: ClipMetric, units: Sequence[Unit], identities: Mapping[str, str]
) -> list[ClipRow]:
    """Rows of one per-clip protocol for the given units."""
    rows: list[ClipRow] = []
    for unit in units:
        rows += _rows_of(reader, metric, unit, identities[unit.clip])
    return rows


def _rows_of(reader: FeatureReader, metric: ClipMetric, unit: Unit, identity: str) -> Iterator[ClipRow]:
    from emo_metrics.contract import Need, Unscored

    spec = metric.spec
    if reader.lacks_truth(unit.clip) and needs_truth(type(metric)):
        yield from (_without_truth(unit, identity, spec.name, value.key) for value in spec.values)
        return
    values: Mapping[str, float] = {}
    coverage: float | None = None
    status, reason = "ok", ""
    try:
        generated = reader.features(unit, spec.extractors, with_truth=False)
        coverage, truth = frame_share(generated), None
        if spec.needs & {Need.GROUND_TRUTH, Need.TRUTH}:
            truth = reader.features(reader.truth_unit(unit.clip), spec.extractors, with_truth=Need.TRUTH in spec.needs)
        values = metric.score_clip(generated, truth)
    except Unscored as outcome:
        status, reason = outcome.status, outcome.reason
    except Exception as error:  # a bug in one metric must not take the others' numbers with it
        status, reason = "error", f"{type(error).__name__}: {error}"
    for value in spec.values:
        number = values.get(value.key)
        lost = status == "ok" and (number is None or not np.isfinite(number))
        yield ClipRow(
            system=unit.system,
            clip=unit.clip,
            identity=identity,
            seed=unit.seed,
            protocol=spec.name,
            key=value.key,
            value=float(number) if status == "ok" and not lost and number is not None else None,
            status="undefined" if lost else status,
            reason="the metric gave no finite number" if lost else reason,
            coverage=coverage if status == "ok" and not lost else None,
        )


def _without_truth(unit: Unit, identity: str, protocol: str, key: str) -> ClipRow:
    """The row of a clip without ground truth under a protocol that needs one."""
    return ClipRow(
        system=unit.system,
        clip=unit.clip,
        identity=identity,
        seed=unit.seed,
        protocol=protocol,
        key=key,
        value=None,
        status="not_applicable",
        reason=NO_TRUTH,
    )
