"""``shepherd verify``: damaged, lost and stray files of a home folder."""

import sys

from cli.options import DEFAULT_HOME, HomeOption, home_at


def verify(home: HomeOption = DEFAULT_HOME) -> int:
    """Read all files of a home and find damage.

    Checks digests, schemas, keys and stray files of the lake, weights of models, journals and the
    warehouse. Prints one line for each finding, and exits with 1 if there is an error.
    """
    from tqdm import tqdm

    from resources.storage.verification import items_of

    items = items_of(home_at(home))
    num_errors = num_notes = 0
    total = sum(item.num_bytes for item in items)
    with tqdm(total=total, unit="B", unit_scale=True, disable=None, leave=False) as bar:
        for item in items:
            bar.set_postfix_str(item.path.name, refresh=False)
            for finding in item.findings():
                num_notes += finding.is_note
                num_errors += not finding.is_note
                with tqdm.external_write_mode(file=sys.stdout):
                    print(finding, flush=True)
            bar.update(item.num_bytes)
    print(f"{total / 2**20:,.1f} MiB verified: {num_errors} errors, {num_notes} notes")
    return int(bool(num_errors))
