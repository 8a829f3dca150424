"""The command line of every benchmark: its options, its folder, its output and its exit code."""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Result, as_json, as_table
from resources.processes import ends_as_interrupts

DONE, TARGET_MISSED, USER_CAN_FIX, INTERRUPTED = 0, 1, 2, 130
"""Exit codes. Targets do not count with ``--smallest``."""

EXIT_CODES = """\
Exit codes: 0 if all targets are met, 1 if one is missed, 2 if the user can fix what went wrong,
130 if it was interrupted by Ctrl-C or SIGTERM, which end its servers, too.
With --smallest, missed targets do not change the exit code."""


@dataclass(frozen=True)
class Size:
    """A number that sets how much is measured, as the option ``--<name>``.

    ``smallest`` replaces ``default`` with ``--smallest``. ``meaning`` states the unit.
    """

    name: str
    default: float
    smallest: float
    meaning: str


@dataclass(frozen=True)
class Benchmark:
    """A command ``python -m benchmarks.<name>``.

    ``run`` takes the parsed options and returns the results. ``options.folder`` is an existing
    folder for its files: a temporary one, or the folder of ``--keep`` if ``resumes`` is set.
    ``add_options`` adds options other than sizes to the parser.
    """

    name: str
    description: str
    run: Callable[[argparse.Namespace], list[Result]]
    sizes: Sequence[Size] = ()
    resumes: bool = False
    add_options: Callable[[argparse.ArgumentParser], None] | None = None

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Run with command-line arguments, print the results and return the exit code."""
        given = sys.argv[1:] if arguments is None else list(arguments)
        options = self.parse(given)
        try:
            with (
                ends_as_interrupts(),
                tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary,
            ):
                options.folder = (self.resumes and options.keep) or Path(temporary)
                options.folder.mkdir(parents=True, exist_ok=True)
                results = self.run(options)
        except ValueError as error:
            print(f"benchmarks.{self.name}: error: {error}", file=sys.stderr)
            return USER_CAN_FIX
        except KeyboardInterrupt:
            return INTERRUPTED
        command = shlex.join(
            ["python", "-m", f"benchmarks.{self.name}", *(a for a in given if a != "--json")]
        )
        print(as_json(self.name, command, results) if options.json else as_table(results))
        return self._exit_code(results, smallest=bool(self.sizes) and options.smallest)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Return the options; a size that is not given has its default or smallest value."""
        options = self._parser().parse_args(arguments)
        for size in self.sizes:
            attribute = size.name.replace("-", "_")
            if getattr(options, attribute) is None:
                setattr(options, attribute, size.smallest if options.smallest else size.default)
        return options

    def _parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(
            prog=f"python -m benchmarks.{self.name}",
            description=self.description,
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object instead of a table"
        )
        if self.sizes:
            parser.add_argument(
                "--smallest",
                action="store_true",
                help="use the smallest value of every size: shows that the benchmark runs",
            )
        for size in self.sizes:
            parser.add_argument(
                f"--{size.name}",
                type=type(size.default),
                help=f"{size.meaning} (default {size.default:,}, smallest {size.smallest:,})",
            )
        if self.resumes:
            parser.add_argument(
                "--keep", type=Path, metavar="FOLDER", help="keep models and draws; resume there"
            )
        if self.add_options is not None:
            self.add_options(parser)
        return parser

    def _exit_code(self, results: Sequence[Result], *, smallest: bool) -> int:
        missed = [result.name for result in results if result.met is False]
        if not missed or smallest:
            return DONE
        print(
            f"benchmarks.{self.name}: {len(missed)} targets missed: {'; '.join(missed)}",
            file=sys.stderr,
        )
        return TARGET_MISSED
