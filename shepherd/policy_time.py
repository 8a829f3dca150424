"""Tokens and time of policies, from the lengths of questions and gold solutions.

The formula is in docs/policies.md ("What a policy takes"). Exact: how often each token is drawn,
scored and learned. Assumed: that responses are as long as gold solutions, and the two speeds that
were measured on one GPU; communication between GPUs counts as nothing.
"""

from dataclasses import dataclass

from shepherd.architectures import Architecture
from shepherd.estimates import CHARACTERS_PER_TOKEN, MEASURED_PARAMETERS
from shepherd.policy_memory import value_parameters
from shepherd.settings import PpoSettings, ReinforcementSettings, RftSettings
from shepherd.text_sizes import TextSizes

FORWARD, BACKWARD = 2, 4
"""Floating-point operations of a parameter and token (Kaplan et al., 2020, arXiv 2001.08361,
section 2.1)."""

PADDED_SPEED, PACKED_SPEED = 34_231, 70_369
"""Tokens per second of training a model of ``MEASURED_PARAMETERS`` on one H100: with float32
weights, autocast and padding, and with packed batches and fused layers (docs/training.md)."""


@dataclass(frozen=True)
class Lengths:
    """Mean tokens of a request to a policy."""

    prompt: float
    """Of the question in its template."""
    response: float

    @classmethod
    def of(cls, sizes: TextSizes, template_characters: int, max_tokens: int) -> "Lengths":
        """Return the lengths of an average problem; a response has at most ``max_tokens``."""
        question = sizes.questions / sizes.problems + template_characters
        solution = sizes.solutions / sizes.problems
        return cls(
            question / CHARACTERS_PER_TOKEN, min(max_tokens, solution / CHARACTERS_PER_TOKEN)
        )

    @property
    def whole(self) -> float:
        """Tokens of prompt and response."""
        return self.prompt + self.response


@dataclass(frozen=True)
class PolicyWork:
    """What a policy computes over its whole training."""

    responses: int
    """Sampled and greedy ones."""
    optimizer_steps: int
    drawn: float
    """Tokens of the responses."""
    scored: float
    """Tokens, prompts included, that pass through policy, reference, value and reward model."""
    learned: float
    """Tokens, prompts included, of all optimizer steps."""


def reinforcement_work(settings: ReinforcementSettings, lengths: Lengths) -> PolicyWork:
    """Return the work of PPO or GRPO.

    One more iteration measures the finished policy: it draws and scores, and learns nothing.
    """
    in_an_iteration = settings.problems_per_iteration * settings.samples_per_problem
    sampled = in_an_iteration * (settings.iterations + 1)
    responses = sampled + settings.num_validation * (settings.iterations + 1)
    steps = settings.epochs * -(-in_an_iteration // settings.batch_size)
    return PolicyWork(
        responses,
        settings.iterations * steps,
        responses * lengths.response,
        sampled * lengths.whole,
        settings.iterations * settings.epochs * in_an_iteration * lengths.whole,
    )


def rft_work(
    settings: RftSettings, num_problems: float, num_gold: float, lengths: Lengths
) -> PolicyWork:
    """Return an upper bound of RFT's work: all draws are right, and no two solutions are alike.

    Args:
        settings: draws of a problem, and fine-tuning.
        num_problems: the problems whose solutions are drawn.
        num_gold: the gold solutions that are learned beside the draws.
        lengths: of an average problem.
    """
    draws = round(num_problems * settings.samples_per_problem)
    examples = draws + num_gold
    training = settings.training
    return PolicyWork(
        draws,
        round(training.epochs * examples / training.batch_size),
        draws * lengths.response,
        0,
        training.epochs * examples * lengths.whole,
    )


@dataclass(frozen=True)
class PolicyHours:
    """Hours by the clock on all GPUs of a policy. None draws or scores while it learns."""

    drawing: float
    scoring: float
    learning: float

    @property
    def total(self) -> float:
        """Hours from start to end."""
        return self.drawing + self.scoring + self.learning


def reinforcement_hours(
    work: PolicyWork,
    settings: ReinforcementSettings,
    policy: Architecture,
    judge: Architecture,
    tokens_per_second: float,
) -> PolicyHours:
    """Return the hours of PPO or GRPO on ``settings.num_processes`` GPUs.

    ``tokens_per_second`` is the speed of all engines together.
    """
    of_value = value_parameters(policy) if isinstance(settings, PpoSettings) else 0
    scoring_operations = FORWARD * (2 * policy.num_parameters + of_value + judge.num_parameters)
    learning_operations = _learning_operations(settings.gradient_checkpointing) * (
        policy.num_parameters + of_value
    )
    speed = settings.num_processes * _operations_per_second(PADDED_SPEED)
    return PolicyHours(
        work.drawn / tokens_per_second / 3600,
        work.scored * scoring_operations / speed / 3600,
        work.learned * learning_operations / speed / 3600,
    )


def rft_hours(
    work: PolicyWork, settings: RftSettings, policy: Architecture, tokens_per_second: float
) -> PolicyHours:
    """Return the hours of RFT; a sharded model computes with autocast over float32 weights."""
    training = settings.training
    tokens_of_one = PADDED_SPEED if training.sharded else PACKED_SPEED
    operations = _learning_operations(training.gradient_checkpointing) * policy.num_parameters
    speed = training.num_processes * _operations_per_second(tokens_of_one)
    return PolicyHours(
        work.drawn / tokens_per_second / 3600, 0, work.learned * operations / speed / 3600
    )


def _learning_operations(is_checkpointed: bool) -> int:
    """Return the operations of a parameter and token while a network learns."""
    return FORWARD + BACKWARD + (FORWARD if is_checkpointed else 0)


def _operations_per_second(tokens_per_second: float) -> float:
    """Return operations per second, from tokens per second of the model that was measured."""
    return (FORWARD + BACKWARD) * MEASURED_PARAMETERS * tokens_per_second
