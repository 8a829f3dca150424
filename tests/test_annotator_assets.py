"""An asset for each annotator, the requests of each, and the rollouts that stay in the lake."""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets.annotation.critiques import critiques_of
from assets.annotation.oracle_labels import oracle_labels_of
from assets.annotation.problems import problems_of
from assets.annotation.rollouts import rollouts_of
from assets.annotation.solutions import solutions_of
from assets.annotation.step_labels import annotators_of
from assets.annotation.steps import steps_of, steps_to_label
from assets.definitions import assets_of, resources_of
from assets.deployment import Deployment
from resources.storage.home import Home
from shepherd.annotators.asked import asked_rollouts
from shepherd.annotators.binary_search import BinarySearch
from shepherd.annotators.first_success import FirstSuccess
from shepherd.annotators.monte_carlo import MonteCarlo
from shepherd.annotators.problem import read_problems
from shepherd.annotators.tree_search import TreeSearch
from shepherd.schemas import (
    ASKED_ROLLOUTS,
    ENTAILMENT_COSTS,
    SEARCH_TREES,
    STEP_LABELS,
    TABLES,
    enforce,
    labels_table,
)
from shepherd.settings import AnnotationSettings, DatasetSettings
from tests.profiles import TINY
from tests.small_lake import DATASET, NUM_ROLLOUTS, small_lake

FRAMES = small_lake()
PROBLEMS = read_problems(FRAMES["steps"], FRAMES["solutions"], FRAMES["problems"])
ANNOTATION = AnnotationSettings.model_validate(
    {
        "annotators": [
            {"kind": "monte_carlo", "num_rollouts": NUM_ROLLOUTS},
            {"kind": "tree_search", "num_rollouts": NUM_ROLLOUTS},
            "rule",
            {"kind": "judge", "base": "owner/judge"},
            "oracle",
        ],
        "consensus": ["monte_carlo", "judge"],
    }
)


@pytest.fixture
def deployed(tmp_path: Path) -> Deployment:
    """A home whose lake holds all that annotators read, in one shard."""
    settings = TINY.model_copy(update={"annotation": ANNOTATION})
    deployed = Deployment(settings, Home(tmp_path))
    for name in ("problems", "solutions", "steps", "rollouts", "critiques"):
        deployed.lake.write(TABLES[name], FRAMES[name], DATASET, "00")
    return deployed


@pytest.mark.parametrize(
    ("settings", "is_labelled"),
    [
        ({}, True),
        ({"solutions": "samples.jsonl"}, False),
        ({"solutions": "samples.jsonl", "solutions_split": "train"}, True),
        ({"solutions": "samples.jsonl", "solutions_split": "train", "annotated": False}, False),
    ],
)
def test_solutions_are_labelled_where_their_dataset_is_annotated(
    settings: dict[str, object], is_labelled: bool
) -> None:
    dataset = DatasetSettings.model_validate({"source": "gsm8k", **settings})
    assert steps_to_label(FRAMES["steps"], dataset).height == is_labelled * FRAMES["steps"].height


def test_each_annotator_is_one_asset_and_step_labels_joins_them(deployed: Deployment) -> None:
    settings = deployed.settings
    made = [oracle_labels_of(settings), *annotators_of(settings)]
    judge = deployed.settings.annotation.judge
    assert judge is not None
    makers = (problems_of, solutions_of, steps_of, rollouts_of)
    read = [*(make(settings) for make in makers), critiques_of(settings, judge)]

    def materialize(*names: str) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                [*made, *read],
                selection=dg.AssetSelection.assets(*names),
                resources=resources_of(deployed),
                instance=instance,
                partition_key=f"{DATASET}|00",
            )

    assert materialize("rule_labels").success
    written = {path.parent.parent.name for path in deployed.home.lake.rglob("*_labels/*/*")}
    assert written == {"rule_labels"}
    others = [f"{name}_labels" for name in ("monte_carlo", "tree_search", "judge", "oracle")]
    done = materialize(*others, "step_labels")
    labels = deployed.lake.read(STEP_LABELS, DATASET, "00")
    assert set(labels["annotator"]) == {*ANNOTATION.names, "consensus"}
    rule = deployed.lake.read(TABLES["step_labels"], DATASET, "00").filter(annotator="rule")
    assert rule.height == FRAMES["steps"].height
    [event] = done.asset_materializations_for_node("step_labels")
    assert event.metadata["oracle_agreement"].value == 1.0
    assert 0.5 < event.metadata["monte_carlo_agreement"].value < 1.0  # type: ignore[operator]


def test_only_a_profile_with_a_judge_has_critiques() -> None:
    def names(annotation: AnnotationSettings) -> set[str]:
        settings = TINY.model_copy(update={"annotation": annotation})
        return {key.to_user_string() for asset in assets_of(settings) for key in asset.keys}

    assert "critiques" in names(ANNOTATION)
    assert "critiques" not in names(AnnotationSettings())


def test_who_asked_for_what() -> None:
    annotators = [MonteCarlo(NUM_ROLLOUTS), FirstSuccess(NUM_ROLLOUTS), BinarySearch(NUM_ROLLOUTS)]
    both = ("first_success", "binary_search")
    asked, trees = asked_rollouts(annotators, PROBLEMS, FRAMES["rollouts"], both)
    enforce(ASKED_ROLLOUTS, asked)
    assert trees.is_empty()
    drawn = FRAMES["rollouts"].group_by("prefix_id").agg(
        num_rollouts=pl.len().cast(pl.Int64),
        num_correct=pl.col("is_correct").sum().cast(pl.Int64),
        num_tokens=pl.col("num_tokens").sum(),
    )  # fmt: skip
    exact = asked.filter(annotator="monte_carlo").select(drawn.columns)
    assert exact.sort("prefix_id").equals(drawn.sort("prefix_id"))
    counts = {
        name: dict(asked.filter(annotator=name).select("prefix_id", "num_rollouts").iter_rows())
        for name in (*both, "consensus")
    }
    first, second, consensus = counts.values()
    assert consensus == {p: max(first.get(p, 0), second.get(p, 0)) for p in {*first, *second}}


def test_the_search_trees_are_kept() -> None:
    annotator = TreeSearch(NUM_ROLLOUTS, num_searches=10)
    asked, trees = asked_rollouts([annotator], PROBLEMS, FRAMES["rollouts"], None)
    enforce(SEARCH_TREES, trees)
    roots = trees.filter(pl.col("parent_id").is_null())
    assert roots["problem_id"].to_list() == [problem.problem_id for problem in PROBLEMS]
    assert set(roots["prefix"]) == {""}
    states = trees.filter(pl.col("parent_id").is_not_null())
    assert set(states["prefix_id"]) == set(asked["prefix_id"])
    assert trees["visits"].sum() > 0


def test_a_language_model_is_asked_for_the_labels_of_nli(deployed: Deployment) -> None:
    asked = {"base": "base-small", "template": "plain", "num_votes": 2, "max_tokens": 2}
    annotation = {"annotators": ["monte_carlo", {"kind": "nli", "language_model": asked}]}
    settings = deployed.settings.model_copy(
        update={"annotation": AnnotationSettings.model_validate(annotation)}
    )
    makers = (problems_of, solutions_of, steps_of, rollouts_of, oracle_labels_of)
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            [*annotators_of(settings), *(make(settings) for make in makers)],
            selection=dg.AssetSelection.assets("nli_labels", "entailment_costs"),
            resources=resources_of(Deployment(settings, deployed.home)),
            instance=instance,
            partition_key=f"{DATASET}|00",
        )
    assert done.success
    labels = deployed.lake.read(labels_table("nli"), DATASET, "00")
    assert labels.height == FRAMES["steps"].height
    [cost] = deployed.lake.read(ENTAILMENT_COSTS, DATASET, "00").to_dicts()
    # Each pair is asked both ways, with two votes each.
    assert cost["num_requests"] > 0
    assert cost["num_requests"] % 4 == 0
    assert 0 < cost["completion_tokens"] <= 2 * cost["num_requests"]
    assert (cost["stage"], cost["model"]) == ("nli_labels", "nli")
    assert not list(deployed.home.journals.rglob("*.journal"))
