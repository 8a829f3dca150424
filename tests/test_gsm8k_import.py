import json

import polars as pl
import pytest

from benchmarks.gsm8k_import import BENCHMARK, SAMPLES, disagreements
from benchmarks.requirements import shared_data


def test_a_disagreement_is_listed_whichever_side_says_correct() -> None:
    compared = pl.DataFrame(
        {
            "idx": [0, 1, 2, 3],
            "source_correct": [True, True, False, False],
            "is_correct": [True, False, True, False],
        }
    )
    assert disagreements(compared)["idx"].to_list() == [1, 2]


@pytest.mark.skipif(
    not shared_data().joinpath(*SAMPLES).is_file(),
    reason="the published GSM8K files are not there: set SHEPHERD_SHARED_DATA",
)
def test_published_gsm8k_meets_every_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert BENCHMARK.main(["--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    results = json.loads(out)["results"]
    assert [result["name"] for result in results if result["met"] is False] == []
