"""The samples behind values of whole sets (FID, E-FID), so that whoever decides on such a value can recompute it.

They are kept as far as they are small: a run of thousands of clips keeps none of its largest protocols.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emo_bench.record.limits import table_rows
from emo_core.atomic import atomic_path

SAMPLES_FILE = "samples.parquet"
MAX_SAMPLES_BYTES = 64 << 20
"""Of all samples of a run; protocols that do not fit into what is left are not kept."""

COLUMNS = ("protocol", "system", "clip", "seed", "coverage", "kind", "width", "data")
KINDS = {"f4": np.float32, "f8": np.float64}


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipSamples:
    """What one clip contributes to a value of a set.

    Attributes:
        protocol: ``metric/variant@version``.
        system: Name of the system.
        clip: Id of the clip.
        seed: Seed of the generation.
        coverage: Share of the clip's frames that the samples rest on.
        samples: ``float64 [n, d]``.
    """

    protocol: str
    system: str
    clip: str
    seed: int
    coverage: float
    samples: NDArray[np.float64]

    @property
    def stored(self) -> NDArray[np.floating]:
        """The samples in half the bytes where that loses nothing."""
        small = self.samples.astype("<f4")
        return small if np.array_equal(small.astype(np.float64), self.samples) else self.samples.astype("<f8")


def that_fit(found: Sequence[ClipSamples], *, kept: Iterable[ClipSamples]) -> Sequence[ClipSamples]:
    """The samples of one protocol, or nothing when they do not fit beside those that are kept already."""
    used = sum(one.stored.nbytes for one in kept)
    return found if used + sum(one.stored.nbytes for one in found) <= MAX_SAMPLES_BYTES else ()


def write_set_samples(folder: Path, found: Sequence[ClipSamples]) -> None:
    """Writes ``samples.parquet`` into a run's folder, or takes an older one away when there are none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / SAMPLES_FILE
    if not found:
        path.unlink(missing_ok=True)
        return
    rows = [
        (one.protocol, one.system, one.clip, one.seed, one.coverage, stored.dtype.str[1:], stored.shape[1], stored)
        for one in found
        for stored in (one.stored,)
    ]
    columns = [list(column) for column in zip(*rows, strict=True)]
    columns[-1] = [stored.tobytes() for stored in columns[-1]]
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns, names=list(COLUMNS)), temporary, compression="zstd", use_dictionary=False)


def read_set_samples(path: Path) -> Iterator[ClipSamples]:
    """Reads what ``write_set_samples`` wrote.

    Raises:
        ValueError: when a cell holds no samples.
        RecordError: when it holds more than a run could have written.
    """
    for protocol, system, clip, seed, coverage, kind, width, data in table_rows(path, COLUMNS, texts=()):
        flat = np.frombuffer(data, dtype=np.dtype(KINDS[kind]).newbyteorder("<"))
        samples = flat.reshape(-1, width).astype(np.float64)
        yield ClipSamples(
            protocol=protocol, system=system, clip=clip, seed=seed, coverage=float(coverage), samples=samples
        )


def by_system(found: Iterable[ClipSamples]) -> Mapping[tuple[str, str], Mapping[str, ClipSamples]]:
    """(protocol, system) -> ``clip#seed`` -> samples."""
    grouped: dict[tuple[str, str], dict[str, ClipSamples]] = {}
    for one in found:
        grouped.setdefault((one.protocol, one.system), {})[f"{one.clip}#{one.seed}"] = one
    return grouped
