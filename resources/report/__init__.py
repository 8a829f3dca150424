"""Build the report: one HTML page that holds all of its data and needs no network.

The data is JSON, compressed and base64-coded. The page's scripts insert it through ``textContent``
only, and its content security policy runs no other script: what a model wrote stays text.
"""

import json
from pathlib import Path

from resources.report.problems import (
    LIMITS,
    Json,
    Methods,
    problems_on_page,
    report_queries,
    rows_of,
)
from resources.report.rendering import render
from resources.storage.atomic import replacing_file
from resources.storage.warehouse import open_warehouse

MARTS = {
    "dataset_counts": "overview",
    "verification_results": "verification",
    "unscored_steps": "verification",
    "label_quality": "labels",
    "label_agreement": "labels",
    "calibration_bins": "labels",
    "rollout_budgets": "labels",
    "estimates_by_budget": "labels",
    "annotation_cost": "cost",
    "annotator_costs": "cost",
    "sampling_costs": "cost",
    "grading_reasons": "grading",
    "completion_endings": "grading",
}
"""The marts on the page, and the section that shows each."""

RESULT_FIELDS = ("name", "value", "unit", "baseline", "target", "met")
"""The fields of each measure in a benchmark's results."""


def build_report(
    warehouse: Path, study: Path, out: Path, *, profile: str, methods: Methods | None = None
) -> None:
    """Write the report of a warehouse; equal warehouses give equal bytes.

    ``study`` is a folder of benchmark results (``--json``), which need not exist.

    Raises:
        ValueError: there is no warehouse or it is damaged (build it), or a file of the study
            holds no results (write it again).
    """
    with open_warehouse(warehouse) as connection:
        content = {
            "profile": profile,
            "limits": LIMITS,
            "marts": {mart: rows_of(connection, mart) for mart in MARTS},
            "studies": _studies(study),
            "problems": problems_on_page(connection, methods or {}),
        }
    with replacing_file(out) as file:
        file.write(render(content).encode())


def report_relations() -> list[str]:
    """Return the relations of the warehouse that the report reads, sorted."""
    queries = report_queries()
    upstream = {name for query in queries for name in query.upstream}
    return sorted({*MARTS, *upstream} - {query.name for query in queries})


def _studies(folder: Path) -> list[Json]:
    """Return the results of benchmarks, in the order of their files' names."""
    studies = []
    for path in sorted(folder.glob("*.json")):
        try:
            study = json.loads(path.read_text(encoding="utf-8"))
            results = [{field: row[field] for field in RESULT_FIELDS} for row in study["results"]]
            studies.append(
                {"name": study["benchmark"], "command": study["command"], "results": results}
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: not the results of a benchmark ({error!r}): write it with "
                "python -m benchmarks.NAME --json"
            ) from error
    return studies
