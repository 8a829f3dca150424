"""Reward the steps of responses that any trainer or engine has drawn.

    from training.step_rewards import open_rewarder

    rewarder = open_rewarder("models/process_reward_model")
    [rewarded] = rewarder.reward(["What is 2 + 3?"], ["2 + 3 = 5.\\nThe answer is: 5"])
    rewarded.total    # one number for the response
    rewarded.steps    # start and end of each step in the text, its score and its reward

:mod:`training.reward_adapters` hands the rewards to the trainers of TRL and verl.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import polars as pl

from shepherd.reward_formats import FormatChoice
from shepherd.settings import ScoringSettings, StepReward
from shepherd.splitting import Method, split_steps
from shepherd.verification import Aggregation, aggregate
from training.advantages import step_rewards
from training.scoring import Scorer, StepScorer, open_scorer


@dataclass(frozen=True)
class RewardedStep:
    """A step of a response: ``response[start:end]``."""

    start: int
    """Index of its first character."""
    end: int
    """Index behind its last character, the separator included."""
    score: float | None
    """Probability in [0, 1] that the step is right; null if it is past the model's window."""
    reward: float
    """What a policy earns at the end of the step. An unscored step earns as a score of 0 does."""


@dataclass(frozen=True)
class RewardedResponse:
    """A response with the rewards of its steps."""

    steps: list[RewardedStep]
    """In order; without a gap they cover the response. An empty response has none."""
    total: float
    """One number for the response: its scores, aggregated; 0 for an empty response."""


@dataclass(frozen=True)
class Rewarder:
    """Reward responses with a process reward model that stays loaded."""

    scorer: StepScorer
    splitting: Method = "auto"
    """How responses are split into steps: as the model's training data were."""
    step_reward: StepReward = "score"
    """How scores become rewards (:func:`training.advantages.step_rewards`)."""
    aggregation: Aggregation = "min"
    """How scores become one number; ``min`` is the paper's score of a solution."""

    def reward(self, questions: Sequence[str], responses: Sequence[str]) -> list[RewardedResponse]:
        """Return the rewards of each response to the question at its place.

        Args:
            questions: without prompt template or chat.
            responses: as they were drawn, without the question.

        Raises:
            ValueError: there are not as many questions as responses, or a server does not answer.
        """
        if len(questions) != len(responses):
            raise ValueError(
                f"{len(questions)} questions for {len(responses)} responses: give one for each"
            )
        rewarded = [RewardedResponse([], 0.0)] * len(responses)
        steps = [split_steps(response, self.splitting) for response in responses]
        filled = [index for index, texts in enumerate(steps) if texts]
        scores = self.scorer.score([questions[i] for i in filled], [steps[i] for i in filled])
        known = [[0.0 if score is None else score for score in row] for row in scores]
        totals = aggregate(pl.Series(known, dtype=pl.List(pl.Float64)), self.aggregation)
        for index, row, known_row, total in zip(filled, scores, known, totals, strict=True):
            ends = list(accumulate(map(len, steps[index])))
            rewards = step_rewards(known_row, self.step_reward)
            columns = zip([0, *ends[:-1]], ends, row, rewards, strict=True)
            rewarded[index] = RewardedResponse([RewardedStep(*column) for column in columns], total)
        return rewarded


def open_rewarder(
    model: str | Path,
    *,
    server: str | None = None,
    served_as: str | None = None,
    template: str = "plain",
    max_length: int | None = None,
    format: FormatChoice = "auto",
    splitting: Method = "auto",
    step_reward: StepReward = "score",
    aggregation: Aggregation = "min",
) -> Rewarder:
    """Open a process reward model here, or one that a server holds.

    Args:
        model: checkpoint folder or hub name. With ``server``, only its config and tokenizer are
            read.
        server: base address of an OpenAI-compatible server that echoes prompts with
            log-probabilities, such as ``http://localhost:8000/v1`` of vLLM.
        served_as: the server's name of the model; None: ``model``.
        template: prompt template around the question; read by the format ``tags`` alone.
        max_length: most tokens that the model reads; None: its window.
        format: what the model reads (docs/models.md).
        splitting, step_reward, aggregation: fields of :class:`Rewarder`.

    Raises:
        ValueError: the checkpoint is no process reward model, or cannot be served.
    """
    scorer: StepScorer
    if server is None:
        settings = ScoringSettings(format=format)
        scorer = open_scorer(
            model, settings, kind="process", template=template, max_length=max_length
        )
    else:
        scorer = Scorer(
            model,
            kind="process",
            template=template,
            max_length=max_length,
            format=format,
            server=server,
            served_as=served_as or str(model),
        )
    return Rewarder(scorer, splitting, step_reward, aggregation)
