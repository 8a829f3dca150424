"""Run the command ``shepherd`` as ``python -m cli``, and in the script of that name."""

import signal
import sys
from typing import NoReturn


def command() -> NoReturn:
    """Run the command and end the process with its exit code.

    Ctrl-C ends it without a traceback, while the command is imported and after its last line too.
    """
    try:
        from cli.app import main

        code = main()
    except KeyboardInterrupt:
        code = 130
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


if __name__ == "__main__":
    command()
