"""List as tables the rollouts that each annotator requested and the trees that it searched."""

from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from shepherd.annotators.problem import Annotator, Replay, SolvedProblem, replay_problems
from shepherd.annotators.tree_search import TreeSearch
from shepherd.identity import content_id
from shepherd.schemas import ASKED_ROLLOUTS, SEARCH_TREES


def asked_rollouts(
    annotators: Sequence[Annotator],
    problems: Sequence[SolvedProblem],
    rollouts: pl.DataFrame,
    consensus: Iterable[str] | None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return ASKED_ROLLOUTS and SEARCH_TREES, replayed from the ``rollouts`` of a completer.

    The annotator ``consensus`` needs the rollouts of both its annotators: of each prefix the larger
    number.
    """
    asked, trees = [ASKED_ROLLOUTS.empty()], [SEARCH_TREES.empty()]
    for annotator in annotators:
        replays = replay_problems(annotator, problems, rollouts)
        rows = (row for replay in replays for row in _asked(annotator.name, replay))
        asked.append(pl.DataFrame(rows, schema=ASKED_ROLLOUTS.schema, orient="row"))
        if isinstance(annotator, TreeSearch):
            rows = (row for replay in replays for row in _tree(annotator, replay))
            trees.append(pl.DataFrame(rows, schema=SEARCH_TREES.schema, orient="row"))
    if consensus is not None:
        both = pl.concat(asked).filter(pl.col("annotator").is_in(list(consensus)))
        most = both.sort("num_rollouts", descending=True).unique("prefix_id", maintain_order=True)
        asked.append(most.with_columns(annotator=pl.lit("consensus")))
    return pl.concat(asked).sort(ASKED_ROLLOUTS.key), pl.concat(trees)


def _asked(annotator: str, replay: Replay) -> Iterator[tuple[object, ...]]:
    problem_id = replay.problem.problem_id
    for prefix, rollouts in replay.drawn.items():
        yield (
            annotator,
            content_id(problem_id, prefix),
            problem_id,
            len(rollouts),
            sum(rollout.is_correct for rollout in rollouts),
            sum(rollout.num_tokens for rollout in rollouts),
        )


def _tree(annotator: TreeSearch, replay: Replay) -> Iterator[tuple[object, ...]]:
    problem_id = replay.problem.problem_id
    for discovery, state in enumerate(annotator.tree(replay.problem, replay.drawn)):
        yield (
            problem_id,
            content_id(problem_id, state.prefix),
            None if state.parent is None else content_id(problem_id, state.parent),
            discovery,
            state.prefix,
            state.num_rollouts,
            state.num_correct,
            state.visits,
        )
