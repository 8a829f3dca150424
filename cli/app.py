"""The command ``shepherd``: its subcommands, exit codes and one-line errors.

Only :mod:`typer` and pure text functions are imported here. Each subcommand imports what it needs
when it runs, so that ``shepherd --help`` answers at once.
"""

import contextlib
import sys
from collections.abc import Sequence
from typing import Final

import typer

from cli.commands.copy import copy
from cli.commands.estimate import estimate
from cli.commands.labels import export, labels_app
from cli.commands.report import report
from cli.commands.run import run
from cli.commands.score import score
from cli.commands.status import status
from cli.commands.ui import ui
from cli.commands.verify import verify
from cli.commands.warehouse import warehouse_app
from cli.file_errors import file_error
from cli.interrupts import KeptInterrupts
from cli.parsing import message_of, repeat_options
from resources.processes import ends_as_interrupts
from shepherd.messages import one_line

MANY_VALUES = ("--assets", "--partitions")
"""Options of ``shepherd run`` that take several values."""

DONE: Final = 0
USER_ERROR: Final = 2
INTERRUPTED: Final = 130

RESUMES = "Finished work is saved: the same command resumes."

EXIT_CODES = """
\b
Exit codes:
  0    done
  1    a part failed; what is finished is saved
  2    an error that you can correct; one line on stderr says how
  130  interrupted; the same command resumes
"""

app = typer.Typer(
    name="shepherd",
    help="Math-Shepherd: from math problems to step labels, reward models and verification.",
    epilog=EXIT_CODES,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for function in (run, status, estimate, score, export, report):
    app.command()(function)
app.add_typer(labels_app, name="labels")
app.add_typer(warehouse_app, name="warehouse")
app.command()(verify)
app.command()(copy)
app.command()(ui)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit code; ``arguments`` are those of the process if None.

    A ValueError is a mistake of the user: its message goes to stderr in one line. So does what a
    full disk or missing permissions prevent. SIGTERM and a closed terminal end the command as
    Ctrl-C does.
    """
    given = repeat_options(sys.argv[1:] if arguments is None else arguments, MANY_VALUES)
    try:
        with ends_as_interrupts():
            code = _exit_code(given or ["--help"])
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        resumes = f" {RESUMES}" if given[:1] == [run.__name__] else ""
        # A terminal that was closed prints nothing any more.
        with contextlib.suppress(OSError):
            print(f"\nStopped.{resumes}", flush=True)
    return code


def _exit_code(arguments: Sequence[str]) -> int:
    """Run a subcommand and return its exit code; print one line for what the user can correct."""
    command = typer.main.get_command(app)
    try:
        with KeptInterrupts():
            code = command.main(arguments, prog_name="shepherd", standalone_mode=False)
    except typer.TyperException as error:
        print(f"error: {one_line(message_of(error))}", file=sys.stderr)
        return USER_ERROR
    except ValueError as error:
        print(f"error: {one_line(str(error))}", file=sys.stderr)
        return USER_ERROR
    except OSError as error:
        message = file_error(str(error))
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        return USER_ERROR
    return code if isinstance(code, int) else DONE
