"""The fields of a section of settings as flags of a command line, read and written."""

import argparse
from typing import TypeVar

from pydantic import ValidationError

from shepherd.settings import Section

S = TypeVar("S", bound=Section)


def add_fields(parser: argparse.ArgumentParser, section: type[Section]) -> None:
    """Add a flag for each field of a section."""
    group = parser.add_argument_group(section.__name__, (section.__doc__ or "").split("\n")[0])
    for name, field in section.model_fields.items():
        group.add_argument(
            f"--{name.replace('_', '-')}",
            default=argparse.SUPPRESS,
            metavar="VALUE",
            help=f"default: {field.default}",
        )


def read_fields(parser: argparse.ArgumentParser, args: argparse.Namespace, section: type[S]) -> S:
    """Return the section that the flags describe; end with a message where one is wrong."""
    given = {name: value for name, value in vars(args).items() if name in section.model_fields}
    try:
        return section.model_validate(given)
    except ValidationError as error:
        parser.error(
            "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        )


def flags_of(section: Section) -> list[str]:
    """Return the flags that describe a section."""
    fields = section.model_dump(exclude_none=True)
    return [f"--{name.replace('_', '-')}={value}" for name, value in fields.items()]
