"""Draw the responses of an iteration of PPO or GRPO through an engine, and measure them."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from accelerate import PartialState
from accelerate.utils import gather_object

from resources.engines.new_weights import ReloadableEngine
from shepherd.identity import derive_seed
from shepherd.repeats import num_repeated_steps
from shepherd.requests import Completion, Engine, Request, draw_all
from shepherd.settings import ReinforcementSettings
from training.episodes import Episode, Question

GradeTexts = Callable[[Sequence[str], Sequence[str], Sequence[str]], Sequence[bool]]
"""Returns which texts are right, from gold answers, texts and finish reasons."""

Response = tuple[Question, Completion]


@dataclass(frozen=True)
class PolicySampler:
    """Draw responses from a policy."""

    open_engine: Callable[[Path], ReloadableEngine]
    """Opens a checkpoint folder, once a run."""
    max_tokens: int
    """Most tokens of a response, the stop token included."""
    seed: int
    """Seed of the run, from which the order of questions and all draws derive."""
    stop: tuple[str, ...] = ()
    """Strings that end a response; the policy learns to end it there by itself."""

    def draw(
        self,
        engine: Engine,
        questions: Sequence[Question],
        held_out: Sequence[Question],
        settings: ReinforcementSettings,
        iteration: int,
    ) -> tuple[list[Response], list[Response]]:
        """Draw sampled responses to the iteration's share of questions, greedy ones to held-out.

        Each process draws a share through its own ``engine``, and gets the responses of all.

        Returns:
            The sampled responses, ``samples_per_problem`` to each of ``problems_per_iteration``
            questions, and one greedy response to each held-out question.
        """
        sampled = list(self._sampled_requests(questions, settings, iteration))
        greedy = [
            (question, self._request(f"held out {index}", question, 0, 0.0))
            for index, question in enumerate(held_out)
        ]
        requested = sampled + greedy
        completions = self._draw_share(
            engine, [request for _, request in requested], settings.samples_per_problem
        )
        responses = [
            (question, completions[index]) for index, (question, _) in enumerate(requested)
        ]
        return responses[: len(sampled)], responses[len(sampled) :]

    def _draw_share(
        self, engine: Engine, requests: Sequence[Request], group_size: int
    ) -> dict[int, Completion]:
        """Draw this process's share of the requests; return the completions of all, by index.

        ``group_size`` requests after each other, those of one question, go to one process.
        """
        state = PartialState()
        mine = [
            index
            for index in range(len(requests))
            if index // group_size % state.num_processes == state.process_index
        ]
        drawn = draw_all(engine, [requests[index] for index in mine])
        return dict(gather_object(list(zip(mine, drawn, strict=True))))

    def _sampled_requests(
        self, questions: Sequence[Question], settings: ReinforcementSettings, iteration: int
    ) -> Iterator[tuple[Question, Request]]:
        """Yield requests to the questions in turn; each epoch shuffles the questions anew."""
        count = settings.problems_per_iteration
        for turn in range(iteration * count, (iteration + 1) * count):
            epoch, position = divmod(turn, len(questions))
            order = _order(len(questions), derive_seed(self.seed, "ppo", "problems", epoch))
            question = questions[order[position]]
            for index in range(settings.samples_per_problem):
                seed = derive_seed(self.seed, "ppo", str(turn), index)
                identity = f"{turn}:{index}"
                yield question, self._request(identity, question, seed, settings.temperature)

    def _request(self, identity: str, question: Question, seed: int, temperature: float) -> Request:
        return Request(identity, question.prompt, seed, temperature, self.max_tokens, self.stop)


@lru_cache(maxsize=2)
def _order(count: int, seed: int) -> list[int]:
    return random.Random(seed).sample(range(count), count)


def response_metrics(episodes: Sequence[Episode], grade: GradeTexts) -> dict[str, float]:
    """Return the accuracy, length and repetition of responses, each a mean over responses.

    ``repeated_steps`` is the share of steps that repeat an earlier step of their response,
    ``cut_share`` the share of responses that reached their token limit.

    Raises:
        ValueError: there is no response. Raise ``num_validation`` or ``problems_per_iteration``.
    """
    if not episodes:
        raise ValueError(
            "the engine answered no prompt of the held-out problems, or none of an "
            "iteration's in tokens as its tokenizer writes them: raise num_validation or "
            "problems_per_iteration, or leave out questions that are longer than the model's window"
        )
    are_right = grade(
        [e.gold_answer for e in episodes],
        [e.text for e in episodes],
        ["length" if e.is_cut else "stop" for e in episodes],
    )
    num_steps = sum(len(e.steps) for e in episodes)
    return {
        "accuracy": sum(are_right) / len(episodes),
        "tokens": sum(len(e.response) for e in episodes) / len(episodes),
        "steps": num_steps / len(episodes),
        "repeated_steps": sum(num_repeated_steps(e.steps) for e in episodes) / num_steps,
        "cut_share": sum(e.is_cut for e in episodes) / len(episodes),
    }
