"""What PPO draws in an iteration, through which engine, and what the responses are like."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from shepherd.identity import derive_seed
from shepherd.repeats import num_repeated_steps
from shepherd.requests import Completion, Engine, Request, draw_all
from shepherd.settings import PpoSettings
from training.episodes import Episode, Question

Grader = Callable[[Sequence[str], Sequence[str], Sequence[str]], Sequence[bool]]
"""Says of gold answers, texts and finish reasons which texts are right."""


@dataclass(frozen=True)
class Sampler:
    """Draws responses of at most ``max_tokens``; ``open_engine`` opens a checkpoint folder."""

    open_engine: Callable[[Path], Engine]
    max_tokens: int
    seed: int

    def draw(
        self,
        checkpoint: Path,
        asked: Sequence[Question],
        held_out: Sequence[Question],
        settings: PpoSettings,
        iteration: int,
    ) -> tuple[list[tuple[Question, Completion]], list[tuple[Question, Completion]]]:
        """Return responses to some of ``asked``, in turn, and greedy ones to ``held_out``."""
        sampled = list(self._sampled(asked, settings, iteration))
        greedy = [
            (question, Request(f"held out {index}", question.prompt, 0, 0.0, self.max_tokens))
            for index, question in enumerate(held_out)
        ]
        requests = [request for _, request in sampled + greedy]
        with closing(self.open_engine(checkpoint)) as engine:
            drawn = draw_all(engine, requests)
        questions = [question for question, _ in sampled + greedy]
        told = list(zip(questions, drawn, strict=True))
        return told[: len(sampled)], told[len(sampled) :]

    def _sampled(
        self, asked: Sequence[Question], settings: PpoSettings, iteration: int
    ) -> Iterator[tuple[Question, Request]]:
        count = settings.problems_per_iteration
        for turn in range(iteration * count, (iteration + 1) * count):
            epoch, place = divmod(turn, len(asked))
            order = _order(len(asked), derive_seed(self.seed, "ppo", "problems", epoch))
            question = asked[order[place]]
            for index in range(settings.samples_per_problem):
                seed = derive_seed(self.seed, "ppo", str(turn), index)
                identity = f"{turn}:{index}"
                yield (
                    question,
                    Request(identity, question.prompt, seed, settings.temperature, self.max_tokens),
                )


@lru_cache(maxsize=2)
def _order(count: int, seed: int) -> list[int]:
    return random.Random(seed).sample(range(count), count)


def describe(episodes: Sequence[Episode], grade: Grader) -> dict[str, float]:
    """Return how right, how long and how repetitive responses are, on average.

    ``repeated_steps`` is the share of steps that say what an earlier one of the response said.

    Raises:
        ValueError: there is no response.
    """
    if not episodes:
        raise ValueError(
            "PPO: the engine answered no prompt of the held-out problems, or none of an "
            "iteration's in tokens as its tokenizer writes them: raise num_validation or "
            "problems_per_iteration, or leave out questions that are longer than the model's window"
        )
    right = grade(
        [e.gold_answer for e in episodes],
        [e.text for e in episodes],
        ["length" if e.is_cut else "stop" for e in episodes],
    )
    num_steps = sum(len(e.steps) for e in episodes)
    return {
        "accuracy": sum(right) / len(episodes),
        "tokens": sum(len(e.response) for e in episodes) / len(episodes),
        "steps": num_steps / len(episodes),
        "repeated_steps": sum(num_repeated_steps(e.steps) for e in episodes) / num_steps,
        "cut_share": sum(e.is_cut for e in episodes) / len(episodes),
    }
