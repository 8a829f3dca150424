from assets.deployment import ONE_RUN
from assets.describe import table_asset
from resources.io_managers import Frames, each
from shepherd.rollouts import split_solutions
from shepherd.schemas import STEPS


@table_asset(STEPS, group="annotation", kinds={"polars"}, backfill_policy=ONE_RUN, code_version="1")
def steps(solutions: Frames) -> Frames:
    """Solutions cut into steps. Equal beginnings of one problem share a prefix id."""
    return each(split_solutions, solutions)
