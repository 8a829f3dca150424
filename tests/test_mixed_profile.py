"""Problems, solutions and labels from everywhere in one profile, through to SQL and exports."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import yaml

from assets.definitions import definitions_of
from cli.dagster_home import prepare_dagster_home
from cli.pipeline import run_pipeline
from resources.storage.home import Home
from resources.storage.lake import Lake
from resources.storage.warehouse import run_tests
from shepherd import schemas
from shepherd.datasets import Problem, word_problem
from shepherd.label_formats import LabeledSolution, render_math_shepherd
from shepherd.settings import Settings
from shepherd.splitting import split_steps
from shepherd.word_problems import draw_problems
from tests.recorded import check_lineage, recording

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


def written(folder: Path, name: str, rows: list[dict[str, object]]) -> str:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def drawn(seed: int, split: str, count: int) -> list[Problem]:
    return [word_problem(problem, "any", split) for problem in draw_problems(seed, split, count)]


def asked(problem: Problem) -> dict[str, object]:
    return {"q": problem.question, "a": problem.gold_answer, "s": problem.gold_solution}


def labelled(problem: Problem, hard: int) -> dict[str, object]:
    steps = tuple(split_steps(problem.gold_solution or ""))
    labels = (1,) * (len(steps) - 1) + (hard,)
    solution = LabeledSolution(
        problem.question, steps, labels, (None,) * len(steps), hard == 1, task="MINE"
    )
    return render_math_shepherd(
        solution if hard else solution._replace(steps=(*steps[:-1], f"Oh. {steps[-1]}"))
    )


def profile(folder: Path) -> dict[str, object]:
    """The tiny profile, and datasets of imported solutions, published labels and MetaMATH."""
    tiny = yaml.safe_load((ROOT / "profiles" / "tiny.yaml").read_text())
    solved, published, taught = (drawn(seed, "train", 3) for seed in (7, 8, 9))
    tests = {name: drawn(seed, "test", 1) for name, seed in (("solved", 7), ("published", 8))}
    columns = {"question": "q", "answer": "a", "solution": "s"}
    graded, asked_of = drawn(10, "train", 1), drawn(10, "test", 1)
    texts = [(p, f"<<1+1=2>>{p.gold_solution}") for p in solved]
    texts += [(p, "It is 1. So it is.\nThe answer is: -1") for p in solved]
    tiny["shards"] = 1
    tiny["datasets"] = {
        "words": {"source": "word_problems", "num_train": 3, "num_test": 2},
        "solved": {
            "source": "columns",
            "columns": columns,
            "train": written(folder, "solved", [asked(p) for p in solved]),
            "test": written(folder, "solved_test", [asked(p) for p in tests["solved"]]),
            "solutions": written(
                folder, "solutions", [{"question": p.question, "text": t} for p, t in texts]
            ),
            "solutions_split": "train",
            "splitting": {"method": "sentence", "calculations": "strip"},
        },
        "graded": {
            "source": "columns",
            "columns": columns,
            "train": written(folder, "graded", [asked(p) for p in graded]),
            "test": written(folder, "graded_test", [asked(p) for p in asked_of]),
            "solutions": written(
                folder,
                "test_solutions",
                [{"question": p.question, "text": p.gold_solution} for p in asked_of],
            ),
        },
        "published": {
            "source": "columns",
            "columns": columns,
            "train": written(folder, "published", [asked(p) for p in published]),
            "test": written(folder, "published_test", [asked(p) for p in tests["published"]]),
            "labels": written(
                folder, "labels", [labelled(p, hard) for p in published for hard in (1, 0)]
            ),
            "annotator": "somebody",
        },
        "taught": {
            "source": "metamath",
            "train": written(
                folder,
                "metamath",
                [
                    {"query": p.question, "response": p.gold_solution, "type": "GSM_AnsAug"}
                    for p in taught
                ],
            ),
        },
    }
    tiny["sampling"] |= {"samples_per_problem": 2, "num_candidates": 2}
    tiny["annotation"] = {
        "annotators": [
            {"kind": "monte_carlo", "num_rollouts": 2},
            {"kind": "tree_search", "num_rollouts": 2, "num_searches": 2},
            {"kind": "judge", "base": "base-small", "template": "plain", "num_votes": 1,
             "max_tokens": 8},
        ]
    }  # fmt: skip
    tiny["exports"] = {
        "tagged": {"license": "mit"},
        "stepwise": {"format": "trl_float", "file_type": "parquet", "annotator": "monte_carlo"},
        "bench": {"format": "processbench", "annotator": "somebody"},
    }
    return dict(tiny)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The home of a run of the whole profile."""
    folder = tmp_path_factory.mktemp("mixed")
    home, settings = Home(folder / "home"), Settings.model_validate(profile(folder))
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, recording() as recorded, redirect_stdout(output):
        patch.setenv("DAGSTER_HOME", str(home.dagster))
        prepare_dagster_home(home.dagster)
        assert run_pipeline(settings, home, profile="mixed") == 0, output.getvalue()
    assert "   error:" not in output.getvalue()
    check_lineage(recorded, definitions_of(settings, home), home.lake)
    return home


def test_each_dataset_is_labelled_as_the_profile_says(home: Home) -> None:
    lake = Lake(home.lake)
    labels = lake.read(schemas.LABELED_SOLUTIONS)
    annotators = labels.group_by("dataset").agg(pl.col("annotator").unique().sort())
    assert dict(annotators.iter_rows()) == {
        "words": ["monte_carlo", "tree_search"],
        "solved": ["monte_carlo", "tree_search"],
        "published": ["somebody"],
    }
    trusted = labels.filter(pl.col("annotator") != "tree_search")
    counts = dict(trusted["dataset"].value_counts().iter_rows())
    assert (counts["solved"], counts["published"]) == (6, 6)
    assert not lake.read(schemas.SEARCH_TREES).is_empty()
    assert set(lake.read(schemas.CRITIQUES)["judge"]) == {"judge"}
    assert lake.read(schemas.SOLUTIONS, "taught").is_empty()
    assert lake.read(schemas.SOLUTIONS, "words")["num_samples"].sum() == 6


def test_imported_solutions_of_test_problems_are_graded_and_no_more(home: Home) -> None:
    lake = Lake(home.lake)
    assert lake.read(schemas.SOLUTIONS, "graded")["is_correct"].to_list() == [True]
    assert lake.read(schemas.STEPS, "graded").height > 1
    for table in (schemas.ROLLOUTS, schemas.STEP_LABELS, schemas.ORACLE_LABELS):
        assert lake.read(table, "graded").is_empty()


def test_imported_solutions_are_cut_by_sentence_and_stripped(home: Home) -> None:
    lake = Lake(home.lake)
    texts = lake.read(schemas.SOLUTIONS, "solved")["text"].to_list()
    assert not any("<<" in text for text in texts)
    steps = lake.read(schemas.STEPS, "solved")["text"].to_list()
    assert steps == [step for text in texts for step in split_steps(text, "sentence")]
    assert "It is 1. " in steps


def test_generators_are_fine_tuned_on_metamath_too(home: Home) -> None:
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("generator"))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    # Three train problems of four datasets have gold solutions, and one of `graded`.
    assert metadata["examples"].value == 13


def test_every_sql_test_holds_and_all_labels_are_counted(home: Home) -> None:
    failed = [result.name for result in run_tests(home.warehouse) if result.num_failures]
    assert failed == []
    labels = Lake(home.lake).read(schemas.LABELED_SOLUTIONS)
    import duckdb

    with duckdb.connect(home.warehouse, read_only=True) as connection:
        counted = connection.sql("select sum(num_steps) from training_labels").fetchall()
        datasets = connection.sql("from dataset_counts").pl()
    assert counted == [(labels["hard"].list.len().sum(),)]
    assert dict(datasets.select("dataset", "num_labelled_solutions").iter_rows()) == {
        **dict(labels.unique("solution_id")["dataset"].value_counts().iter_rows()),
        "graded": 0,
        "taught": 0,
    }


def test_exports_load_and_their_cards_say_what_they_are(home: Home, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    labels = Lake(home.lake).read(schemas.LABELED_SOLUTIONS)
    own = labels.filter(annotator="monte_carlo").height
    rows = {"tagged": labels.height, "stepwise": own, "bench": 6}
    for name, count in rows.items():
        loaded = datasets.load_dataset(str(home.exports / name), cache_dir=str(tmp_path / name))
        assert loaded["train"].num_rows == count
    card = (home.exports / "tagged" / "README.md").read_text().splitlines()
    for line in (
        'license: "mit"',
        f"| solutions | {labels.height} |",
        "| published, somebody | 6 |",
        "| solved, monte_carlo | 6 |",
        "| generator | base-small |",
        "| completer | base-large |",
        "| run seed | 0 |",
    ):
        assert line in card
    assert any(line.startswith("| monte_carlo: agreement with the oracle |") for line in card)
    assert any(line.startswith("| rollouts: tokens |") for line in card)
    # What is published by others alone took no model, seed or rollout of ours.
    bench = (home.exports / "bench" / "README.md").read_text()
    assert not any(title in bench for title in ("## Models", "## Seed", "## Cost"))
