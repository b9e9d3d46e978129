"""``emo-bench schema``: JSON Schemas for editors and other programs."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer


class Kind(StrEnum):
    """What has a schema."""

    SUITE = "suite"
    RECORD = "record"
    MANIFEST = "manifest"
    TRAIN = "train"


def schema(what: Annotated[Kind, typer.Argument(help="Whose schema.")] = Kind.SUITE) -> int:
    """Print the JSON Schema of suite files, training files, run records or manifest lines."""
    from emo_bench.cli.options import print_json
    from emo_bench.data.manifest import ManifestEntry
    from emo_bench.record.schema import RunRecord
    from emo_bench.runner.suite import suite_schema

    schemas: dict[Kind, Callable[[], dict[str, Any]]] = {
        Kind.SUITE: suite_schema,
        Kind.RECORD: RunRecord.model_json_schema,
        Kind.MANIFEST: ManifestEntry.model_json_schema,
        Kind.TRAIN: _training_schema,
    }
    print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **schemas[what]()})
    return 0


def _training_schema() -> dict[str, Any]:
    # Imported only where it is wanted: the other schemas should not wait for it.
    from emo_bench.train.config import training_schema

    return training_schema()
