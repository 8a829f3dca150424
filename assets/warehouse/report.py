"""Build the report: one HTML page of accuracy, label quality, costs and every step."""

import dagster as dg

from assets.deployment import DeploymentResource
from assets.describe import OWNERS, provenance
from resources.report import build_report_of, report_relations
from shepherd.dependencies import code_version
from shepherd.settings import Settings


def report_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of the report."""

    @dg.asset(
        name="report",
        deps=report_relations(),
        group_name="marts",
        kinds={"html"},
        owners=OWNERS,
        tags={"stage": "warehouse"},
        code_version=code_version(settings, "report"),
        metadata=provenance(settings, "report"),
        description="One HTML page, report.html in the home folder: self-contained, or with data "
        "files beside it if it shows more than 5,000 solutions.",
    )
    def report(deployment: DeploymentResource) -> dg.MaterializeResult[None]:
        """Write the report to a temporary file, then replace the old one."""
        home, out = deployment.home, deployment.home.report
        build_report_of(home, deployment.profile, settings)
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.url(out.as_uri()),
                "path": dg.MetadataValue.path(out),
                "bytes": out.stat().st_size,
                **provenance(settings, "report"),
            }
        )

    return report
