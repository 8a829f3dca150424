"""The page that a person looks at: accuracy, label quality, cost, and every coloured step."""

from pathlib import Path

import dagster as dg

from assets.deployment import SETTINGS, DeploymentResource, version_of
from assets.describe import OWNERS
from resources.profiles import profile_from_env
from resources.report import build_report, report_relations

METHODS = {name: dataset.splitting.method for name, dataset in SETTINGS.datasets.items()}
"""How steps are cut, by dataset."""


@dg.asset(
    deps=report_relations(),
    group_name="warehouse",
    kinds={"html"},
    owners=OWNERS,
    tags={"stage": "warehouse"},
    code_version=version_of(*METHODS.values()),
    description="One self-contained HTML page of the warehouse: report.html in the home folder.",
)
def report(deployment: DeploymentResource) -> dg.MaterializeResult[None]:
    """Write the report aside, then put it in place."""
    out = deployment.home.report
    home, profile = deployment.home, Path(profile_from_env()).stem
    build_report(home.warehouse, home.study, home.report, profile=profile, methods=METHODS)
    return dg.MaterializeResult(
        metadata={
            "page": dg.MetadataValue.url(out.as_uri()),
            "path": dg.MetadataValue.path(out),
            "bytes": out.stat().st_size,
        }
    )
