"""The table of all protocols in the documentation is that of the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_of_protocols_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("protocol_table", ROOT / "docs" / "protocol_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = module.PAGE.read_text(encoding="utf-8")
    assert module.page(text) == text, "run: python docs/protocol_table.py"
    assert text.count("| [`") > 50
