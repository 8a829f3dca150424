"""The benchmark for GPUs runs in small on a CPU: it checks itself and prints row after row."""

import json

import pytest

from benchmarks.gpu import BENCHMARK, ROWS
from benchmarks.gpu_training import ARCHITECTURES, long_solutions
from training.tokenizer import build_tokenizer

CHECKS = ("sft", "orm", "prm", "rft", "ppo", "engine transformers")


def test_every_row_is_one_json_line_after_the_self_check(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = ("prm-1.1b-512", "prm-3.0b-checkpointed", "scoring", "engine-transformers")
    assert BENCHMARK.main(["--smallest", "--json", "--only", *rows, "engine-vllm"]) == 0
    out, err = capsys.readouterr()
    *lines, last = map(json.loads, out.splitlines())
    assert [line["row"] for line in lines] == list(rows)
    for line in lines:
        assert line["card"]
        assert line["torch"]
        assert line["seconds"] > 0
    training, checkpointed, scoring, drawing = lines
    assert training["tokens_per_s"] > 0
    assert (training["checkpointing"], checkpointed["checkpointing"]) == (False, True)
    assert checkpointed["last_loss"] == pytest.approx(training["last_loss"], rel=1e-3)
    assert scoring["largest_difference"] < 1e-3
    assert drawing["tokens"] > 0
    names = [result["name"] for result in last["results"]]
    assert names == [*(f"check {name}" for name in CHECKS), *rows]
    [skipped] = [line for line in err.splitlines() if "skipped" in line]
    assert "engine-vllm" in skipped


def test_rows_name_models_of_the_size_that_they_claim() -> None:
    billions = {
        name: round(architecture.num_parameters / 1e9, 1)
        for name, architecture in ARCHITECTURES.items()
    }
    assert billions == {"1.1B": 1.1, "3.0B": 3.0, "7B's width": 1.9}
    assert len(set(ROWS)) == len(ROWS)


@pytest.mark.parametrize("max_tokens", [170, 512])
def test_solutions_have_about_the_length_asked_for(max_tokens: int) -> None:
    tokenizer = build_tokenizer()
    rows = long_solutions(20, max_tokens).rows()
    for question, steps, labels in rows:
        texts = [question + "\n", *steps]
        length = sum(len(tokenizer.encode(t, add_special_tokens=False)) for t in texts)
        assert len(labels) == len(steps)
        assert 0.8 * max_tokens <= length + len(steps) <= max_tokens
