"""Build the report: an HTML page that needs no network and, up to 5,000 solutions, no other file.

The data is JSON, compressed and base64-coded. The page's scripts insert it through ``textContent``
only, and its content security policy runs no other script: what a model wrote stays text.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from resources.report.facts import Run, described_run
from resources.report.problems import LIMITS, Json, problems_on_page, report_queries, rows_of
from resources.report.rendering import render
from resources.storage.atomic import refuse_other_files, replacing_file, replacing_folder
from resources.storage.home import Home
from resources.storage.store import Store
from resources.storage.warehouse import open_warehouse
from shepherd.settings import Settings

MARTS = {
    "dataset_counts": "overview",
    "verification_results": "verification",
    "unscored_steps": "verification",
    "label_quality": "labels",
    "label_quality_by_level": "labels",
    "label_quality_by_length": "labels",
    "label_agreement": "labels",
    "calibration_bins": "calibration",
    "soft_label_counts": "calibration",
    "pilot_calibration": "calibration",
    "score_calibration": "calibration",
    "score_agreement": "calibration",
    "rollout_budgets": "labels",
    "estimates_by_budget": "labels",
    "quality_by_cost": "cost",
    "annotation_cost": "cost",
    "annotator_costs": "cost",
    "sampling_costs": "cost",
    "grading_reasons": "grading",
    "completion_endings": "grading",
}
"""The marts on the page, and the section that shows each."""

DATA_FOLDER = "report_files"
"""The folder of data files beside the page of a report of many solutions."""

STUDY = "study"
"""The folder of a home with results of benchmarks, a file each."""

RESULT_FIELDS = ("name", "value", "unit", "baseline", "target", "met")
"""The fields of each measure in a benchmark's results."""


def build_report(warehouse: Path, documents: Store, out: Path, run: Run) -> None:
    """Write the report of a warehouse; equal warehouses and runs give equal bytes.

    ``documents`` are those of the home: results of benchmarks in ``study`` are shown. A report of
    many solutions has data files in the folder ``report_files`` beside ``out``.

    Raises:
        ValueError: there is no warehouse, it is damaged or of another version (build it), a file
            of the study holds no results (write it again), or ``report_files`` holds other files
            (move them).
    """
    data = out.with_name(DATA_FOLDER)
    if data.is_dir():
        refuse_other_files(data, {path.name for path in data.glob("*-*.js")})
    with open_warehouse(warehouse) as connection, _other_version(warehouse):
        content = {
            "profile": run.profile,
            "facts": run.facts,
            "limits": LIMITS,
            "marts": {mart: rows_of(connection, mart) for mart in MARTS},
            "curves": run.curves,
            "studies": _studies(documents),
        }
        report = render(content, problems_on_page(connection, run.methods))
    # A page says so if the files beside it are those of another page.
    if report.files:
        with replacing_folder(data) as folder:
            for name, text in report.files.items():
                (folder / name).write_text(text)
    with replacing_file(out) as file:
        file.write(report.page.encode())
    if not report.files and data.is_dir():
        shutil.rmtree(data)


@contextmanager
def _other_version(warehouse: Path) -> Iterator[None]:
    """Say so where a relation or column is missing: a warehouse holds those of its version."""
    try:
        yield
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        missing = str(error).splitlines()[0]
        raise ValueError(
            f"{warehouse}: was built by another version of the pipeline ({missing}): build it "
            "again: shepherd warehouse build"
        ) from error


def build_report_of(home: Home, profile: str, settings: Settings) -> None:
    """Write the report of a home, from its warehouse, models and documents.

    Raises:
        ValueError: as :func:`build_report`; or the home is in a store that cannot be written.
    """
    home.files.fetch([home.warehouse])
    data = home.report.with_name(DATA_FOLDER)
    with home.files.committing(home.report):
        run = described_run(profile, settings, home)
        build_report(home.warehouse, home.documents, home.report, run)
        if data.is_dir():
            with home.files.committing(data):
                pass


def report_relations() -> list[str]:
    """Return the relations of the warehouse that the report reads, sorted."""
    queries = report_queries()
    upstream = {name for query in queries for name in query.upstream}
    return sorted({*MARTS, *upstream} - {query.name for query in queries})


def _studies(documents: Store) -> list[Json]:
    """Return the results of benchmarks, in the order of their files' names."""
    studies = []
    for entry in documents.list(STUDY):
        blob = documents.get(entry.key)
        if blob is None or not entry.key.endswith(".json"):
            continue
        try:
            study = json.loads(blob.data)
            results = [{field: row[field] for field in RESULT_FIELDS} for row in study["results"]]
            studies.append(
                {"name": study["benchmark"], "command": study["command"], "results": results}
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{documents.url}/{entry.key}: not the results of a benchmark ({error!r}): write "
                "it with python -m benchmarks.NAME --json"
            ) from error
    return studies


__all__ = ["DATA_FOLDER", "MARTS", "Run", "build_report", "build_report_of", "report_relations"]
