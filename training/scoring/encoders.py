"""Turn questions and steps into the tokens that each format of reward models was trained on.

Untrusted text may hold the marks of a format. The places of scores are therefore where a mark was
written, not where its token is found.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from transformers import PreTrainedTokenizerBase

from shepherd.chat_turns import chat_turns, stable_chat
from shepherd.prompts import build_prompt, open_template
from shepherd.reward_formats import RewardFormat
from training.step_tags import TAG_TEXT, Tags, encode_all

EXTRA_TOKEN = "<extra_0>"
SYSTEM_PROMPT = r"Please reason step by step, and put your final answer within \boxed{}."
"""The step token and the system prompt on the model card of Qwen2.5-Math-PRM."""


@dataclass(frozen=True)
class Encoded:
    """The tokens of a solution, and where its scores are read."""

    ids: list[int]
    """Token ids up to the last place: no score depends on later ones."""
    places: list[int]
    """Index of the token with the score of each step; steps that do not fit are left out."""


class Labels(NamedTuple):
    """The tokens that a language model gives a step as its label."""

    good: int
    bad: int


class Encoder(Protocol):
    """Writes the tokens of one format."""

    labels: Labels | None
    """Null where the score is the output of a head."""

    def encode(
        self, questions: Sequence[str], solutions: Sequence[Sequence[str]], max_length: int
    ) -> list[Encoded]:
        """Return the tokens of solutions, given the steps of each, to ``max_length`` at most."""


def encoder_of(
    reward_format: RewardFormat,
    tokenizer: PreTrainedTokenizerBase,
    model: Path | str,
    template: str,
) -> Encoder:
    """Return the encoder of a format. ``template`` is read by ``tags`` alone.

    Raises:
        ValueError: the tokenizer lacks a token or the chat template of the format.
    """
    if reward_format == "tags":
        return TagEncoder(tokenizer, model, template)
    if reward_format == "math_shepherd":
        return MathShepherdEncoder(tokenizer, model)
    if reward_format == "extra_token":
        return ExtraTokenEncoder(tokenizer, model)
    if reward_format == "chat_turns":
        return ChatTurnEncoder(tokenizer, model)
    return ValueHeadEncoder(tokenizer)


class TagEncoder:
    """The format of the reward models that are trained here (:mod:`training.step_tags`)."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, model: Path | str, template: str
    ) -> None:
        self._tokenizer = tokenizer
        self._template = open_template(template, tokenizer)
        self._tags = Tags.of(tokenizer, model)
        self.labels: Labels | None = Labels(self._tags.good, self._tags.bad)

    def encode(
        self, questions: Sequence[str], solutions: Sequence[Sequence[str]], max_length: int
    ) -> list[Encoded]:
        """Return prompt and steps, each step with its tag."""
        prompts = [build_prompt(self._template, question) for question in questions]
        examples = encode_all(self._tokenizer, self._tags, prompts, solutions, max_length)
        return [_cut(example.ids, example.tags) for example in examples]


class MathShepherdEncoder:
    """The text on the card of ``peiyi9979/math-shepherd-mistral-7b-prm``, encoded as a whole.

    ``question step ки\\nstep ки``, as in the published data (arXiv 2312.08935).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, model: Path | str) -> None:
        self._tokenizer, self._model = tokenizer, model
        tags = Tags.of(tokenizer, model)
        self.labels: Labels | None = Labels(tags.good, tags.bad)

    def encode(
        self, questions: Sequence[str], solutions: Sequence[Sequence[str]], max_length: int
    ) -> list[Encoded]:
        """Return the published text; a tag is found by its place in the text."""
        texts, ends = [], []
        for question, steps in zip(questions, solutions, strict=True):
            text, tag_ends = f"{question} ", []
            for step in steps:
                body = step.rstrip()
                text += body + TAG_TEXT
                tag_ends.append(len(text))
                text += step[len(body) :]
            texts.append(text)
            ends.append(tag_ends)
        if not texts:
            return []
        batch = self._tokenizer(texts, return_offsets_mapping=True)
        rows = zip(batch["input_ids"], batch["offset_mapping"], ends, strict=True)
        return [self._place(*row, max_length) for row in rows]

    def _place(
        self,
        ids: list[int],
        offsets: Sequence[tuple[int, int]],
        tag_ends: Sequence[int],
        max_length: int,
    ) -> Encoded:
        # The bytes of one character may be several tokens with equal ends: the last one counts.
        last_at = {end: index for index, (_, end) in enumerate(offsets)}
        if not last_at.keys() >= set(tag_ends):
            raise ValueError(
                f"{self._model}: its tokenizer joins {TAG_TEXT!r} with the text behind it: set "
                "`scoring.format` to the one that the model was trained with"
            )
        return _cut(ids, [last_at[end] for end in tag_ends if last_at[end] < max_length])


class ExtraTokenEncoder:
    """The chat on the card of ``Qwen/Qwen2.5-Math-PRM-7B``: ``<extra_0>`` behind each step."""

    labels: Labels | None = None

    def __init__(self, tokenizer: PreTrainedTokenizerBase, model: Path | str) -> None:
        self._tokenizer = tokenizer
        token = tokenizer.convert_tokens_to_ids(EXTRA_TOKEN)
        if not isinstance(token, int) or token == tokenizer.unk_token_id:
            raise ValueError(
                f"{model}: its tokenizer has no token {EXTRA_TOKEN}: download its tokenizer "
                "again, or set `scoring.format` to that of the model"
            )
        self._token = token
        question, solution = "QUESTION7f3a", "SOLUTION7f3a"
        turns = [
            {"role": "system", "content": SYSTEM_PROMPT},
            {"role": "user", "content": question},
            {"role": "assistant", "content": solution},
        ]
        head, _, rest = stable_chat(tokenizer, turns).partition(question)
        between, found, _ = rest.partition(solution)
        if not found:
            raise ValueError(
                f"{model}: its chat template does not show question and answer in order: download "
                "its tokenizer again"
            )
        self._around = head, between

    def encode(
        self, questions: Sequence[str], solutions: Sequence[Sequence[str]], max_length: int
    ) -> list[Encoded]:
        """Return the chat; steps are joined by the token alone, without newlines."""
        head, between = self._around
        prompts = [f"{head}{question}{between}" for question in questions]
        texts = [[step.strip() for step in steps] for steps in solutions]
        ids_of = _encode_distinct(self._tokenizer, (text for row in texts for text in row))
        leads = _encode_distinct(self._tokenizer, prompts, add_special_tokens=True)
        return [
            _join(leads[prompt], (([*ids_of[text], self._token], []) for text in row), max_length)
            for prompt, row in zip(prompts, texts, strict=True)
        ]


class ChatTurnEncoder:
    """The chat of RLHFlow's ``prm_evaluate.py``: each step is a turn, and ``+`` the answer to it.

    The score is read where the answer is predicted. All earlier steps have the answer ``+``.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, model: Path | str) -> None:
        self._tokenizer, self._turns = tokenizer, chat_turns(tokenizer)
        turn = f"{self._turns.head}1{self._turns.answering}"
        before = self._ids(turn)
        answers = [self._ids(f"{turn}{label}") for label in ("+", "-")]
        if any(ids[:-1] != before for ids in answers):
            raise ValueError(
                f"{model}: its chat template or tokenizer writes '+' and '-' as more than one "
                "token of their own: set `scoring.format` to that of the model"
            )
        self.labels: Labels | None = Labels(*(ids[-1] for ids in answers))

    def encode(
        self, questions: Sequence[str], solutions: Sequence[Sequence[str]], max_length: int
    ) -> list[Encoded]:
        """Return the conversation; the first turn is the question and the first step."""
        assert self.labels is not None
        texts = [
            [
                self._turn(question if index == 0 else None, step.strip())
                for index, step in enumerate(steps)
            ]
            for question, steps in zip(questions, solutions, strict=True)
        ]
        ids_of = _encode_distinct(self._tokenizer, (text for row in texts for text in row))
        answer = [self.labels.good]
        return [_join([], ((ids_of[text], answer) for text in row), max_length) for row in texts]

    def _turn(self, question: str | None, step: str) -> str:
        """Return the text of a turn, up to the answer; it also ends the answer before."""
        turns = self._turns
        if question is None:
            return f"{turns.asking}{step}{turns.answering}"
        # Llama 3.1's chat template strips each turn.
        return f"{turns.head}{f'{question} {step}'.strip()}{turns.answering}"

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids


class ValueHeadEncoder:
    """The lines of Skywork's ``io_utils.py``, each encoded alone and closed by a newline token.

    The score of a step is read at the newline behind its last line that is not blank.
    """

    labels: Labels | None = None

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._newline: int = tokenizer.encode("\n", add_special_tokens=False)[-1]

    def encode(
        self, questions: Sequence[str], solutions: Sequence[Sequence[str]], max_length: int
    ) -> list[Encoded]:
        """Return the question, and the lines of the steps."""
        prompts = [f"{self._tokenizer.bos_token or ''}{question}\n" for question in questions]
        lines = [[step.removesuffix("\n").split("\n") for step in steps] for steps in solutions]
        distinct = (line for steps in lines for step in steps for line in step)
        ids_of = _encode_distinct(self._tokenizer, distinct)
        leads = _encode_distinct(self._tokenizer, prompts, add_special_tokens=True)
        return [
            _join(leads[prompt], (self._step(step, ids_of) for step in steps), max_length)
            for prompt, steps in zip(prompts, lines, strict=True)
        ]

    def _step(
        self, lines: Sequence[str], ids_of: dict[str, list[int]]
    ) -> tuple[list[int], list[int]]:
        """Return the tokens of a step up to the end of its text, and those of blank lines."""
        last = max((index for index, line in enumerate(lines) if line.strip()), default=0)
        encoded = [[*ids_of[line], self._newline] for line in lines]
        text, blank = encoded[: last + 1], encoded[last + 1 :]
        return [token for ids in text for token in ids], [token for ids in blank for token in ids]


def _encode_distinct(
    tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], *, add_special_tokens: bool = False
) -> dict[str, list[int]]:
    """Return the tokens of each distinct text."""
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return {}
    encoded = tokenizer(distinct, add_special_tokens=add_special_tokens)["input_ids"]
    return dict(zip(distinct, encoded, strict=True))


def _join(
    lead: Sequence[int], steps: Iterable[tuple[Sequence[int], Sequence[int]]], max_length: int
) -> Encoded:
    """Join the tokens of steps: up to the place of the score, and behind it."""
    ids, places = list(lead), []
    for before, behind in steps:
        if len(ids) + len(before) > max_length:
            break
        ids += before
        places.append(len(ids) - 1)
        ids += behind
    return _cut(ids, places)


def _cut(ids: Sequence[int], places: Sequence[int]) -> Encoded:
    return Encoded(list(ids[: places[-1] + 1]) if places else [], list(places))
