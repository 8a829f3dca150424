"""Trainers learn, keep what they promise, and score as a plain forward pass does."""

import random
from pathlib import Path

import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

from shepherd.settings import TrainingSettings
from shepherd.word_problems import draw_problems, judge_steps, write_solution
from training.orm import train_orm
from training.pretrain import Recipe, pretrain
from training.prm import train_prm
from training.runs import TrainingReport, TrainingRun
from training.schedules import warm_up_then_cosine
from training.scoring import Kind, score_solutions
from training.sft import train_sft

TINY = Recipe(hidden=32, layers=2, steps=10, check_share=0.5, drill_share=0.5, batch_size=8)
FAST = TrainingSettings(epochs=20, learning_rate=3e-3, batch_size=8, max_length=200)


@pytest.fixture(scope="module")
def labeled() -> pl.DataFrame:
    """Half the rows are right; in the others every step from the first on is wrong."""
    rng = random.Random(0)
    rows = []
    for index, problem in enumerate(draw_problems(0, "train", 32)):
        solution = write_solution(problem, rng)
        right = index % 2 == 0
        if not right:
            solution = solution.replace("=", "+")
        steps = [line + "\n" for line in solution.split("\n")[:-2]]
        steps.append("\n".join(solution.split("\n")[-2:]))
        assert all(judge_steps(problem.question, steps)) == right
        rows.append((problem.question, solution, steps, [float(right)] * len(steps), right))
    names = ["question", "solution", "steps", "labels", "is_correct"]
    return pl.DataFrame(rows, schema=names, orient="row")


def outcomes(labeled: pl.DataFrame) -> pl.DataFrame:
    """The same as an ORM reads them."""
    return labeled.with_columns(
        steps=pl.concat_list(pl.col("steps").list.join("")),
        labels=pl.concat_list(pl.col("is_correct").cast(pl.Float64)),
    )


def test_pretraining_runs_and_reports(capsys: pytest.CaptureFixture[str]) -> None:
    pretrain(TINY, seed=0, log_every=5)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "drill verdicts" in lines[0]


def test_sft_lowers_the_loss_and_saves_an_ordinary_checkpoint(
    base: Path, labeled: pl.DataFrame, tmp_path: Path
) -> None:
    report = train_sft(TrainingRun(base, labeled, tmp_path / "sft", FAST, template="plain", seed=0))
    assert report.num_examples == 32
    assert report.num_steps == len(report.losses) == 80
    assert report.losses[-1] < 0.5 * report.losses[0]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        path.name for path in (tmp_path / "sft").iterdir()
    }
    AutoModelForCausalLM.from_pretrained(tmp_path / "sft")


def test_equal_seeds_give_equal_losses(base: Path, labeled: pl.DataFrame, tmp_path: Path) -> None:
    # The second epoch has an order of its own.
    settings = FAST.model_copy(update={"epochs": 2})
    runs = [
        train_sft(TrainingRun(base, labeled, tmp_path / "sft", settings, template="plain", seed=s))
        for s in (1, 1, 2)
    ]
    assert runs[0].losses == runs[1].losses
    assert runs[0].losses != runs[2].losses


Trained = tuple[Path, TrainingReport]
"""The checkpoint of a reward model, and the report of its training."""


@pytest.fixture(scope="module")
def process_model(
    base: Path, labeled: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    out = tmp_path_factory.mktemp("prm") / "prm"
    return out, train_prm(TrainingRun(base, labeled, out, FAST, template="plain", seed=0))


@pytest.fixture(scope="module")
def outcome_model(
    base: Path, labeled: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    out = tmp_path_factory.mktemp("orm") / "orm"
    return out, train_orm(TrainingRun(base, outcomes(labeled), out, FAST, template="plain", seed=0))


@pytest.mark.parametrize("kind", ["process", "outcome"])
def test_a_reward_model_learns_a_plain_difference_and_scores_each_step(
    kind: Kind, labeled: pl.DataFrame, request: pytest.FixtureRequest
) -> None:
    model, report = request.getfixturevalue(f"{kind}_model")
    assert report.losses[-1] < 0.1 < report.losses[0]
    solutions = labeled.with_row_index("candidate_id").cast({"candidate_id": pl.String})
    scored = score_solutions(model, solutions, kind=kind, template="plain", max_length=200)
    assert scored["candidate_id"].to_list() == solutions["candidate_id"].to_list()
    lengths = solutions["steps"].list.len().to_list() if kind == "process" else [1] * 32
    assert scored["step_scores"].list.len().to_list() == lengths
    good = scored["step_scores"].list.min().to_numpy() > 0.5
    assert (good == labeled["is_correct"].to_numpy()).all()


def test_the_published_protocol_reads_the_same_scores(
    process_model: Trained, labeled: pl.DataFrame
) -> None:
    """That of the published Mistral PRM: tags in the text, softmax over [+, -] at their tokens."""
    folder, _ = process_model
    tokenizer = AutoTokenizer.from_pretrained(folder)
    candidate_tokens = [tokenizer.encode(text, add_special_tokens=False)[-1] for text in "+-"]
    step_tag = tokenizer.encode(" ки", add_special_tokens=False)[-1]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    solutions = labeled.with_row_index("candidate_id").cast({"candidate_id": pl.String})
    scored = score_solutions(folder, solutions, kind="process", template="plain", max_length=200)
    for row, found in zip(solutions.to_dicts(), scored["step_scores"], strict=True):
        tagged = "".join(
            step.rstrip() + " ки" + step[len(step.rstrip()) :] for step in row["steps"]
        )
        ids = torch.tensor([tokenizer.encode(f"{row['question']}\n{tagged}")])
        with torch.no_grad():
            logits = model(ids).logits[:, :, candidate_tokens]
        expected = logits.float().softmax(dim=-1)[:, :, 0][ids == step_tag]
        assert found.to_list() == pytest.approx(expected.tolist(), abs=1e-3)


def test_a_scalar_head_learns_from_soft_labels_and_is_an_ordinary_checkpoint(
    base: Path, labeled: pl.DataFrame, tmp_path: Path
) -> None:
    soft = labeled.with_columns(pl.col("labels").list.eval(0.1 + 0.8 * pl.element()))
    settings = FAST.model_copy(update={"head": "scalar", "loss": "mse"})
    report = train_prm(
        TrainingRun(base, soft, tmp_path / "prm", settings, template="plain", seed=0)
    )
    assert report.losses[-1] < 0.02 < report.losses[0]
    model, loading_info = AutoModelForTokenClassification.from_pretrained(
        tmp_path / "prm", output_loading_info=True
    )
    assert model.config.num_labels == 1
    assert not loading_info["missing_keys"]
    solutions = labeled.with_row_index("candidate_id").cast({"candidate_id": pl.String})
    scored = score_solutions(
        tmp_path / "prm", solutions, kind="process", template="plain", max_length=200
    )
    right = scored.with_columns(labeled["is_correct"]).explode("step_scores")
    means = right.group_by("is_correct").agg(pl.col("step_scores").mean()).sort("is_correct")
    assert means["step_scores"].to_list() == pytest.approx([0.1, 0.9], abs=0.1)


def test_too_long_solutions_are_counted(base: Path, labeled: pl.DataFrame, tmp_path: Path) -> None:
    short = FAST.model_copy(update={"epochs": 0.5, "max_length": 60})
    lengths = [len(steps) for steps in labeled["steps"]]
    cut = train_prm(
        TrainingRun(base, labeled, tmp_path / "prm", short, template="plain", seed=0)
    ).num_cut
    assert 0 < cut < len(lengths)
    with pytest.raises(ValueError, match="no examples"):
        train_sft(
            TrainingRun(base, labeled.head(0), tmp_path / "sft", FAST, template="plain", seed=0)
        )


def test_the_rate_warms_up_and_falls_to_its_floor() -> None:
    shares = [
        warm_up_then_cosine(step, 100, warmup_share=0.1, floor_share=0.1) for step in range(100)
    ]
    assert shares[0] == pytest.approx(0.1)
    assert max(shares) == shares[10] == pytest.approx(1.0)
    assert shares[-1] == pytest.approx(0.1, abs=1e-3)


CHAT = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}"


def test_trainers_and_scores_speak_the_chat_of_the_model(
    base: Path, labeled: pl.DataFrame, tmp_path: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = CHAT
    AutoModelForCausalLM.from_pretrained(base).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    few = labeled.head(4).with_columns(candidate_id=pl.col("question"), text=pl.col("solution"))
    once = TrainingSettings(epochs=1, learning_rate=1e-3, batch_size=4, max_length=200)
    for trainer in (train_sft, train_orm, train_prm):
        examples = outcomes(few) if trainer is train_orm else few
        report = trainer(
            TrainingRun(
                tmp_path / "base",
                examples,
                tmp_path / trainer.__name__,
                once,
                template="chat",
                seed=0,
            )
        )
        assert report.num_examples == 4
    scores_by_template = {
        template: score_solutions(
            tmp_path / "train_prm", few, kind="process", template=template, max_length=200
        )["step_scores"].to_list()
        for template in ("chat", "<|user|>{question}\n<|assistant|>", "plain")
    }
    chat, written, plain = scores_by_template.values()
    assert chat == written
    assert chat != plain
