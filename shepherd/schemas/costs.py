"""Define the tables of what sampling cost: all have the same columns."""

from shepherd.schemas.columns import DATASET, FLOAT, INT, TEXT
from shepherd.schemas.table import Column, Table

_COST_COLUMNS = (
    Column("stage", TEXT, "solutions, rollouts, critiques, nli_labels or candidates"),
    DATASET,
    Column("shard", TEXT, "partition that was sampled"),
    Column("model", TEXT, "name of the model that sampled"),
    Column("num_requests", INT, "completions drawn"),
    Column("num_merged", INT, "completions saved because identical prefixes are rolled out once"),
    Column("num_spared", INT, "completions saved compared with exactly N for each prefix"),
    Column("prompt_tokens", INT, "tokens of all prompts"),
    Column("cached_tokens", INT, "of these, prompt tokens that were read from the prefix cache"),
    Column("completion_tokens", INT, "tokens drawn"),
    Column(
        "thought_tokens",
        INT,
        "of these, tokens of thoughts; null in files of earlier versions",
        nullable=True,
        added_later=True,
    ),
    Column("seconds", FLOAT, "wall-clock seconds of the engine, summed over resumed runs"),
)
_COST_KEY = ("stage", "dataset", "shard", "model")

SOLUTION_COSTS = Table(
    "solution_costs", "one row per partition and generator", _COST_COLUMNS, _COST_KEY
)
ROLLOUT_COSTS = Table(
    "rollout_costs", "one row per partition and completer", _COST_COLUMNS, _COST_KEY
)
CANDIDATE_COSTS = Table(
    "candidate_costs", "one row per partition and generator", _COST_COLUMNS, _COST_KEY
)
CRITIQUE_COSTS = Table(
    "critique_costs", "one row per partition and judge", _COST_COLUMNS, _COST_KEY
)
ENTAILMENT_COSTS = Table(
    "entailment_costs",
    "one row per partition and language model of nli",
    _COST_COLUMNS,
    _COST_KEY,
)
