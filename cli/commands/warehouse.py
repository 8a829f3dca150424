"""``shepherd warehouse``: the DuckDB file of the lake and of every SQL model."""

import typer

from cli.options import DEFAULT_HOME, HomeOption, home_at

warehouse_app = typer.Typer(
    help="Build, test or list the SQL models over the lake.",
    rich_markup_mode=None,
)


@warehouse_app.command()
def build(home: HomeOption = DEFAULT_HOME) -> None:
    """Write warehouse.duckdb again from the lake.

    Prints the number of rows of each relation.
    """
    from resources.storage.warehouse import build_warehouse

    folder = home_at(home)
    rows = build_warehouse(folder.lake, folder.warehouse, files=folder.files)
    for name, num_rows in rows.items():
        print(f"{num_rows:>12,}  {name}")


@warehouse_app.command("test")
def check(home: HomeOption = DEFAULT_HOME) -> int:
    """Run all SQL tests on the warehouse.

    Prints the rows that break a rule, and exits with 1 if there are any.
    """
    from resources.storage.warehouse import run_tests

    folder = home_at(home)
    folder.files.fetch([folder.warehouse])
    results = run_tests(folder.warehouse)
    failed = [result for result in results if result.num_failures]
    for result in failed:
        print(f"{result.name}: {result.num_failures} failing rows, the first are\n{result.rows}")
    print(f"{len(results) - len(failed)} of {len(results)} tests hold")
    return int(bool(failed))


@warehouse_app.command()
def lineage() -> None:
    """Print the relations that each SQL model reads."""
    from resources.storage.sql_files import sql_models

    for model in sql_models():
        print(f"{model.name}: {', '.join(model.upstream)}")
