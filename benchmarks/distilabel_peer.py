"""distilabel's MathShepherdCompleter and FormatPRM on the solutions of the stubbed pipeline.

distilabel is imported inside the functions: most machines do not have it.
"""

import time
from typing import Any

from benchmarks.stubbed_pipeline import GOLD, RIGHT_ROLLOUT, WRONG_ROLLOUT, N, solutions_of


def distilabel_process(count: int) -> float:
    """Call both tasks' ``process`` directly on all solutions at once; return the seconds."""
    from distilabel.steps import ExpandColumns
    from distilabel.steps.tasks import FormatPRM, MathShepherdCompleter

    completer = MathShepherdCompleter(llm=stub_llm(), N=N)
    expander, formatter = ExpandColumns(columns=["solutions"]), FormatPRM()
    for step in (completer, expander, formatter):
        step.load()
    rows = distilabel_rows(count)
    started = time.perf_counter()
    [completed] = completer.process(rows)
    [expanded] = expander.process(completed)
    [labelled] = formatter.process(expanded)
    seconds = time.perf_counter() - started
    assert len(labelled) == count
    return seconds


def distilabel_pipeline(count: int, batch_size: int) -> float:
    """Run a Pipeline of both tasks; return the seconds from its start to its dataset."""
    from distilabel.pipeline import Pipeline
    from distilabel.steps import ExpandColumns, LoadDataFromDicts
    from distilabel.steps.tasks import FormatPRM, MathShepherdCompleter

    with Pipeline(name="data-plane") as pipeline:
        load = LoadDataFromDicts(data=distilabel_rows(count), batch_size=batch_size)
        completer = MathShepherdCompleter(llm=stub_llm(), N=N, input_batch_size=batch_size)
        expander = ExpandColumns(columns=["solutions"], input_batch_size=batch_size)
        formatter = FormatPRM(input_batch_size=batch_size)
        load >> completer >> expander >> formatter
    started = time.perf_counter()
    distiset = pipeline.run(use_cache=False)
    seconds = time.perf_counter() - started
    assert len(distiset["default"]["train"]) == count
    return seconds


def distilabel_rows(count: int) -> list[dict[str, object]]:
    """Return the problems and solutions of the stubbed pipeline as distilabel's input rows."""
    problems, solutions = solutions_of(count)
    return [
        {
            "instruction": question,
            "solutions": [text.splitlines()],
            "golden_solution": [f"The answer is: {GOLD}"],
        }
        for question, text in zip(problems["question"], solutions["text"], strict=True)
    ]


def stub_llm() -> Any:
    """Return a distilabel LLM that answers every input with the same N completions."""
    from benchmarks.distilabel_stub import StubLLM

    return StubLLM(answer="---".join([RIGHT_ROLLOUT] * (N - N // 4) + [WRONG_ROLLOUT] * (N // 4)))
