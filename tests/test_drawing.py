from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from fake_engine import FakeEngine

from resources.sampling.earlier import CALCULATIONS, FINGERPRINTS, origin_of
from resources.sampling.rollouts import WrittenSolutions, draw_rollouts, rollout_stage
from resources.sampling.solutions import draw_candidates, draw_greedily, draw_solutions
from resources.sampling.stage import CompletionModel, Shard, StageOutput
from resources.storage.journal import fingerprints
from resources.storage.lake import Lake
from shepherd.annotators.first_success import FirstSuccess
from shepherd.annotators.monte_carlo import MonteCarlo
from shepherd.annotators.outcome_closure import OutcomeClosure
from shepherd.annotators.pilot import Pilot
from shepherd.annotators.problem import Annotator
from shepherd.requests import Request, request_rows
from shepherd.rollouts import split_solutions
from shepherd.schemas import (
    CANDIDATE_COSTS,
    CANDIDATES,
    GREEDY_SOLUTIONS,
    PILOT_COSTS,
    PILOT_ROLLOUTS,
    ROLLOUT_COSTS,
    ROLLOUTS,
    SOLUTION_COSTS,
    SOLUTIONS,
    Table,
    enforce,
)
from shepherd.settings import DEFAULT_SPLITTING, SamplingSettings, SplittingSettings

PROBLEMS = pl.DataFrame(
    {"problem_id": ["p", "q"], "question": ["How many?", "boom"], "gold_answer": ["2", "3"]}
)
A, B, C = (f"Step {k}: {k} + 1 = {k + 1}.\n" for k in range(1, 4))
WRITTEN = pl.DataFrame(
    {
        "solution_id": ["s", "t"],
        "problem_id": ["p", "p"],
        "text": [A + B + C, A + B + A],
        "is_correct": [True, False],
    }
)
STEPS = split_solutions(WRITTEN)
SAMPLING = SamplingSettings(samples_per_problem=12, num_candidates=20)


def sampler(weights: str = "abc") -> CompletionModel:
    return CompletionModel("weak", "plain", {"weights": weights}, FakeEngine)


def draw(
    table: Table,
    folder: Path,
    sampling: SamplingSettings = SAMPLING,
    *annotators: Annotator,
) -> StageOutput:
    shard = Shard("words", "00", folder, run_seed=7)
    if table is ROLLOUTS:
        return draw_rollouts(
            rollout_stage(sampler(), sampling, shard),
            WrittenSolutions(PROBLEMS, WRITTEN, STEPS),
            annotators or [MonteCarlo(3)],
        )
    stage = draw_solutions if table is SOLUTIONS else draw_candidates
    return stage(PROBLEMS, sampler(), sampling, shard)


@pytest.mark.parametrize(
    ("table", "costs", "num_requests"),
    [
        (SOLUTIONS, SOLUTION_COSTS, 24),
        (CANDIDATES, CANDIDATE_COSTS, 40),
        (ROLLOUTS, ROLLOUT_COSTS, 6),
    ],
)
def test_a_stage_gives_rows_of_its_tables(
    tmp_path: Path, table: Table, costs: Table, num_requests: int
) -> None:
    drawn = draw(table, tmp_path)
    assert enforce(table, drawn.frame).equals(drawn.frame)
    assert enforce(costs, drawn.cost).select("stage", "dataset", "shard", "model").rows() == [
        (table.name, "words", "00", "weak")
    ]
    assert drawn.cost["num_requests"].item() == num_requests
    assert (tmp_path / table.name / "words" / "00" / "weak.journal").is_file()


def test_solutions_are_graded_and_counted(tmp_path: Path) -> None:
    graded = draw(SOLUTIONS, tmp_path).frame
    assert graded.group_by("problem_id").agg(pl.col("num_samples").sum()).sort(
        "problem_id"
    ).rows() == [
        ("p", 12),
        ("q", 12),
    ]
    assert graded.filter(problem_id="q").select("finish_reason", "is_correct", "answer").rows() == [
        ("error", False, None)
    ]
    right = graded.filter(problem_id="p").select("answer", "is_correct").sort("answer")
    assert right.rows() == [("1", False), ("2", True), ("3", False)]


def test_a_shared_prefix_is_rolled_out_once(tmp_path: Path) -> None:
    # Two solutions share A and A + B: four steps need labels, two prefixes are rolled out.
    drawn = draw(ROLLOUTS, tmp_path)
    assert drawn.cost["num_merged"].item() == 2 * 3
    assert drawn.frame["rollout_index"].to_list() == [0, 1, 2] * 2


def test_annotators_share_their_rollouts_and_stop_early(tmp_path: Path) -> None:
    sampling = SamplingSettings()
    exactly = draw(ROLLOUTS, tmp_path / "exactly", sampling, MonteCarlo(8))
    stopping = draw(ROLLOUTS, tmp_path / "stopping", sampling, FirstSuccess(8))
    both = draw(ROLLOUTS, tmp_path / "both", sampling, FirstSuccess(8), MonteCarlo(8))
    assert both.frame.equals(exactly.frame)
    right = exactly.frame.with_columns(before=pl.col("is_correct").cum_sum().over("prefix_id"))
    needed = right.filter(pl.col("before") - pl.col("is_correct").cast(pl.Int64) == 0)
    assert stopping.frame.equals(needed.drop("before"))
    assert stopping.cost["num_spared"].item() == 16 - needed.height > 0
    assert exactly.cost["num_spared"].item() == 0


def test_more_rollouts_go_on_from_fewer_and_other_temperatures_anew(tmp_path: Path) -> None:
    first = draw(ROLLOUTS, tmp_path).frame
    more = draw(ROLLOUTS, tmp_path, SAMPLING, MonteCarlo(5)).frame
    assert more.filter(pl.col("rollout_index") < 3).equals(first)
    assert not list(tmp_path.rglob("*.aside"))
    draw(ROLLOUTS, tmp_path, SAMPLING.model_copy(update={"rollout_temperature": 0.1}))
    assert len(list(tmp_path.rglob("*.aside"))) == 1


class LoggedEngines:
    """Opens engines and records their requests."""

    def __init__(self) -> None:
        self.engines: list[FakeEngine] = []

    def __call__(self) -> FakeEngine:
        self.engines.append(FakeEngine())
        return self.engines[-1]

    @property
    def added(self) -> list[str]:
        return [name for engine in self.engines for name in engine.added]


def materialize(
    home: Path,
    annotators: list[Annotator],
    weights: str = "abc",
    splitting: SplittingSettings = DEFAULT_SPLITTING,
    table: Table = ROLLOUTS,
) -> tuple[StageOutput, list[str]]:
    """Draw rollouts and write them as the asset does; return them and what was drawn anew."""
    engines, lake = LoggedEngines(), Lake(home / "lake")
    shard = Shard("words", "00", home / "journals", run_seed=7, splitting=splitting)
    stage = rollout_stage(
        CompletionModel("weak", "plain", {"weights": weights}, engines),
        SamplingSettings(),
        shard,
        table,
    )
    written = WrittenSolutions(PROBLEMS, WRITTEN, STEPS)
    drawn = draw_rollouts(stage, written, annotators, lake)
    journal = stage.journal
    costs = ROLLOUT_COSTS if table is ROLLOUTS else PILOT_COSTS
    lake.write(costs, drawn.cost, "words", "00")
    origin = origin_of(fingerprints(journal.parent), splitting.calculations)
    lake.write(table, drawn.frame, "words", "00", metadata=origin)
    journal.unlink()
    return drawn, engines.added


def test_the_pilot_and_annotators_draw_the_same_rollouts_once(tmp_path: Path) -> None:
    pilot, added = materialize(tmp_path, [MonteCarlo(4)], table=PILOT_ROLLOUTS)
    assert len(added) == 2 * 4
    assert enforce(PILOT_ROLLOUTS, pilot.frame).equals(pilot.frame)
    assert pilot.cost["stage"].item() == "pilot_rollouts"
    # The pilot's rollouts are among those of the stage, whose costs count them.
    annotators = [FirstSuccess(2), Pilot(4, {"p"})]
    drawn, added = materialize(tmp_path, annotators)
    assert added == []
    assert drawn.frame.equals(pilot.frame)
    assert drawn.cost["completion_tokens"].item() == pilot.cost["completion_tokens"].item()
    # The other way round, a pilot that is added later draws what is missing.
    first, added = materialize(tmp_path / "late", [MonteCarlo(2)])
    late, added = materialize(tmp_path / "late", [MonteCarlo(4)], table=PILOT_ROLLOUTS)
    assert sorted(name.split(":")[1] for name in added) == sorted("23" * 2)
    assert late.frame.filter(pl.col("rollout_index") < 2).equals(first.frame)
    assert late.frame.equals(pilot.frame)
    # Another model's pilot is no use.
    _, added = materialize(tmp_path, annotators, weights="other")
    assert len(added) == 2 * 4


def test_what_the_lake_holds_is_not_drawn_again(tmp_path: Path) -> None:
    four, added = materialize(tmp_path, [MonteCarlo(4)])
    assert len(added) == 2 * 4
    eight, added = materialize(tmp_path, [MonteCarlo(8)])
    assert sorted(name.split(":")[1] for name in added) == sorted("4567" * 2)
    assert eight.frame.filter(pl.col("rollout_index") < 4).equals(four.frame)
    undisturbed, _ = materialize(tmp_path / "undisturbed", [MonteCarlo(8)])
    assert eight.frame.equals(undisturbed.frame)
    assert eight.cost.equals(undisturbed.cost)
    again, added = materialize(tmp_path, [MonteCarlo(8), FirstSuccess(8)])
    assert added == []
    assert again.frame.equals(eight.frame)
    assert again.cost.equals(eight.cost)
    fewer, added = materialize(tmp_path, [MonteCarlo(2)])
    assert added == []
    assert fewer.cost["num_requests"].item() == 4
    _, added = materialize(tmp_path, [MonteCarlo(2)], weights="def")
    assert len(added) == 2 * 2


def test_what_was_stripped_is_drawn_again_where_it_is_to_be_kept(tmp_path: Path) -> None:
    stripped = SplittingSettings(calculations="strip")
    kept = SplittingSettings(calculations="keep")
    by_splitting = [
        len(materialize(tmp_path, [MonteCarlo(4)], splitting=splitting)[1])
        for splitting in (kept, stripped, stripped, kept, kept)
    ]
    assert by_splitting == [2 * 4, 0, 0, 2 * 4, 0]


def test_rollouts_of_unknown_origin_are_drawn_again(tmp_path: Path) -> None:
    drawn, _ = materialize(tmp_path, [MonteCarlo(4)])
    lake = Lake(tmp_path / "lake")
    path = lake.write(ROLLOUTS, drawn.frame, "words", "00")
    assert len(materialize(tmp_path, [MonteCarlo(4)])[1]) == 2 * 4
    path.write_bytes(b"PAR1")
    assert len(materialize(tmp_path, [MonteCarlo(4)])[1]) == 2 * 4
    lake.path(ROLLOUT_COSTS.name, "words", "00").unlink()
    assert len(materialize(tmp_path, [MonteCarlo(4)])[1]) == 2 * 4


def test_rollouts_that_could_not_be_drawn_are_asked_for_again(tmp_path: Path) -> None:
    drawn, _ = materialize(tmp_path, [MonteCarlo(4)])
    lake = Lake(tmp_path / "lake")
    failed = drawn.frame.with_columns(
        finish_reason=pl.when(pl.col("rollout_index") == 1)
        .then(pl.lit("error"))
        .otherwise("finish_reason")
    )
    kept = lake.metadata(ROLLOUTS, "words", "00")
    origin = {name: kept[name] for name in (FINGERPRINTS, CALCULATIONS)}
    lake.write(ROLLOUTS, failed, "words", "00", metadata=origin)
    again, added = materialize(tmp_path, [MonteCarlo(4)])
    assert [name.split(":")[1] for name in added] == ["1", "1"]
    assert again.frame.equals(drawn.frame)


def written_again(
    home: Path,
    table: Table,
    problems: pl.DataFrame = PROBLEMS,
    sampling: SamplingSettings = SAMPLING,
    weights: str = "abc",
) -> tuple[StageOutput, list[str]]:
    """Draw solutions and write them as their asset does; return them and what was drawn anew."""
    engines, lake = LoggedEngines(), Lake(home / "lake")
    shard = Shard("words", "00", home / "journals", run_seed=7)
    model = CompletionModel("weak", "plain", {"weights": weights}, engines)
    stage = {SOLUTIONS: draw_solutions, CANDIDATES: draw_candidates}.get(table, draw_greedily)
    drawn = stage(problems, model, sampling, shard, lake)
    folder = home / "journals" / table.name / "words" / "00"
    origin = origin_of(fingerprints(folder), shard.splitting.calculations)
    if table in COSTS:
        lake.write(COSTS[table], drawn.cost, "words", "00")
    lake.write(table, drawn.frame, "words", "00", metadata=origin)
    (folder / "weak.journal").unlink()
    return drawn, engines.added


def test_requests_hold_the_stop_strings_of_the_model_and_the_nucleus_of_the_stage(
    tmp_path: Path,
) -> None:
    requests: list[Request] = []

    class Listening(FakeEngine):
        def add(self, block: pl.DataFrame) -> None:
            requests.extend(request_rows(block))
            super().add(block)

    model = replace(sampler(), open_engine=Listening, stop=("\nQuestion:", "###"))
    sampling = SAMPLING.model_copy(update={"top_p": 0.9, "rollout_top_p": 0.8})
    shard = Shard("words", "00", tmp_path, run_seed=7)
    draw_solutions(PROBLEMS, model, sampling, shard)
    draw_candidates(PROBLEMS, model, sampling, shard)
    draw_greedily(PROBLEMS, model, sampling, shard)
    stage = rollout_stage(model, sampling, shard)
    draw_rollouts(stage, WrittenSolutions(PROBLEMS, WRITTEN, STEPS), [MonteCarlo(2)])
    assert {tuple(request.stop) for request in requests} == {model.stop}
    by_count = Counter((request.top_p, request.temperature) for request in requests)
    assert by_count == {(0.9, 0.7): 24 + 40, (1.0, 0.0): 2, (0.8, 0.7): 2 * 2}
    assert stage.fingerprint == {
        **rollout_stage(sampler(), SAMPLING, shard).fingerprint,
        "stop": '["\\nQuestion:", "###"]',
        "top_p": 0.8,
    }


COSTS = {SOLUTIONS: SOLUTION_COSTS, CANDIDATES: CANDIDATE_COSTS}
SAMPLED = pytest.mark.parametrize("table", [SOLUTIONS, CANDIDATES, GREEDY_SOLUTIONS])
SOUND = PROBLEMS.with_columns(question=pl.lit("How many?"))


def rewrite(home: Path, table: Table, **columns: pl.Expr) -> None:
    """Change columns of a written table; its footer stays."""
    lake = Lake(home / "lake")
    footer = lake.metadata(table, "words", "00")
    changed = lake.read(table, "words", "00").with_columns(**columns)
    origin = {name: footer[name] for name in (FINGERPRINTS, CALCULATIONS)}
    lake.write(table, changed, "words", "00", metadata=origin)


@SAMPLED
def test_texts_of_another_grader_are_graded_again_and_not_drawn(
    tmp_path: Path, table: Table
) -> None:
    first, added = written_again(tmp_path, table, SOUND)
    assert added
    assert first.frame["answer"].is_in(["1", "2", "3"]).all()
    rewrite(tmp_path, table, answer=pl.lit("7"), is_correct=~pl.col("is_correct"))
    again, added = written_again(tmp_path, table, SOUND)
    assert added == []
    assert again.frame.equals(first.frame)
    if table in COSTS:
        assert again.cost.equals(first.cost)
    _, added = written_again(tmp_path, table, SOUND, weights="def")
    assert added


@SAMPLED
def test_a_new_problem_is_all_that_is_drawn(tmp_path: Path, table: Table) -> None:
    written_again(tmp_path, table, SOUND.head(1))
    both, added = written_again(tmp_path, table, SOUND)
    assert {name.split(":")[0] for name in added} == {"q"}
    undisturbed, _ = written_again(tmp_path / "undisturbed", table, SOUND)
    assert both.frame.equals(undisturbed.frame)


@pytest.mark.parametrize("table", [SOLUTIONS, CANDIDATES])
@pytest.mark.parametrize("number", [1, 4, 15])
def test_another_number_of_samples_gives_the_rows_of_an_undisturbed_run(
    tmp_path: Path, table: Table, number: int
) -> None:
    few = SamplingSettings(samples_per_problem=4, num_candidates=4)
    other = SamplingSettings(samples_per_problem=number, num_candidates=number)
    written_again(tmp_path, table, SOUND, few)
    changed, added = written_again(tmp_path, table, SOUND, other)
    if number >= 4:
        assert sorted(added) == sorted(f"{p}:{draw}" for p in "pq" for draw in range(4, number))
    undisturbed, _ = written_again(tmp_path / "undisturbed", table, SOUND, other)
    assert changed.frame.equals(undisturbed.frame)


@SAMPLED
def test_solutions_that_could_not_be_drawn_are_asked_for_again(
    tmp_path: Path, table: Table
) -> None:
    first, added = written_again(tmp_path, table)
    again, added_again = written_again(tmp_path, table)
    assert sorted(added_again) == sorted(name for name in added if name.startswith("q:"))
    assert again.frame.equals(first.frame)


def test_rollouts_known_beforehand_are_those_that_the_scheduler_asks_for(tmp_path: Path) -> None:
    problems = pl.DataFrame(
        {
            "problem_id": ["p", "q", "r"],
            "question": ["How many?", "boom", "How much?"],
            "gold_answer": ["2", "3", "1"],
        }
    )
    texts = [C + A + B, A + B + C, A + B + A, B + C, A + C + B]
    written = pl.DataFrame(
        {
            "solution_id": ["v", "s", "t", "u", "w"],
            "problem_id": ["r", "p", "p", "q", "r"],
            "text": texts,
            "is_correct": [False] * 5,
        }
    )
    # Of wrong solutions, outcome closure asks for all rollouts as well.
    known, scheduled = (
        draw_rollouts(
            rollout_stage(
                sampler(),
                SAMPLING,
                Shard("words", "00", tmp_path / annotator.name, run_seed=7),
            ),
            WrittenSolutions(problems, written, split_solutions(written)),
            [annotator(3)],
        )
        for annotator in (MonteCarlo, OutcomeClosure)
    )
    assert known.frame.equals(scheduled.frame)
    assert known.cost.equals(scheduled.cost)
    by_problem = known.frame.group_by("problem_id", maintain_order=True).agg("finish_reason")
    assert by_problem.rows() == [
        ("p", ["stop"] * 6),
        ("q", ["error"] * 3),
        ("r", ["stop"] * 12),
    ]
    assert known.frame["rollout_index"].to_list() == [0, 1, 2] * 7
