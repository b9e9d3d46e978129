"""The files of a run are read within limits: a small file cannot ask for gigabytes."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emo_bench.record import limits
from emo_bench.record.limits import read_bytes, table_rows
from emo_bench.record.run_data import load_run
from emo_core.errors import RecordError

COLUMNS = {"system": pa.string(), "seed": pa.int64(), "value": pa.float64()}


def write(path: Path, *, rows: int, text: str = "a") -> Path:
    columns = [pa.array([text] * rows), pa.array([0] * rows), pa.array([1.0] * rows)]
    pq.write_table(pa.table(dict(zip(COLUMNS, columns, strict=True))), path)
    return path


def read(path: Path) -> int:
    return sum(1 for _ in table_rows(path, list(COLUMNS), texts=["system"]))


def test_what_a_run_could_have_written_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", rows=50_000)
    assert read(path) == 50_000
    assert next(iter(table_rows(path, list(COLUMNS), texts=["system"]))) == ("a", 0, 1.0)


def test_too_many_rows_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", rows=limits.MAX_ROWS + 1)
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    with pytest.raises(RecordError, match="too large"):
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def test_a_long_text_in_every_row_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", rows=2000, text="x" * (limits.MAX_CELL_BYTES + 1))
    with pytest.raises(RecordError, match="too large"):
        read(path)


def test_a_sparse_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(RecordError, match="too large"):
        read_bytes(path, 1 << 20)


def test_a_run_with_such_files_is_shown_without_them_and_says_so(run_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    for preview in sorted((folder / "previews").glob("*.mp4"))[:1]:
        with preview.open("r+b") as stream:
            stream.truncate(1 << 40)
    found = load_run(folder)
    assert len(found.previews) == len(load_run(run_folder).previews) - 1
    assert any(preview.name in sentence for sentence in found.damage)
