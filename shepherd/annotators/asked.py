"""Who asked for which rollouts, as data: what each annotator paid, and the trees it searched."""

from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from shepherd.annotators.problem import Annotator, Problem, Replay, replay_problems
from shepherd.annotators.tree_search import TreeSearch
from shepherd.identity import content_id
from shepherd.schemas import ASKED_ROLLOUTS, SEARCH_TREES


def asked_rollouts(
    annotators: Sequence[Annotator],
    problems: Sequence[Problem],
    rollouts: pl.DataFrame,
    consensus: Iterable[str] | None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return ASKED_ROLLOUTS and SEARCH_TREES, replayed from the ``rollouts`` of a completer.

    Two annotators that agree (``consensus``) need what either asked for: of each prefix the
    first rollouts, as many as the one that asked for more.
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
    for prefix, found in replay.shown.items():
        yield (
            annotator,
            content_id(problem_id, prefix),
            problem_id,
            len(found),
            sum(rollout.is_correct for rollout in found),
            sum(rollout.num_tokens for rollout in found),
        )


def _tree(annotator: TreeSearch, replay: Replay) -> Iterator[tuple[object, ...]]:
    problem_id = replay.problem.problem_id
    for discovery, state in enumerate(annotator.tree(replay.problem, replay.shown)):
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
