"""The designs of the paper's models, small and random, with tokenizers of their kinds.

Each writes solutions, is fine-tuned, becomes both reward models, and scores. ``test_vllm_engine``
runs them in vLLM.
"""

from dataclasses import asdict
from pathlib import Path

import polars as pl
import pytest
from designs import DESIGNS, SOLVED, greedy_completions, save_design
from tiny_checkpoint import rollouts
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from resources.storage.model_store import architecture_of
from shepherd.settings import ScoringSettings, TrainingSettings
from shepherd.splitting import split_steps
from training.orm import train_orm
from training.prm import train_prm
from training.runs import TrainingRun
from training.scoring import score_solutions
from training.sft import train_sft
from training.step_tags import Tags

ONCE = TrainingSettings(epochs=1, learning_rate=1e-3, batch_size=4, max_length=256)


@pytest.fixture(scope="module", params=DESIGNS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_design(tmp_path_factory.mktemp("model"), request.param)


def labelled() -> pl.DataFrame:
    """Solutions with steps, of which every other one is wrong throughout."""
    rows = []
    for index, (question, solution) in enumerate(SOLVED):
        steps, right = split_steps(solution), index % 2 == 0
        rows.append((f"{index}", question, solution, steps, [float(right)] * len(steps)))
    names = ["candidate_id", "question", "solution", "steps", "labels"]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_it_writes_what_transformers_writes(checkpoint: Path) -> None:
    written = greedy_completions(checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    for request in rollouts(temperature=0.0, count=1):
        ids = tokenizer(request.prompt, return_tensors="pt")["input_ids"]
        made = model.generate(ids, max_new_tokens=request.max_tokens, do_sample=False)[0]
        start = tokenizer.decode(ids[0], skip_special_tokens=True)
        whole = tokenizer.decode(made, skip_special_tokens=True)
        completion = written[request.id]
        assert completion.prompt_tokens == ids.shape[1]
        assert start + completion.text == whole


def test_it_is_fine_tuned_and_becomes_reward_models_that_score(
    checkpoint: Path, tmp_path: Path
) -> None:
    rows = labelled()
    tuned = tmp_path / "sft"
    sft = train_sft(TrainingRun(checkpoint, rows, tuned, ONCE, template="metamath", seed=0))
    whole = rows.with_columns(
        steps=pl.concat_list("solution"), labels=pl.col("labels").list.head(1)
    )
    orm = train_orm(TrainingRun(tuned, whole, tmp_path / "orm", ONCE, template="metamath", seed=0))
    prm = train_prm(TrainingRun(tuned, rows, tmp_path / "prm", ONCE, template="metamath", seed=0))
    for report in (sft, orm, prm):
        assert (report.num_examples, report.num_cut, len(report.losses)) == (len(SOLVED), 0, 2)
    num_steps = rows["steps"].list.len().to_list()
    for kind, folder, lengths in (
        ("outcome", "orm", [1] * len(SOLVED)),
        ("process", "prm", num_steps),
    ):
        before, after = (
            score_solutions(
                model,
                rows,
                kind=kind,
                template="metamath",
                max_length=256,
                settings=ScoringSettings(format="tags"),
            )
            for model in (tuned, tmp_path / folder)
        )
        scores = after["step_scores"]
        assert scores.list.len().to_list() == lengths
        assert scores.explode().is_between(0, 1, closed="none").all()
        assert scores.to_list() != before["step_scores"].to_list()


def test_its_tokenizer_knows_the_tag_and_its_dimensions_are_read(checkpoint: Path) -> None:
    tags = Tags.of(AutoTokenizer.from_pretrained(checkpoint))
    assert len({tags.tag, tags.good, tags.bad}) == 3
    found = architecture_of(checkpoint)
    assert found is not None
    config = AutoConfig.from_pretrained(checkpoint)
    assert asdict(found) == {name: getattr(config, name) for name in asdict(found)}
