"""Hand step rewards to the trainers of TRL and verl. Neither is imported here."""

from bisect import bisect_left
from collections.abc import Callable, Sequence

from transformers import PreTrainedTokenizerBase

from training.step_rewards import RewardedResponse, Rewarder

Text = str | Sequence[dict[str, str]]
"""A text, or the turns of a chat."""


def trl_reward(
    rewarder: Rewarder, question_column: str | None = None
) -> Callable[..., list[float]]:
    """Return a reward function for ``reward_funcs`` of TRL's GRPOTrainer: one number a response.

    Args:
        rewarder: what scores the responses.
        question_column: column of the trainer's dataset with the question; None: the prompt itself,
            or the last turn of a chat.
    """

    def process_reward(
        prompts: Sequence[Text], completions: Sequence[Text], **columns: Sequence[object]
    ) -> list[float]:
        questions = (
            [text_of(prompt) for prompt in prompts]
            if question_column is None
            else [str(question) for question in columns[question_column]]
        )
        rewarded = rewarder.reward(questions, [text_of(text) for text in completions])
        return [response.total for response in rewarded]

    return process_reward


def text_of(text: Text) -> str:
    """Return a text, or that of the last turn of a chat."""
    return text if isinstance(text, str) else text[-1]["content"]


def verl_rewards(
    rewarder: Rewarder,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[str],
    response_ids: Sequence[Sequence[int]],
) -> list[list[float]]:
    """Return the reward of each token of each response, as verl's reward managers return them.

    The ids are those that were drawn, without padding, the stop token included. Special tokens are
    no part of the text that is scored.
    """
    texts = [tokenizer.decode(ids, skip_special_tokens=True) for ids in response_ids]
    return [
        at_tokens(rewarded, text, ids, tokenizer)
        for rewarded, text, ids in zip(
            rewarder.reward(questions, texts), texts, response_ids, strict=True
        )
    ]


def at_tokens(
    rewarded: RewardedResponse, text: str, ids: Sequence[int], tokenizer: PreTrainedTokenizerBase
) -> list[float]:
    """Return each step's reward at the step's last token, and 0 at the others.

    The last step ends with the last token, the stop token if there is one. A token that two steps
    share belongs to the first. ``text`` is what ``ids`` decode to.
    """
    rewards = [0.0] * len(ids)
    for number, step in enumerate(rewarded.steps, start=1):
        is_last = number == len(rewarded.steps)
        place = len(ids) - 1 if is_last else last_token(text[: step.end], ids, tokenizer)
        rewards[place] += step.reward
    return rewards


def last_token(beginning: str, ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the index of the token that completes ``beginning``, a prefix of the decoded text.

    A character may be several tokens: a text that ends within it decodes to other characters.
    """

    def is_complete(count: int) -> bool:
        return bool(tokenizer.decode(ids[:count], skip_special_tokens=True).startswith(beginning))

    return bisect_left(range(len(ids)), True, key=lambda index: is_complete(index + 1))
