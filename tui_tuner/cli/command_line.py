"""The `tuner` command and what its exit code says. Errors are one line each on stderr, never a traceback for a user."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tui_tuner import __version__
from tui_tuner.cli import (
    attach,
    bench,
    chat,
    demo,
    doctor,
    export,
    labels,
    logs,
    models,
    plan,
    resume,
    runs,
    schema,
    show,
    stop,
    train,
)
from tui_tuner.cli.failures import report_bug, report_error
from tui_tuner.errors import EXIT_BUG, EXIT_INTERRUPTED, TunerError

HELP = """\
Fine-tune a language model with LoRA, and prove that the adapter works.

`tuner` alone opens the app. It takes --folder FOLDER, which holds the runs, and --in-process, which keeps a run in the
app's own process.
"""
EPILOG = """\
Exit codes: 0 done; 1 doctor found a failure; 2 bad input; 3 labels that training would refuse; 4 training stopped
itself; 70 a bug in tuner; 129, 130, 143 stopped by a hang-up, Ctrl-C, a TERM signal (what was trained is saved; Ctrl-C
twice ends at once)."""


class ExitCodes(TyperGroup):
    """Turns errors that end a command into messages and exit codes."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TunerError as error:
            report_error(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(EXIT_INTERRUPTED) from error


app = typer.Typer(
    name="tuner",
    cls=ExitCodes,
    help=HELP,
    epilog=EPILOG,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)
for module in (
    plan,
    labels,
    train,
    resume,
    attach,
    stop,
    logs,
    demo,
    chat,
    export,
    runs,
    show,
    models,
    doctor,
    bench,
    schema,
):
    app.command(module.NAME)(module.command)


@app.callback(invoke_without_command=True)
def tuner(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        sys.stdout.write(f"tuner {__version__}\n")
        raise typer.Exit


def run_command() -> None:
    """Carry out the command of this process's arguments; ends by SystemExit."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal or pipe that is not UTF-8 shows "\\u2588" instead of failing.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        typer.main.get_command(app)(args=sys.argv[1:] or ["--help"], prog_name="tuner")
    except Exception as error:  # anything that is no TunerError is a bug, and gets its own exit code
        report_bug(error)
        raise SystemExit(EXIT_BUG) from error
