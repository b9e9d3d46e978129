"""``emo-bench schema``: JSON Schemas for editors and other programs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Kind(StrEnum):
    """What has a schema."""

    SUITE = "suite"
    RECORD = "record"
    MANIFEST = "manifest"


def schema(what: Annotated[Kind, typer.Argument(help="Whose schema.")] = Kind.SUITE) -> int:
    """Print the JSON Schema of suite files, run records or manifest lines."""
    from pydantic import BaseModel

    from emo_bench.cli.options import print_json
    from emo_bench.data.manifest import ManifestEntry
    from emo_bench.record.schema import RunRecord
    from emo_bench.runner.suite import suite_schema

    models: dict[Kind, type[BaseModel]] = {
        Kind.RECORD: RunRecord,
        Kind.MANIFEST: ManifestEntry,
    }
    described = suite_schema() if what is Kind.SUITE else models[what].model_json_schema()
    print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **described})
    return 0
