"""Build the warehouse: each model of ``dbt_like_sql`` is an asset, each of its tests a check."""

from collections.abc import Collection, Iterator, Mapping

import dagster as dg
import duckdb

from assets.deployment import DeploymentResource
from assets.describe import OWNERS, preview
from resources.report import MARTS
from resources.storage.io_manager import MetadataField
from resources.storage.sql_files import (
    MODEL_LAYERS,
    SqlModel,
    column_meanings,
    sql_models,
    sql_tests,
)
from resources.storage.warehouse import MAX_FAILING_ROWS, build_warehouse, run_tests
from shepherd.identity import content_id

WAREHOUSE_GROUPS = MODEL_LAYERS
"""The asset groups of the warehouse: one for each layer of models, the report among the marts."""

QUALITY_TESTS = {
    "grading_reasons__few_answers_time_out",
    "doubtful_grades__no_answer_has_both_verdicts",
}
"""Tests of how good results are. They warn; all other tests report errors."""


def warehouse_of(tables: Collection[str]) -> dg.AssetsDefinition:
    """Return the warehouse over the lake tables of a profile. All other tables are empty."""
    ordered = sql_models()

    @dg.multi_asset(
        name="warehouse",
        specs=[_spec(model, tables) for model in ordered],
        check_specs=[
            dg.AssetCheckSpec(
                _rule(test.name),
                asset=test.tested_model,
                description=test.description,
                # In the UI, too, a run fails in which an error is found.
                blocking=test.name not in QUALITY_TESTS,
            )
            for test in sql_tests(ordered)
        ],
    )
    def warehouse(
        deployment: DeploymentResource,
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        home, path = deployment.home, deployment.home.warehouse
        rows = build_warehouse(home.lake, path, files=home.files)
        page = home.report.as_uri()
        meanings = column_meanings()
        with duckdb.connect(path, read_only=True) as connection:
            for model in ordered:
                relation = connection.sql(f"from {model.name}")
                metadata: dict[str, MetadataField] = {
                    "dagster/row_count": rows[model.name],
                    "dagster/column_schema": _columns(relation, meanings),
                    "path": dg.MetadataValue.path(path),
                    "preview": dg.MetadataValue.md(preview(relation.limit(5).pl())),
                }
                if model.name in MARTS:
                    metadata["report"] = dg.MetadataValue.url(f"{page}#{MARTS[model.name]}")
                yield dg.MaterializeResult(asset_key=model.name, metadata=metadata)
        for result in run_tests(path):
            warns = result.name in QUALITY_TESTS
            yield dg.AssetCheckResult(
                asset_key=result.model,
                check_name=_rule(result.name),
                passed=not result.num_failures,
                severity=dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR,
                metadata={
                    "failing_rows": result.num_failures,
                    "query": dg.MetadataValue.md(f"```sql\n{result.sql}\n```"),
                    "first_rows": dg.MetadataValue.md(preview(result.rows, MAX_FAILING_ROWS)),
                },
            )
        # The warehouse is made last, by `shepherd run` and by a backfill.
        home.files.collect()

    return warehouse


def _spec(model: SqlModel, tables: Collection[str]) -> dg.AssetSpec:
    reads = {name.removeprefix("lake.") for name in model.upstream}
    known = {name for name in reads if name in tables or name in model.upstream}
    return dg.AssetSpec(
        model.name,
        deps=sorted(known),
        group_name=model.layer,
        description=f"{model.description}\n\n```sql\n{model.sql}\n```",
        kinds={"duckdb", "sql"},
        owners=OWNERS,
        tags={"stage": "warehouse", "layer": model.layer},
        code_version=content_id(model.sql)[:8],
    )


def _columns(relation: duckdb.DuckDBPyRelation, meanings: Mapping[str, str]) -> dg.TableSchema:
    """Return the columns of a relation and their meanings, for the Columns tab of the UI."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name, type=str(dtype), description=meanings.get(name))
            for name, dtype in zip(relation.columns, relation.types, strict=True)
        ]
    )


def _rule(test: str) -> str:
    return test.partition("__")[2]
