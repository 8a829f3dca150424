from assets.deployment import ONE_RUN
from assets.describe import table_asset
from resources.io_managers import Frames, each
from shepherd.labels import monte_carlo_labels
from shepherd.schemas import STEP_LABELS


@table_asset(
    STEP_LABELS, group="annotation", kinds={"polars"}, backfill_policy=ONE_RUN, code_version="1"
)
def step_labels(steps: Frames, rollouts: Frames, solutions: Frames) -> Frames:
    """Monte Carlo labels: how often completions of the steps so far reach the gold answer."""
    return each(monte_carlo_labels, steps, rollouts, solutions)
