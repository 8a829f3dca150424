from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from blocks import add, drain
from fake_engine import FakeEngine
from transformers import AutoModelForCausalLM

from resources.checkpoints.loading import load_weights
from resources.engines.kept import Weights, kept_engine
from resources.engines.transformers import TransformersEngine
from resources.sampling.solutions import draw_candidates, draw_solutions
from resources.sampling.stage import Shard, completion_model_of
from shepherd.requests import Request
from shepherd.settings import EngineSettings, ModelSettings, SamplingSettings

REQUEST = Request("a:0", "1 + 1", seed=3, temperature=1.0, max_tokens=4)


def weights(content: str = "abc") -> Weights:
    return Weights(EngineSettings(), "model", {"weights": content})


def test_the_next_stage_with_equal_weights_takes_the_engine_over() -> None:
    engine = FakeEngine()
    for number in range(3):
        with closing(kept_engine(weights(), lambda: engine)) as opened:
            add(opened, [REQUEST._replace(id=f"a:{number}")])
            assert len(drain(opened)) == 1
    assert engine.added == ["a:0", "a:1", "a:2"]
    assert not engine.closed


def test_other_weights_close_the_engine_before_theirs_are_loaded() -> None:
    engine = FakeEngine()
    kept_engine(weights(), lambda: engine).close()

    def open_other() -> FakeEngine:
        assert engine.closed
        return FakeEngine()

    kept_engine(weights("trained again"), open_other).close()


def test_an_engine_that_has_not_finished_is_not_kept() -> None:
    engine = FakeEngine()
    opened = kept_engine(weights(), lambda: engine)
    add(opened, [REQUEST])
    opened.close()
    assert engine.closed


def test_loading_another_model_closes_the_engine(base: Path) -> None:
    engine = FakeEngine()
    kept_engine(weights(), lambda: engine).close()
    load_weights(AutoModelForCausalLM, base)
    assert engine.closed


def test_solutions_and_candidates_of_all_shards_open_one_engine(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_loaded = 0
    load = TransformersEngine.__init__

    def counted(self: TransformersEngine, *args: object, **options: object) -> None:
        nonlocal num_loaded
        num_loaded += 1
        load(self, *args, **options)

    monkeypatch.setattr(TransformersEngine, "__init__", counted)
    problems = pl.DataFrame({"problem_id": ["p"], "question": ["How many?"], "gold_answer": ["2"]})
    sampling = SamplingSettings(samples_per_problem=2, num_candidates=2, max_tokens=4)
    for key in ("00", "01"):
        # As assets do: each stage describes its model anew.
        for draw in (draw_solutions, draw_candidates):
            model = ModelSettings(base=str(base), template="plain")
            settings = EngineSettings(batch_size=4)
            sampler = completion_model_of("generator", model, base, settings)
            output = draw(problems, sampler, sampling, Shard("words", key, tmp_path, run_seed=7))
            assert output.frame.height == 2
    assert num_loaded == 1
