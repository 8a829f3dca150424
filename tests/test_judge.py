import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_openai_engine import Server

from assets.deployment import Deployment
from resources.sampling.critiques import draw_critiques
from resources.sampling.stage import Shard, completion_model_of
from resources.storage.home import Home
from shepherd.annotators.judge import (
    collect_critiques,
    critique_task,
    judge_labels,
    judge_requests,
    read_vote,
)
from shepherd.rollouts import split_solutions
from shepherd.schemas import CRITIQUE_COSTS, CRITIQUES, STEP_LABELS, enforce
from shepherd.settings import EngineSettings, JudgeSettings, ModelSettings
from tests.profiles import TINY
from training import judge as stand_in

SOLUTIONS = pl.DataFrame(
    {
        "solution_id": ["s1", "s2"],
        "problem_id": ["p", "p"],
        "text": ["Step 1: 1 + 1 = 2.\nStep 2: 2 + 1 = 4.\nThe answer is: 4", "{question}\n5"],
    }
)
STEPS = split_solutions(SOLUTIONS)
PROBLEMS = pl.DataFrame({"problem_id": ["p"], "question": ["How many?"]})


def asked(steps: pl.DataFrame, num_votes: int) -> pl.DataFrame:
    return judge_requests(
        steps,
        PROBLEMS,
        template="plain",
        run_seed=7,
        num_votes=num_votes,
        temperature=0.6,
        max_tokens=99,
    )


def critiques(steps: pl.DataFrame, *votes: int | None, finish_reason: str = "stop") -> pl.DataFrame:
    """Return critiques that all solutions get alike; a null vote cannot be read."""
    requests = asked(steps, len(votes))
    texts = ["I cannot say." if vote is None else rf"So \boxed{{{vote}}}." for vote in votes]
    drawn = requests.with_columns(
        pl.Series("text", [texts[vote] for vote in requests["vote"]], dtype=pl.String),
        finish_reason=pl.lit(finish_reason),
        num_tokens=pl.lit(3, pl.Int64),
    )
    return enforce(CRITIQUES, collect_critiques(drawn, steps, "judge"))


def test_the_task_numbers_paragraphs_from_0() -> None:
    task = critique_task("How many?", ["First.\n", "Then.\nThe answer is: 4"])
    assert "[Math Problem]\n\nHow many?\n\n" in task
    assert "<paragraph_0>\nFirst.\n</paragraph_0>\n\n<paragraph_1>\nThen.\nThe answer" in task
    assert task.endswith(r"\boxed{}.")


def test_requests_are_one_a_vote_with_seeds_of_their_own() -> None:
    def requests(steps: pl.DataFrame, run_seed: int = 7) -> list[tuple[str, str, int]]:
        found = judge_requests(
            steps,
            PROBLEMS,
            template="Judge this: {question}\n",
            run_seed=run_seed,
            num_votes=3,
            temperature=0.6,
            max_tokens=99,
        )
        assert set(found.select("temperature", "max_tokens").rows()) == {(0.6, 99)}
        return found.select("id", "prompt", "seed").rows()

    found = requests(STEPS)
    assert [id for id, _, _ in found] == ["s1:0", "s1:1", "s1:2", "s2:0", "s2:1", "s2:2"]
    assert len({seed for _, _, seed in found}) == 6
    assert found[0][1].startswith("Judge this: Below are")
    assert found[3][1].count("{question}") == 1  # a solution's own braces are text
    assert requests(STEPS.reverse()) == found
    assert {seed for _, _, seed in requests(STEPS, 8)}.isdisjoint(seed for _, _, seed in found)


@pytest.mark.parametrize(
    ("text", "vote"),
    [
        (r"The first error is in \boxed{1}.", 1),
        (r"\boxed{-1}", -1),
        (r"\boxed{−1}", -1),
        (r"$\boxed{ 2 }$", 2),
        (r"\boxed{\text{-1}}", -1),
        (r"\boxed{$1$}", 1),
        (r"\boxed{\text{paragraph_2}}", 2),
        (r"\boxed{Paragraph 2}", 2),
        (r"\boxed{<paragraph_0>}", 0),
        (r"\boxed{0} no, wait: \boxed{2}", 2),
        (r"<think>maybe \boxed{1}</think> All is right: \boxed{-1}", -1),
        (r"<think>maybe \boxed{1}", None),
        (r"\boxed{3}", None),  # there are paragraphs 0 to 2
        (r"\boxed{-2}", None),
        (r"\boxed{}", None),
        (r"\boxed{none}", None),
        (r"\boxed{1, 2}", None),
        (r"\boxed{1.5}", None),
        (r"\boxed{10000000000000000000000000}", None),
        (r"\boxed{1", None),
        ("The answer is: 1", None),
        ("", None),
    ],
)
def test_votes_are_read(text: str, vote: int | None) -> None:
    assert read_vote(text, num_steps=3) == vote


@settings(derandomize=True, deadline=None)
@given(st.text(alphabet="\\boxed{}-10 ", max_size=60), st.integers(1, 3))
def test_no_answer_is_read_as_a_step_that_is_not_there(text: str, num_steps: int) -> None:
    assert read_vote(text, num_steps) in {None, *range(-1, num_steps)}


def labels_of(*votes: int | None) -> tuple[list[int], list[float]]:
    """Return the labels of a solution in three steps."""
    steps = split_solutions(SOLUTIONS.head(1).with_columns(text=pl.lit("a\nb\nc")))
    labels = enforce(STEP_LABELS, judge_labels(steps, critiques(steps, *votes)))
    return labels["hard"].to_list(), labels["soft"].to_list()


@pytest.mark.parametrize(
    ("votes", "hard", "soft"),
    [
        ([-1], [1, 1, 1], [1.0, 1.0, 1.0]),
        ([0], [0, 0, 0], [0.0, 0.0, 0.0]),
        ([2], [1, 1, 0], [1.0, 1.0, 0.0]),
        ([1, 1, -1, None], [1, 0, 0], [1.0, 1 / 3, 1 / 3]),
        ([1, 2], [1, 0, 0], [1.0, 0.5, 0.0]),  # of equally many, the first drawn
        ([2, 1], [1, 1, 0], [1.0, 0.5, 0.0]),
        ([None, None], [], []),
    ],
)
def test_the_most_votes_count(votes: list[int | None], hard: list[int], soft: list[float]) -> None:
    assert labels_of(*votes) == (hard, soft)


def test_critiques_name_steps_and_order_does_not_matter() -> None:
    found = critiques(STEPS, 1, None, -1, 0)
    s1, s2 = found.filter(solution_id="s1"), found.filter(solution_id="s2")
    assert s1["first_error"].to_list() == [2, None, -1, 1]
    assert s2["first_error"].to_list() == [2, None, -1, 1]
    assert s1["vote"].to_list() == [0, 1, 2, 3]
    labels = judge_labels(STEPS, found)
    assert judge_labels(STEPS.reverse(), found.sample(fraction=1, shuffle=True, seed=0)).equals(
        labels.reverse()
    )


def test_a_critique_that_was_cut_has_no_vote() -> None:
    cut = critiques(STEPS, 0, 0, finish_reason="length")
    assert cut["first_error"].null_count() == cut.height
    assert judge_labels(STEPS, cut).is_empty()


JUDGE = JudgeSettings(base="owner/judge", template="{question}\n", num_votes=3, max_tokens=40)


def test_a_judge_on_a_server_of_its_own(tmp_path: Path) -> None:
    """It is asked once a vote; its labels are what its answers say, and none is lost."""

    def answer(body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        assert body["model"] == "owner/judge"
        assert "<paragraph_0>" in body["prompt"]
        text = "no idea" if "{question}" in body["prompt"] else r"The sum is off: \boxed{1}"
        choice = {"text": text, "finish_reason": "stop"}
        usage = {"prompt_tokens": 50, "completion_tokens": 8}
        return 200, {}, json.dumps({"choices": [choice], "usage": usage}).encode()

    server = Server(answer)
    engine = EngineSettings.model_validate(
        {"kind": "openai", "openai": {"base_urls": [server.url]}}
    )
    model = ModelSettings(base=JUDGE.base, template=JUDGE.template)
    judge = completion_model_of("judge", model, JUDGE.base, engine)
    shard = Shard("words", "00", tmp_path, run_seed=7)
    drawn = draw_critiques(STEPS, PROBLEMS, judge, JUDGE, shard)
    again = draw_critiques(STEPS, PROBLEMS, judge, JUDGE, shard)
    server.stop()
    assert len(server.asked) == 6, "the second time all came from the journal"
    assert again.frame.equals(drawn.frame)
    assert enforce(CRITIQUE_COSTS, drawn.cost)["completion_tokens"].to_list() == [6 * 8]
    assert enforce(CRITIQUES, drawn.frame)["first_error"].null_count() == 3
    labels = judge_labels(STEPS, drawn.frame)
    assert labels.join(STEPS, on="step_id")["solution_id"].unique().to_list() == ["s1"]
    assert labels["hard"].to_list() == [1, 0]


def test_a_judge_may_have_any_name_that_its_own_server_gives_it(tmp_path: Path) -> None:
    served = {"kind": "openai", "openai": {"base_urls": ["http://host:8000/v1"]}}
    judge = JudgeSettings.model_validate({"base": "our-judge", "engine": served})
    deployment = Deployment(TINY, Home(tmp_path))
    assert deployment.judge_base(judge) == "our-judge"
    with pytest.raises(ValueError, match="base 'our-judge': neither a shipped model"):
        deployment.judge_base(judge.model_copy(update={"engine": None}))


def test_the_chat_of_a_judge_that_only_its_server_knows_must_be_written_out() -> None:
    engine = EngineSettings.model_validate(
        {"kind": "openai", "openai": {"base_urls": ["http://host:8000/v1"]}}
    )
    with pytest.raises(ValueError, match=r"^template chat: 'our-judge' .*set `template`.*$"):
        completion_model_of(
            "judge", ModelSettings(base="our-judge", template="chat"), "our-judge", engine
        )
    written = ModelSettings(base="our-judge", template="<|user|>{question}<|assistant|>")
    assert completion_model_of("judge", written, "our-judge", engine).template == written.template


def test_the_stand_in_reads_the_task_word_by_word_and_speaks_the_format(
    base: Path, tmp_path: Path
) -> None:
    critiques = stand_in.draw_critiques(40, seed=0)
    settings = stand_in.SETTINGS.model_copy(update={"batch_size": 8})
    report = stand_in.train_judge(base, critiques, tmp_path / "judge", settings, seed=0)
    assert (report.num_examples, report.num_cut) == (40, 0)
    assert report.losses[-1] < report.losses[0]

    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "judge")
    for task, critique in critiques.iter_rows():
        text = stand_in.TEMPLATE.replace("{question}", task) + critique
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert tokenizer.unk_token_id not in ids
        assert tokenizer.decode(ids) == text
        assert read_vote(critique, num_steps=task.count("</paragraph_")) is not None


def test_the_embedded_engine_runs_a_judge(base: Path, tmp_path: Path) -> None:
    stand_in.add_task_tokens(base, tmp_path / "judge")
    model = ModelSettings(base="judge", template=stand_in.TEMPLATE)
    engine = EngineSettings(batch_size=4, dtype="float32", device="cpu")
    judge = completion_model_of("judge", model, tmp_path / "judge", engine)
    drawn = draw_critiques(STEPS, PROBLEMS, judge, JUDGE, Shard("words", "00", tmp_path, 7))
    found = enforce(CRITIQUES, drawn.frame)
    assert found["vote"].to_list() == [0, 1, 2, 0, 1, 2]
    assert found["num_tokens"].min() > 0
    # Without training it says nothing that can be read as a verdict on a step that is not there.
    labels = enforce(STEP_LABELS, judge_labels(STEPS, found))
    assert set(labels["step_id"]) <= set(STEPS["step_id"])
