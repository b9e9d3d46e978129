"""The registries of extractors and metrics: names that import nothing until they are used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from emo_bench.extract.weights import WeightsFinder
from emo_core.hashing import digest_of
from emo_core.registry import Registry

if TYPE_CHECKING:
    from emo_metrics.contract import Extractor, Metric

extractors: Registry[type[Extractor]] = Registry("extractor", entry_point_group="emo_bench.extractors")
metrics: Registry[type[Metric]] = Registry("metric", entry_point_group="emo_bench.metrics")


@cache
def load_catalogues() -> None:
    """Registers everything that the metrics package brings; cheap, since targets are lazy."""
    from emo_metrics.registered import EXTRACTORS, METRICS

    for name, target in EXTRACTORS.items():
        extractors.add(name, target)
    for name, target in METRICS.items():
        metrics.add(name, target)


def metric_names() -> list[str]:
    """All protocols by name."""
    load_catalogues()
    return metrics.names()


def needed_extractors(protocols: Iterable[type[Metric]]) -> dict[str, type[Extractor]]:
    """Every extractor that the protocols read, with all that those require."""
    load_catalogues()
    found: dict[str, type[Extractor]] = {}
    waiting = [name for protocol in protocols for name in protocol.spec.extractors]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = extractors.get(name)
            waiting += found[name].requires
    return dict(sorted(found.items()))


def needed_by(kind: type[Extractor]) -> list[type[Extractor]]:
    """An extractor and everything that it requires, directly or through others."""
    load_catalogues()
    return [kind, *(part for name in kind.requires for part in needed_by(extractors.get(name)))]


def reads_truth(kind: type[Extractor]) -> bool:
    """Whether an extractor, or one that it requires, reads the frames of the ground truth."""
    from emo_metrics.contract import Need

    return any(Need.GROUND_TRUTH in part.needs for part in needed_by(kind))


def needs_truth(metric: type[Metric]) -> bool:
    """Whether a per-clip protocol compares each clip with its ground truth; a set protocol compares with any set."""
    from emo_metrics.contract import Granularity, Need

    own = bool(metric.spec.needs & {Need.GROUND_TRUTH, Need.TRUTH}) and metric.spec.granularity is Granularity.CLIP
    return own or any(reads_truth(extractors.get(name)) for name in metric.spec.extractors)


def extractor_digest(kind: type[Extractor], finder: WeightsFinder, *, engine: str = "torch") -> str:
    """Identity of an extractor: versioned names and pinned weights of itself and of all that it requires.

    An engine other than PyTorch goes in where the extractor uses it, so that its features never mix with PyTorch's.
    """
    load_catalogues()
    parts = [extractor_digest(extractors.get(name), finder, engine=engine) for name in sorted(kind.requires)]
    weights = {name: finder.serving(name).sha256 for name in kind.weights}
    shipped = dict(getattr(kind, "shipped", {}))  # networks inside the package: name -> pinned digest
    identity: dict[str, object] = {"name": kind.name, "weights": weights, "shipped": shipped, "requires": parts}
    return digest_of(identity | ({"engine": engine} if engine != "torch" and engine in kind.engines else {}))


def feature_key(
    kind: type[Extractor], *, digest: str, clip: Mapping[str, str], truth: Mapping[str, str], reference_frame: int
) -> str:
    """Identity of the features of one clip: only what this extractor reads goes in.

    Args:
        kind: The extractor.
        digest: From ``extractor_digest``.
        clip: ``video`` and ``audio`` digests of the clip.
        truth: The same of the ground truth.
        reference_frame: Index of the portrait in the ground truth.
    """
    from emo_metrics.contract import Need

    reads: dict[str, object] = {"extractor": digest, "video": clip["video"]}
    chain = needed_by(kind)
    needs = frozenset[Need]().union(*(part.needs for part in chain))
    if Need.AUDIO in needs:
        reads["audio"] = clip["audio"]
    if Need.GROUND_TRUTH in needs:
        reads["truth"] = truth["video"]
    if Need.REFERENCE_IMAGE in needs:
        reads["reference"] = [truth["video"], reference_frame]
    return digest_of(reads)
