"""Settings of Dagster's runs: the pools in which they take turns, and what one run makes."""

from pydantic import Field, model_validator

from shepherd.section import Section

_NAME = r"^[A-Za-z0-9_-]+$"


class RunSettings(Section):
    """Dagster's runs. The defaults suit one machine, on which all runs with a model take turns.

    A pool limits how many of its runs are in progress at once, on all machines together.
    """

    sampling_pool: str = Field(
        "gpu", pattern=_NAME, description="pool of the runs that draw completions"
    )
    training_pool: str = Field(
        "gpu", pattern=_NAME, description="pool of the runs that train a model"
    )
    scoring_pool: str = Field(
        "gpu",
        pattern=_NAME,
        description="pool of the runs that score with a reward or entailment model",
    )
    pool_limits: dict[str, int] = Field(
        {},
        description="runs at once, by pool; a pool that is not named has the `default_limit` of "
        "dagster.yaml",
    )
    whole_shards: bool = Field(
        False,
        description="whether a backfill makes solutions, steps, rollouts and labels of a shard in "
        "one run, instead of the cheap ones of all shards in one",
    )

    @property
    def pools(self) -> set[str]:
        """The pools that assets name."""
        return {self.sampling_pool, self.training_pool, self.scoring_pool}

    @model_validator(mode="after")
    def _limits_are_of_pools(self) -> "RunSettings":
        for name in self.pool_limits.keys() - self.pools:
            raise ValueError(
                f"pool_limits.{name}: no run is in that pool: name one of "
                f"{', '.join(sorted(self.pools))}"
            )
        for name, limit in self.pool_limits.items():
            if limit < 1:
                raise ValueError(f"pool_limits.{name}: {limit}: write 1 or more")
        return self
