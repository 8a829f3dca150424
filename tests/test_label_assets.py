"""Published labels into the lake and out of it, through the assets."""

import json
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets.annotation.exports import exports_of
from assets.annotation.labeled_solutions import labeled_solutions_of
from assets.annotation.problems import problems_of
from assets.definitions import assets_of, resources_of
from assets.deployment import Deployment
from resources.storage.home import Home
from shepherd.schemas import LABELED_SOLUTIONS, REJECTED_LABELS
from shepherd.settings import Settings

DATASET = "word_problems"
"""The one of the profile that tests run on: partitions are of this name."""
KEYS = [f"{DATASET}|00", f"{DATASET}|01"]


def row(question: str, signs: str, task: str = "MINE") -> str:
    text = f"{question} Step 1: a {{}}\nStep 2: b {{}}"
    return json.dumps(
        {"input": text.format("ки", "ки"), "label": text.format(*signs), "task": task},
        ensure_ascii=False,
    )


def deployment(folder: Path, labels: list[str], **fields: object) -> Deployment:
    for name, questions in (("train", "abcdef"), ("test", "t")):
        frame = pl.DataFrame({"q": list(questions), "a": ["1"] * len(questions)})
        frame.write_csv(folder / f"{name}.csv")
    (folder / "labels.jsonl").write_text("\n".join(labels), encoding="utf-8")
    dataset = {
        "source": "columns",
        "columns": {"question": "q", "answer": "a"},
        **{name: str(folder / f"{name}.csv") for name in ("train", "test")},
        "labels": str(folder / "labels.jsonl"),
        "labels_task": "MINE",
        "annotator": "published",
        **fields,
    }
    settings = Settings.model_validate(
        {
            "shards": 2,
            "datasets": {DATASET: dataset},
            "exports": {
                "tagged": {"license": "mit"},
                "stepwise": {"format": "trl", "file_type": "parquet"},
            },
        }
    )
    return Deployment(settings, Home(folder / "home"))


def materialize(deployed: Deployment, asset: dg.AssetsDefinition) -> dg.ExecuteInProcessResult:
    made = [problems_of(deployed.settings), labeled_solutions_of(deployed.settings)]
    upstream = [other for other in made if not other.keys & asset.keys]
    chosen, keys = [asset, *upstream], asset.keys
    with dg.DagsterInstance.ephemeral() as instance:
        first, last = KEYS
        tags = {"dagster/asset_partition_range_start": first,
                "dagster/asset_partition_range_end": last}  # fmt: skip
        return dg.materialize(
            chosen,
            selection=dg.AssetSelection.assets(*keys),
            resources=resources_of(deployed),
            instance=instance,
            tags=tags if asset.partitions_def else None,
            raise_on_error=True,
        )


def test_published_labels_of_train_problems_go_into_the_lake_and_out(tmp_path: Path) -> None:
    good = [row(question, signs) for question, signs in zip("abc", ("+-", "++", "--"), strict=True)]
    lines = [
        good[0],
        row("t", "++"),
        good[1],
        "{",
        row("z", "+-"),
        row("a", "+-", "OTHER"),
        good[2],
    ]
    deployed = deployment(tmp_path, lines, max_rejected_share=0.5)
    materialize(deployed, problems_of(deployed.settings))
    done = materialize(deployed, labeled_solutions_of(deployed.settings))
    labels = deployed.lake.read(LABELED_SOLUTIONS, DATASET)
    assert set(labels["annotator"]) == {"published"}
    assert dict(labels.select("question", "is_correct").iter_rows()) == {
        "a": False, "b": True, "c": False
    }  # fmt: skip
    events = [
        event
        for event in done.asset_materializations_for_node("labeled_solutions")
        if event.asset_key == dg.AssetKey("labeled_solutions")
    ]
    assert [event.metadata["rejected_rows"].value for event in events] == [3, 3]
    rejected = deployed.lake.read(REJECTED_LABELS, DATASET).sort("line")
    assert rejected.select("line", "reason").rows() == [
        (2, "question: is that of no train problem of word_problems"),
        (4, "row: is not JSON (column 2: Expecting property name enclosed in double quotes)"),
        (5, "question: is that of no train problem of word_problems"),
    ]
    materialize(deployed, exports_of(deployed.settings))
    out = deployed.home.exports
    written = (out / "tagged" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert sorted(written) == sorted(line.replace("MINE", DATASET) for line in good)
    assert pl.read_parquet(out / "stepwise" / "train.parquet").height == 3
    assert "| word_problems, published | 3 |" in (out / "tagged" / "README.md").read_text()


def test_labels_with_too_many_bad_rows_replace_nothing(tmp_path: Path) -> None:
    deployed = deployment(tmp_path, [row("a", "+-"), row("z", "+-")])
    materialize(deployed, problems_of(deployed.settings))
    with pytest.raises(ValueError, match=r"labels\.jsonl line 2: question.*word_problems\.max_rej"):
        materialize(deployed, labeled_solutions_of(deployed.settings))
    assert not deployed.lake.partitions(LABELED_SOLUTIONS)


def test_a_profile_of_published_labels_samples_nothing_and_trains(tmp_path: Path) -> None:
    settings = deployment(tmp_path, []).settings
    model = {"base": "base-small", "training": {}}
    training = Settings.model_validate(
        {**settings.model_dump(), "process_reward_model": model, "shards": 2}
    )
    names = {key.to_user_string() for asset in assets_of(training) for key in asset.keys}
    assert names >= {"problems", "labeled_solutions", "process_reward_model", "exports"}
    assert names.isdisjoint({"rollouts", "step_labels", "completer", "candidates"})
