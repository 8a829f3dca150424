"""What reading answers takes, and what a prompt token takes against a generated one."""

import time
from collections.abc import Iterator, Sequence

from benchmarks.answer_cases import Case
from benchmarks.answer_reading import Reading
from benchmarks.report import Result
from resources.engines.transformers import TransformersEngine
from shepherd.prompts import build_prompt
from shepherd.requests import Request, draw_all


def prices(case: Case, num_prompts: int, readings: Sequence[Reading]) -> Iterator[Result]:
    """Yield the prompt tokens of reading, and what one takes against a generated token."""
    num_labels = sum(len(s.prefixes) for one in case.work.by_problem for s in one.solutions)
    step_tokens = sum(one.step_tokens for one in readings)
    answer_tokens = sum(one.answer_tokens for one in readings)
    seconds = sum(one.seconds for one in readings)
    yield Result("read: question and steps", step_tokens / num_labels, "prompt tokens a label")
    yield Result("read: marks and answers", answer_tokens / num_labels, "prompt tokens a label")
    yield Result("read: time", 1000 * seconds / (step_tokens + answer_tokens), "ms a token")
    prompts = [
        build_prompt(case.template, problem.question, prefix)
        for problem in case.work.by_problem
        for prefix in problem.prefixes
    ]
    chosen_prompts = prompts[:: max(1, len(prompts) // num_prompts)][:num_prompts]
    read, written = token_seconds(case, chosen_prompts)
    yield Result("a prompt token", 1000 * read, "ms")
    yield Result("a generated token", 1000 * written, "ms")
    yield Result("price of a prompt token", read / written, "generated tokens")


def token_seconds(case: Case, prompts: Sequence[str]) -> tuple[float, float]:
    """Return the seconds of a prompt token and of a generated one, on the engine transformers."""
    engine = TransformersEngine(case.checkpoint, dtype=case.dtype, batch_size=256)
    sampling = case.work.sampling

    def timed(num_rollouts: int, max_tokens: int) -> tuple[float, int, int]:
        requests = [
            Request(f"{i}:{k}", text, k, sampling.rollout_temperature, max_tokens)
            for i, text in enumerate(prompts)
            for k in range(num_rollouts)
        ]
        started = time.perf_counter()
        drawn = draw_all(engine, requests)
        seconds = time.perf_counter() - started
        num_read = sum(one.prompt_tokens - one.cached_tokens for one in drawn)
        return seconds, num_read, sum(one.num_tokens for one in drawn)

    timed(1, 1)
    short, num_read, few = timed(1, 1)
    long, _, many = timed(case.num_rollouts, sampling.max_tokens)
    engine.close()
    written = (long - short) / max(1, many - few)
    return max(0.0, short - few * written) / num_read, written
