import polars as pl
import pytest

from benchmarks.gsm8k_import import SAMPLES, disagreements, run


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
    not SAMPLES.is_file(),
    reason="the published GSM8K files are not there: set SHEPHERD_SHARED_DATA",
)
def test_published_gsm8k_meets_every_target(capsys: pytest.CaptureFixture[str]) -> None:
    results = run()
    assert [result.name for result in results if result.met is False] == []
    assert capsys.readouterr().err == ""
