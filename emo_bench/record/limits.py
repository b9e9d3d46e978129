"""Limits for reading the files of a run, which are untrusted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from emo_core.errors import RecordError

MAX_RECORD_BYTES = 256 << 20
MAX_TEXT_BYTES = 256 << 20
"""Of the journal and of indices."""
MAX_PREVIEW_BYTES = 128 << 20
"""Of one preview; pages hold all of them."""
MAX_ROWS = 3_000_000
MAX_TABLE_BYTES = 1 << 30
"""Of a table in memory."""
MAX_CELL_BYTES = 1 << 20
_BATCH = 20_000


def read_bytes(path: Path, limit: int) -> bytes:
    """The bytes of a file.

    Raises:
        RecordError: when there are more than ``limit``.
    """
    with path.open("rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise RecordError(f"{path} is too large", expected=f"at most {limit} bytes", found="more")
    return data


def table_rows(path: Path, columns: Sequence[str], *, texts: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of a parquet file, batch by batch.

    Args:
        path: The file.
        columns: Which columns, in this order.
        texts: Those that hold text; repeated texts stay one while they are measured.

    Raises:
        RecordError: when it holds more than a run could have written.
    """
    import pyarrow.parquet as pq

    wrong = RecordError(f"{path} is too large", expected=f"at most {MAX_ROWS} rows and {MAX_TABLE_BYTES} bytes")
    with pq.ParquetFile(path, read_dictionary=list(texts)) as file:
        groups = [file.metadata.row_group(index) for index in range(min(file.metadata.num_row_groups, MAX_ROWS))]
        if file.metadata.num_rows > MAX_ROWS or sum(group.total_byte_size for group in groups) > MAX_TABLE_BYTES:
            raise wrong
        n_rows = n_bytes = 0
        for batch in file.iter_batches(batch_size=_BATCH, columns=list(columns)):
            n_rows, n_bytes = n_rows + batch.num_rows, n_bytes + batch.nbytes
            if n_rows > MAX_ROWS or n_bytes > MAX_TABLE_BYTES:
                raise wrong
            for name in texts:
                known = getattr(batch.column(name), "dictionary", batch.column(name))
                if any(len(text.as_py() or "") > MAX_CELL_BYTES for text in known if known.nbytes > MAX_CELL_BYTES):
                    raise wrong
            values = batch.to_pydict()
            yield from zip(*(values[name] for name in columns), strict=True)
