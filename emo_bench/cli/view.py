"""``emo-bench view``: runs and their clips in the browser of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emo_bench.cli.options import say


def view(
    folder: Annotated[Path, typer.Argument(help="Folder of runs.", metavar="FOLDER")] = Path("runs"),
    store: Annotated[
        Path | None, typer.Option("--store", help="Folder of clips; the one that each run names when absent.")
    ] = None,
    port: Annotated[int, typer.Option("--port", help="0: any that is free.", min=0, max=65535)] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
) -> int:
    """Look at runs and their clips at full size; follows a running one. Ctrl-C ends it.

    The page is served to this machine only, at an address that holds a random token; nothing is written.
    """
    import tempfile
    import webbrowser

    from emo_bench.viewer.server import Server, Viewer
    from emo_core.errors import ConfigError

    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}", expected="a folder of runs")
    if store is not None and not (store / "clips").is_dir():
        raise ConfigError(f"{store} is no store", expected="a folder with clips/ in it, usually runs/.store")
    with (
        tempfile.TemporaryDirectory(prefix="emo-bench-view-") as work,
        Server(Viewer(folder, store, Path(work)), port) as server,
    ):
        say(f"open {server.url}  (Ctrl-C ends it)")
        if browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("")
    return 0
