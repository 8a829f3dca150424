"""Rewards of steps for trainers of others: offsets, one number, token positions, a server."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from published_prms import QWEN_TEMPLATE, byte_tokenizer, save_extra_token
from transformers import AutoModelForCausalLM, AutoTokenizer

from resources.storage.model_store import BASE_MODELS
from shepherd.settings import StepReward
from training.reward_adapters import at_tokens, trl_reward, verl_rewards
from training.step_rewards import RewardedResponse, RewardedStep, Rewarder, open_rewarder

SMALL = BASE_MODELS / "base-small"
RESPONSE = "Tom has 2 + 3 = 5.\nThen 5 + 1 = 6.\nThe answer is: 6"
QUESTION = "Tom has 2 apples. He buys 3, and then 1 more. How many apples has he?"


class FixedScorer:
    """Gives step k of each solution the k-th score."""

    def __init__(self, scores: Sequence[float | None]) -> None:
        self._scores = scores

    def score(
        self,
        questions: Sequence[str],
        steps: Sequence[Sequence[str]],
        *,
        description: str | None = None,
    ) -> list[list[float | None]]:
        return [list(self._scores[: len(row)]) for row in steps]

    def close(self) -> None:
        pass


def test_steps_have_offsets_scores_and_rewards_and_a_response_one_number() -> None:
    rewarder = Rewarder(FixedScorer([0.75, 0.5]), step_reward="difference")
    [rewarded, empty] = rewarder.reward(["?", "?"], [RESPONSE, ""])
    first, second = rewarded.steps
    assert (first, second) == (RewardedStep(0, 19, 0.75, 0.75), RewardedStep(19, 51, 0.5, -0.25))
    assert RESPONSE[first.start : first.end] == "Tom has 2 + 3 = 5.\n"
    assert (rewarded.total, empty) == (0.5, RewardedResponse([], 0.0))


@pytest.mark.parametrize(("aggregation", "total"), [("mean", 0.375), ("last", 0.0)])
def test_a_step_past_the_window_earns_nothing(aggregation: Any, total: float) -> None:
    rewarder = Rewarder(FixedScorer([0.75, None]), aggregation=aggregation)
    [rewarded] = rewarder.reward(["?"], [RESPONSE])
    assert [(step.score, step.reward) for step in rewarded.steps] == [(0.75, 0.75), (None, 0.0)]
    assert rewarded.total == total


def test_a_question_is_needed_for_each_response() -> None:
    with pytest.raises(ValueError, match="1 questions for 2 responses: give one for each"):
        Rewarder(FixedScorer([])).reward(["?"], ["a", "b"])


def test_trl_gets_one_number_a_response_whatever_the_prompt_looks_like() -> None:
    seen: list[str] = []

    class Recorder(FixedScorer):
        def score(self, questions: Sequence[str], *args: Any, **kwargs: Any) -> Any:
            seen.extend(questions)
            return super().score(questions, *args, **kwargs)

    rewarder = Rewarder(Recorder([0.75, 0.5]))
    chat = [[{"role": "user", "content": "?"}]]
    answer = [[{"role": "assistant", "content": RESPONSE}]]
    assert trl_reward(rewarder)(prompts=chat, completions=answer, trainer_state=None) == [0.5]
    by_column = trl_reward(rewarder, "question")
    assert by_column(prompts=["Q: ?\nA:"], completions=["none"], question=["!"]) == [0.75]
    assert seen == ["?", "!"]


@pytest.mark.parametrize("ends_in_stop", [True, False])
def test_verl_gets_each_reward_at_the_last_token_of_its_step(ends_in_stop: bool) -> None:
    tokenizer = AutoTokenizer.from_pretrained(SMALL)
    ids = tokenizer.encode(RESPONSE, add_special_tokens=False)
    ids += [tokenizer.eos_token_id] * ends_in_stop
    rewarder = Rewarder(FixedScorer([0.75, 0.5]))
    text = tokenizer.decode(ids, skip_special_tokens=True)
    [rewards] = verl_rewards(rewarder, tokenizer, ["?"], [ids])
    [first] = [index for index, reward in enumerate(rewards[:-1]) if reward]
    cut = text.index("\n") + 1
    assert tokenizer.decode(ids[: first + 1]) == text[:cut]
    assert (rewards[first], rewards[-1], len(rewards)) == (0.75, 0.5, len(ids))


def test_a_character_of_several_tokens_ends_with_its_last_one() -> None:
    tokenizer = byte_tokenizer("qwen", QWEN_TEMPLATE)
    text = "so \U0001f34e\nok"
    ids = tokenizer.encode(text, add_special_tokens=False)
    steps = [RewardedStep(0, 4, 0.5, 0.5), RewardedStep(4, 7, 0.25, 0.25)]
    rewards = at_tokens(RewardedResponse(steps, 0.25), text, ids, tokenizer)
    place = rewards.index(0.5)
    assert tokenizer.decode(ids[: place + 1]).startswith("so \U0001f34e")
    assert not tokenizer.decode(ids[:place]).startswith("so \U0001f34e")
    assert rewards[-1] == 0.25


@contextmanager
def serve(answer: Callable[[dict[str, Any]], tuple[int, object]]) -> Iterator[str]:
    """Serve ``/v1/completions`` with status and JSON value by a function of the request."""

    class Completions(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, value = answer(body)
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Completions)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def test_a_server_s_log_probabilities_give_the_scores_of_the_model() -> None:
    model = AutoModelForCausalLM.from_pretrained(SMALL, dtype=torch.float32)

    @torch.inference_mode()
    def echo(body: dict[str, Any]) -> tuple[int, object]:
        assert (body["model"], body["echo"], body["logprobs"]) == ("prm", True, 0)
        choices = []
        for index, ids in enumerate(body["prompt"]):
            log_probs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
            of_tokens = log_probs[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0].tolist()
            # The drawn token comes last.
            values = [None, *of_tokens, -0.5]
            choices.append({"index": index, "logprobs": {"token_logprobs": values}})
        return 200, {"choices": choices[::-1]}

    responses = [RESPONSE, "The answer is: 4", ""]
    with serve(echo) as url:
        served = open_rewarder(SMALL, server=url, served_as="prm", format="tags")
        here = open_rewarder(SMALL, format="tags")
        with closing(served.scorer), closing(here.scorer):
            ours, theirs = (each.reward([QUESTION] * 3, responses) for each in (here, served))
    assert [len(each.steps) for each in ours] == [2, 1, 0]
    for one, other in zip(ours, theirs, strict=True):
        assert other.total == pytest.approx(one.total, abs=1e-5)
        assert [s.score for s in other.steps] == pytest.approx(
            [s.score for s in one.steps], abs=1e-5
        )


@pytest.mark.parametrize(
    ("status", "value", "message"),
    [
        (400, {"error": "no echo"}, "completions: 400 .*no echo"),
        (200, {"choices": [{"index": 0, "text": ""}]}, "no log-probabilities of the prompt"),
        (200, {"choices": []}, "log-probabilities of 0 of 4 prompts"),
    ],
)
def test_a_server_that_cannot_score_is_refused(status: int, value: object, message: str) -> None:
    with serve(lambda _: (status, value)) as url:
        rewarder = open_rewarder(SMALL, server=url, format="tags")
        with closing(rewarder.scorer), pytest.raises(ValueError, match=message):
            rewarder.reward([QUESTION], [RESPONSE])
    rewarder = open_rewarder(SMALL, server=url, format="tags")
    with closing(rewarder.scorer), pytest.raises(ValueError, match="correct the address, or start"):
        rewarder.reward([QUESTION], [RESPONSE])


def test_what_is_no_reward_model_or_cannot_be_served_is_refused(tmp_path: Path) -> None:
    head = save_extra_token(tmp_path / "head")
    with pytest.raises(ValueError, match=r"answers with a head, .* without a server"):
        open_rewarder(head, server="http://127.0.0.1:1/v1", format="extra_token")
    with pytest.raises(ValueError, match="nothing says that it was trained as a reward model"):
        open_rewarder(SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("step_reward", ["score"])
def test_trl_s_trainer_learns_from_step_rewards(tmp_path: Path, step_reward: StepReward) -> None:
    trl = pytest.importorskip("trl", reason="TRL is not installed: the extra peers has it")
    from datasets import Dataset

    rewarder = open_rewarder(BASE_MODELS / "base-large", format="tags", step_reward=step_reward)
    rows = {"prompt": [f"{QUESTION}\n"] * 8, "question": [QUESTION] * 8}
    config = trl.GRPOConfig(
        output_dir=str(tmp_path),
        max_steps=3,
        per_device_train_batch_size=4,
        num_generations=4,
        max_completion_length=24,
        learning_rate=1e-4,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        bf16=False,
        seed=0,
    )
    trainer = trl.GRPOTrainer(
        model=str(SMALL),
        reward_funcs=trl_reward(rewarder, "question"),
        args=config,
        train_dataset=Dataset.from_dict(rows),
        processing_class=AutoTokenizer.from_pretrained(SMALL, padding_side="left"),
    )
    before = {name: weight.clone() for name, weight in trainer.model.named_parameters()}
    trainer.train()
    history = pl.DataFrame([row for row in trainer.state.log_history if "reward" in row])
    assert history.height == 3
    assert history["reward"].is_between(0, 1).all()
    assert history["rewards/process_reward/mean"].to_list() == pytest.approx(
        history["reward"].to_list()
    )
    assert any(not torch.equal(w, before[n]) for n, w in trainer.model.named_parameters())
