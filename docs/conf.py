"""Documentation site: ``make docs`` builds it into ``site/`` without network; API pages come from the docstrings."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "models"), str(ROOT / "metrics")]

from emo_core.version import __version__

project = "emo-bench"
author = "The emo-bench authors"
project_copyright = "the emo-bench authors, Apache-2.0"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["api/_template.md"]
html_theme = "furo"
html_title = "emo-bench"
html_theme_options = {"navigation_with_keys": True}
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "description"
# Pages link to files of the repository (README, reports, configs) as people read them there.
suppress_warnings = ["myst.xref_missing", "ref.python"]

API = {
    "emo_bench": ("api", "record.schema", "systems.system", "data.sets.kind", "data.manifest", "media.types"),
    "emo_metrics": ("contract", "statistics"),
    "emo_models": ("emo.pipeline", "emo.model"),
    "emo_core": ("errors", "registry", "atomic", "hashing", "rng"),
}


def write_api_pages(app: Sphinx) -> None:
    """One page per public module, and their index; rewritten at every build, not tracked."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    names = [f"{package}.{module}" for package, modules in API.items() for module in modules]
    for name in names:
        text = f"# {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n   :show-inheritance:\n```\n"
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    toctree = "\n".join(["```{toctree}", *names, "```"])
    (folder / "index.md").write_text(f"# API\n\nMade from the docstrings.\n\n{toctree}\n", encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", write_api_pages)
