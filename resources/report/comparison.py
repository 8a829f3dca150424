"""Compare two homes on one HTML page: settings, labels, verifier curves and costs."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import duckdb

from resources.report.comparison_curves import curve_figures, differences
from resources.report.rendering import PAGE
from resources.storage.atomic import replacing_file
from resources.storage.sql_files import SQL_ROOT
from resources.storage.warehouse import open_warehouse

Row = dict[str, object]

QUERIES = ("compared_labels", "changed_labels", "compared_accuracies", "compared_costs")
"""The files of ``dbt_like_sql/comparison``: each reads the attached warehouses ``a`` and ``b``."""

UNKNOWN = "-"


def write_comparison(
    names: tuple[str, str],
    warehouses: tuple[Path, Path],
    settings: tuple[Mapping[str, object], Mapping[str, object]],
    out: Path,
) -> None:
    """Write the page that compares two homes, A and B.

    Args:
        names: what the homes are called on the page.
        warehouses: their DuckDB files.
        settings: the settings of their runs by dotted field.
        out: the page to write.

    Raises:
        ValueError: a warehouse is missing, damaged or in use: build it again.
    """
    rows = compared(*warehouses)
    body = "\n".join(_sections(names, settings, rows))
    title = " and ".join(html.escape(name) for name in names)
    page = (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>Comparison of {title}</title>\n"
        f"<style>\n{(PAGE / 'style.css').read_text()}</style>\n{body}\n</html>\n"
    )
    with replacing_file(out) as file:
        file.write(page.encode())


def compared(a: Path, b: Path) -> dict[str, list[Row]]:
    """Return the rows of each query over two warehouses.

    Raises:
        ValueError: a warehouse is missing, damaged, in use or of another version of the pipeline.
    """
    for path in (a, b):
        open_warehouse(path).close()
    with duckdb.connect() as connection:
        for name, path in (("a", a), ("b", b)):
            literal = str(path.absolute()).replace("'", "''")
            connection.execute(f"attach '{literal}' as {name} (read_only)")
        try:
            return {name: _rows(connection, name) for name in QUERIES}
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"{a} and {b}: are of different versions of the pipeline ({reason}): run "
                "shepherd warehouse build for both homes"
            ) from error


def _rows(connection: duckdb.DuckDBPyConnection, name: str) -> list[Row]:
    sql = (SQL_ROOT / "comparison" / f"{name}.sql").read_text(encoding="utf-8")
    rows: list[Row] = connection.sql(sql).pl().to_dicts()
    return rows


def changed_settings(a: Mapping[str, object], b: Mapping[str, object]) -> list[Row]:
    """Return the fields whose values differ. A field that one home lacks has the value None there.

    Fields come with new versions of the pipeline, so those that are null or absent are alike.
    """
    return [
        {"field": field, "in A": a.get(field), "in B": b.get(field)}
        for field in sorted(a.keys() | b.keys())
        if a.get(field) != b.get(field)
    ]


def _sections(
    names: tuple[str, str],
    settings: tuple[Mapping[str, object], Mapping[str, object]],
    rows: Mapping[str, Sequence[Row]],
) -> Iterable[str]:
    a, b = map(html.escape, names)
    yield '<header class="page"><h1>Two runs side by side</h1>'
    yield f'<p class="lead">A is <code>{a}</code>, B is <code>{b}</code>.</p></header>\n<main>'
    changed = changed_settings(*settings)
    yield _section("Settings that differ", table(changed) or "None of the known settings.")
    labels = table(rows["compared_labels"])
    yield _section("Labels", labels or "Neither home has labels.")
    steps = table(rows["changed_labels"])
    if steps:
        note = "Worst first: steps of which B is wrong and A is right by the truth. At most 200."
        yield _section("Steps whose label changed", f'<p class="note">{note}</p>{steps}')
    accuracies = rows["compared_accuracies"]
    if accuracies:
        note = "Dashed: A. Solid: B. Horizontal: N. The table has B less A, in points."
        figures = (
            f'<p class="note">{note}</p><div class="figures">{curve_figures(accuracies)}</div>'
        )
        yield _section(
            "Share of test problems solved, by N", figures + table(differences(accuracies))
        )
    if rows["compared_costs"]:
        yield _section("Costs", table(rows["compared_costs"]))
    yield "</main>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{html.escape(title)}</h2>\n{body}\n</section>"


def table(rows: Sequence[Row]) -> str:
    """Return rows as an HTML table that fits any width; empty text without rows."""
    if not rows:
        return ""
    heads = {name: html.escape(_head(name)) for name in rows[0]}
    kinds = {name: _kind([row[name] for row in rows]) for name in heads}
    head = "".join(f"<th{kinds[name]}>{title}</th>" for name, title in heads.items())
    lines = []
    for row in rows:
        cells = (
            f'<td{kinds[name]} data-head="{heads[name]}"><span>{_shown(value)}</span></td>'
            for name, value in row.items()
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    body = "\n".join(lines)
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def _head(name: str) -> str:
    """Return the title of a column; the homes are A and B."""
    return re.sub(r"\b[ab]\b", lambda home: home[0].upper(), name.replace("_", " "))


def _kind(values: Sequence[object]) -> str:
    """Return the class of a column's cells: texts wrap and are on the left."""
    is_number = all(value is None or isinstance(value, int | float) for value in values)
    return "" if is_number else ' class="text"'


def _shown(value: object) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, float):
        return f"{value:,.3f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return html.escape(str(value))
