import random
import re
from operator import add, mul, sub, truediv

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from shepherd.answers import extract_answer
from shepherd.prompts import TEMPLATES, build_prompt, check_template, open_template
from shepherd.splitting import split_steps
from shepherd.word_problems import draw_problems, write_solution
from training.tokenizer import build_tokenizer


def test_plain_prompt() -> None:
    assert build_prompt("plain", "How many?") == "How many?\n"
    assert build_prompt("plain", "How many?", "Step 1: 1.\n") == "How many?\nStep 1: 1.\n"


def test_metamath_prompt_is_the_published_one() -> None:
    assert build_prompt("metamath", "How many?", "Tom") == (
        "Below is an instruction that describes a task. Write a response that appropriately "
        "completes the request.\n\n### Instruction:\nHow many?\n\n"
        "### Response: Let's think step by step.Tom"
    )


def test_the_solutions_of_the_few_shot_prompt_are_right_and_a_step_a_line() -> None:
    *examples, last = TEMPLATES["few_shot"].split("\n\n")
    assert len(examples) == 4
    assert last == "Question: {question}\nSolution:\n"
    for example in examples:
        question, solution = example.split("\nSolution:\n")
        assert question.startswith("Question: ")
        *steps, answer = solution.splitlines()
        results = []
        for step in steps:
            [(formula, result)] = re.findall(r"([\d /*+-]+) = \$?(\d+)", step)
            results.append(result)
            first, *others = re.split(r" ([*/+-]) ", formula.strip())
            value = float(first)
            for sign, number in zip(others[::2], others[1::2], strict=True):
                value = ARITHMETIC[sign](value, float(number))
            assert value == float(result), step
        assert extract_answer(solution) == results[-1] == answer.removeprefix("The answer is: ")


ARITHMETIC = {"+": add, "-": sub, "*": mul, "/": truediv}


@settings(derandomize=True, deadline=None)
@given(st.sampled_from(["plain", "metamath", "Q: {question}\nA:"]), st.text(), st.text())
def test_a_prompt_holds_the_question_and_ends_with_the_prefix(
    template: str, question: str, prefix: str
) -> None:
    prompt = build_prompt(template, question, prefix)
    assert question in prompt
    assert prompt == build_prompt(template, question) + prefix


def test_braces_of_a_question_are_text() -> None:
    assert build_prompt("plain", "{question} {0} \\frac{1}{2}") == "{question} {0} \\frac{1}{2}\n"


def test_unknown_template_names_the_known_ones() -> None:
    known = r"'alpaca' is unknown.*chat, few_shot, metamath, plain, thinking"
    with pytest.raises(ValueError, match=known):
        build_prompt("alpaca", "How many?")
    for template in ("plain", "metamath", "few_shot", "chat", "Q: {question}"):
        check_template(template)


CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA_2 = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token }}[INST] {{ m.content | trim }} "
    "[/INST]{% else %} {{ m.content | trim }} {{ eos_token }}{% endif %}{% endfor %}"
)
LLAMA_3 = (
    "{% for m in messages %}{% set text = '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n'"
    " + m.content | trim + '<|eot_id|>' %}{{ (bos_token if loop.first else '') + text }}"
    "{% endfor %}"
)
CHATS = {"chatml": CHATML, "llama-2": LLAMA_2, "llama-3": LLAMA_3}


GPT_2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA_3_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PROBLEMS = [
    (problem.question, write_solution(problem, random.Random(0)))
    for problem in draw_problems(5, "train", 40)
]


def bpe_tokenizer(pattern: str, *, adds_bos: bool) -> PreTrainedTokenizerFast:
    """Return a byte-level tokenizer, its pieces cut as ``pattern`` says (GPT-2, Llama 3)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    names = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|eot_id|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=names,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = ["\n".join(pair) for pair in PROBLEMS]
    tokenizer.train_from_iterator([*texts, "\n\n".join(texts)], trainer)
    if adds_bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", 0)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", name_or_path="some/model"
    )


TOKENIZERS = {
    "gpt-2": bpe_tokenizer(GPT_2, adds_bos=False),
    "llama-3": bpe_tokenizer(LLAMA_3_PIECES, adds_bos=True),
    "words": build_tokenizer(),
}


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("template", ["plain", "metamath", *CHATS])
def test_tokens_of_prompt_and_prefix_are_those_of_the_whole(kind: str, template: str) -> None:
    """What the model reads before a continuation is what it read and wrote up to there."""
    tokenizer = TOKENIZERS[kind]
    if template in CHATS:
        tokenizer.chat_template = CHATS[template]
        template = open_template("chat", tokenizer)
    for question, solution in PROBLEMS:
        # A model that starts after a mark without a space writes the space.
        written = " " + solution if template.endswith("]") else solution
        whole = tokenizer(build_prompt(template, question, written))["input_ids"]
        prefix = ""
        for step in ["", *split_steps(written)]:
            prefix += step
            read = tokenizer(build_prompt(template, question, prefix))["input_ids"]
            assert whole[: len(read)] == read


@pytest.mark.parametrize("kind", ["gpt-2", "llama-3"])
@pytest.mark.parametrize("chat", CHATS)
def test_a_chat_prompt_is_the_models_own_with_one_bos(kind: str, chat: str) -> None:
    tokenizer = TOKENIZERS[kind]
    tokenizer.chat_template = CHATS[chat]
    template = open_template("chat", tokenizer)
    question, solution = PROBLEMS[0]
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": solution}]
    text = tokenizer.apply_chat_template(turns, tokenize=False, continue_final_message=True)
    own = tokenizer(text, add_special_tokens=False)["input_ids"]
    space = " " if chat == "llama-2" else ""
    read = tokenizer(build_prompt(template, question, space + solution))["input_ids"]
    has_bos = kind == "llama-3" or "bos_token" in CHATS[chat]
    assert read.count(tokenizer.bos_token_id) == has_bos
    assert [i for i in read if i != tokenizer.bos_token_id] == [
        i for i in own if i != tokenizer.bos_token_id
    ]


def test_a_model_without_a_usable_chat_template_is_named() -> None:
    tokenizer = bpe_tokenizer(GPT_2, adds_bos=False)
    assert open_template("metamath", tokenizer) == "metamath"
    with pytest.raises(ValueError, match="some/model: has no chat template"):
        open_template("chat", tokenizer)
    tokenizer.chat_template = "{{ messages[1].content }}{{ messages[0].content }}"
    with pytest.raises(ValueError, match="some/model: its chat template does not show"):
        open_template("chat", tokenizer)


DATED = (
    "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "Today Date: {{ date_string }}\n" + CHATML
)


@pytest.mark.parametrize(
    "chat",
    [
        DATED,
        "{{ strftime_now('%Y') }}" + CHATML,
        "{{ strftime_now('%M') }}" + CHATML,
        "{% set now = strftime_now %}{{ now('%A') }}" + CHATML,
    ],
)
def test_a_chat_template_with_todays_date_is_refused_with_what_to_write(chat: str) -> None:
    tokenizer = bpe_tokenizer(GPT_2, adds_bos=False)
    tokenizer.chat_template = chat
    with pytest.raises(ValueError, match="some/model: its chat template writes the date") as caught:
        open_template("chat", tokenizer)
    message = str(caught.value)
    assert "\n" not in message
    _, _, pinned = message.partition("the text of today: ")
    template = yaml.safe_load(f"template: {pinned}")["template"]
    check_template(template)
    turns = [{"role": "user", "content": "How many?"}, {"role": "assistant", "content": "Two"}]
    own = tokenizer.apply_chat_template(turns, tokenize=False, continue_final_message=True)
    assert build_prompt(template, "How many?", "Two") == own
    assert open_template(template, tokenizer) == template


def test_a_chat_template_that_can_do_without_the_date_is_read() -> None:
    tokenizer = bpe_tokenizer(GPT_2, adds_bos=False)
    tokenizer.chat_template = CHATML
    plain = open_template("chat", tokenizer)
    tokenizer.chat_template = "{% if false %}{{ strftime_now('%d') }}{% endif %}" + CHATML
    assert open_template("chat", tokenizer) == plain


@pytest.mark.parametrize(
    "chat",
    [
        "{% for m in messages %}",
        "{{ raise_exception('system first') }}",
        "{{ 1 / 0 }}",
        "{{ messages[7].content }}",
        "{{ 'a' + 1 }}",
        "{{ nothing.at.all }}",
        "{{ messages | no_filter }}",
        "{{ ().__class__.__mro__ }}",
        "no messages at all",
    ],
)
def test_a_chat_template_that_fails_is_named_in_one_line(chat: str) -> None:
    tokenizer = bpe_tokenizer(GPT_2, adds_bos=False)
    tokenizer.chat_template = chat
    with pytest.raises(ValueError, match=r"some/model: its chat template .* \{question\}"):
        open_template("chat", tokenizer)
