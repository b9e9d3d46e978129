"""Entry point: collects the commands, turns errors into messages and exit codes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from emo_bench.cli import (
    animate,
    audit,
    credentials,
    data,
    doctor,
    gate,
    leaderboard,
    ls,
    plan,
    report,
    reproduce,
    run,
    schema,
    score,
    store,
    study,
    systems,
    train,
    validate,
    validate_humans,
    view,
    weights,
)
from emo_bench.cli.streams import flushed, make_streams_sturdy
from emo_core.errors import EmoBenchError, ExitCode
from emo_core.version import __version__

app = typer.Typer(
    name="emo-bench",
    help="Evaluate audio-driven talking-portrait models: videos, numbers with intervals, a report, a verdict.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 ok · 1 gate failed · 2 usage or configuration · 3 some clips failed · 130 interrupted",
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"emo-bench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    del version


app.command("run", rich_help_panel="Evaluate")(run.run)
app.command("score", rich_help_panel="Evaluate")(score.score)
app.command("plan", rich_help_panel="Evaluate")(plan.plan)
app.command("validate", rich_help_panel="Evaluate")(validate.validate)
app.command("train", rich_help_panel="Make")(train.train)
app.command("animate", rich_help_panel="Make")(animate.animate)
app.command("report", rich_help_panel="Judge")(report.report)
app.command("compare", rich_help_panel="Judge")(report.compare)
app.command("audit", rich_help_panel="Judge")(audit.audit)
app.command("gate", rich_help_panel="Judge")(gate.gate)
app.command("reproduce", rich_help_panel="Judge")(reproduce.reproduce)
app.command("leaderboard", rich_help_panel="Judge")(leaderboard.leaderboard)
app.command("export", rich_help_panel="Judge")(report.export)
app.command("validate-humans", rich_help_panel="Judge")(validate_humans.validate_humans)
app.command("ls", rich_help_panel="Look")(ls.ls)
app.command("view", rich_help_panel="Look")(view.view)
app.command("credentials", rich_help_panel="Look")(credentials.credentials)
app.command("doctor", rich_help_panel="Look")(doctor.doctor)
app.command("schema", rich_help_panel="Look")(schema.schema)
app.add_typer(study.app, name="study", rich_help_panel="Judge")
app.add_typer(data.app, name="data", rich_help_panel="Prepare")
app.add_typer(weights.app, name="weights", rich_help_panel="Prepare")
app.add_typer(store.app, name="store", rich_help_panel="Look")
app.add_typer(systems.app, name="systems", rich_help_panel="Prepare")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code; also the target of the ``emo-bench`` script.

    Args:
        arguments: As after the program's name; those of the process when absent.
    """
    try:
        code = app(args=arguments, standalone_mode=False)
    except EmoBenchError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        return ExitCode.OK  # the reader of our output has gone; that is not an error
    except OSError as error:
        _complain(f"the file system refused: {error}; everything finished until now is kept")
        return ExitCode.USAGE
    except Exception as error:
        return _from_library(error)
    # The library silently turns a KeyboardInterrupt into this code.
    return _interrupted() if code == ExitCode.INTERRUPTED else int(code or 0)


def _from_library(error: Exception) -> int:
    """Message and exit code of an error of the command-line library, or of a bug: never the code of a verdict."""
    show = getattr(error, "show", None)
    if type(error).__name__ == "Abort":
        return _interrupted()  # how the library passes a KeyboardInterrupt on
    if callable(show):
        show()
    elif isinstance(error, (MemoryError, ImportError)):
        _complain(f"not enough memory or an incomplete installation: {type(error).__name__}: {error}")
    else:
        _complain(traceback.format_exc())
        _complain(f"this is a bug ({type(error).__name__}); everything finished until now is kept")
    return ExitCode.USAGE


def _interrupted() -> int:
    _complain("interrupted; what was stored until now is kept, and the same command continues from there")
    return ExitCode.INTERRUPTED


def _complain(text: str) -> None:
    from emo_core.text import printable

    sys.stderr.write(f"emo-bench: {printable(text)}\n")


def script() -> None:
    """Entry point of the installed ``emo-bench`` program."""
    make_streams_sturdy()
    sys.exit(flushed(main(), ExitCode.USAGE))


if __name__ == "__main__":
    script()
