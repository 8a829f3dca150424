from argparse import Namespace

from benchmarks import text_functions


def test_every_function_takes_every_shape() -> None:
    results = text_functions.run(Namespace(length=300))
    assert results[0].value >= 100
    assert len(results) == 1 + len(text_functions.FUNCTIONS)
