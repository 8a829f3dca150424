from assets.deployment import ONE_RUN
from assets.describe import table_asset
from resources.io_managers import Frames, each
from shepherd import labels
from shepherd.schemas import LABELED_SOLUTIONS


@table_asset(
    LABELED_SOLUTIONS,
    group="annotation",
    kinds={"polars"},
    backfill_policy=ONE_RUN,
    code_version="1",
)
def labeled_solutions(
    solutions: Frames, steps: Frames, step_labels: Frames, problems: Frames
) -> Frames:
    """Each solution's steps with their hard and soft labels, ready to train on."""
    return each(labels.labeled_solutions, solutions, steps, step_labels, problems)
