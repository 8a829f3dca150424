"""What typer leaves out: options with several values, one-line messages and near names."""

import difflib
import re
from collections.abc import Collection, Iterable, Sequence

import typer

_NOT_A_CHOICE = re.compile(r"'(?P<value>[^']*)' is not one of (?P<choices>.+?)\.?$")
_NO_SUCH_OPTION = re.compile(r"(No such option: \S+) \(Possible options: (?P<options>.+)\)")


def message_of(error: typer.TyperException) -> str:
    """Return typer's message in one line, with "did you mean" where a known name is near."""
    message = " ".join(error.format_message().replace("Value error, ", "").split())
    message = _NO_SUCH_OPTION.sub(r"\1. Did you mean \2?", message)
    if choice := _NOT_A_CHOICE.search(message):
        known = re.findall(r"'([^']*)'", choice["choices"])
        message = message.rstrip(".") + "." + did_you_mean(choice["value"], known)
    return message


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean X?" for the nearest known name, or "" if none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def repeat_options(arguments: Sequence[str], repeatable: Collection[str]) -> list[str]:
    """Write a repeatable option in front of each of its values, as typer reads them.

    ``--assets steps rollouts`` becomes ``--assets steps --assets rollouts``.
    """
    repeated: list[str] = []
    option = ""
    for argument in arguments:
        is_flag = argument.startswith("-")
        is_further_value = option and not is_flag and repeated[-1] != option
        repeated += [option, argument] if is_further_value else [argument]
        if is_flag:
            option = argument if argument in repeatable else ""
    return repeated
