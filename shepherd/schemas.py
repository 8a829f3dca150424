"""Define the tables of the lake: their columns, types, meanings and keys.

Every frame is checked against its table when it is written and read, so stages and SQL queries
can rely on its columns.
"""

from dataclasses import dataclass, replace

import polars as pl


@dataclass(frozen=True)
class Column:
    """One column: its name, polars dtype, meaning, and whether it may be null."""

    name: str
    dtype: pl.DataType
    meaning: str
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """A dataset: its grain in words, its columns in order and the columns that identify a row."""

    name: str
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Column names and dtypes in order."""
        return {column.name: column.dtype for column in self.columns}

    def empty(self) -> pl.DataFrame:
        """Return a frame of this table without rows."""
        return pl.DataFrame(schema=self.schema)


TEXT, INT, FLOAT, BOOL = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()

_PROBLEM_ID = Column("problem_id", TEXT, "content hash of dataset and question")
_SOLUTION_ID = Column("solution_id", TEXT, "content hash of problem, generator and text")
_STEP_ID = Column("step_id", TEXT, "<solution_id>:<step_index>")
_PREFIX_ID = Column("prefix_id", TEXT, "content hash of problem and the steps so far")
_DATASET = Column("dataset", TEXT, "name of the dataset in the profile")
_ANSWER = Column("answer", TEXT, "extracted final answer, null if there is none", nullable=True)
_IS_CORRECT = Column("is_correct", BOOL, "the extracted answer equals the gold answer")
_GRADE_REASON = Column("grade_reason", TEXT, "how the verdict was reached (resources.grading)")
_FINISH = Column("finish_reason", TEXT, "stop, length, error, or imported")
_NUM_TOKENS = Column("num_tokens", INT, "completion tokens, stop token included; 0 if imported")
_SEED = Column("seed", INT, "seed of the request that drew it first; -1 if imported")

_SAMPLED_SOLUTION = (
    _SOLUTION_ID,
    _PROBLEM_ID,
    Column("generator", TEXT, "name of the model that sampled it"),
    Column("text", TEXT, "the whole solution"),
    _ANSWER,
    _IS_CORRECT,
    _GRADE_REASON,
    Column("num_samples", INT, "how often this text was drawn for this problem"),
    _FINISH,
    _NUM_TOKENS,
    _SEED,
)

PROBLEMS = Table(
    "problems",
    "one row per math problem",
    (
        _PROBLEM_ID,
        _DATASET,
        Column("split", TEXT, "train or test"),
        Column("question", TEXT, "the problem statement"),
        Column(
            "gold_solution", TEXT, "the published solution, null if there is none", nullable=True
        ),
        Column("gold_answer", TEXT, "the published final answer"),
        Column("level", TEXT, "difficulty, null if unknown", nullable=True),
        Column("subject", TEXT, "subject, null if unknown", nullable=True),
    ),
    ("problem_id",),
)

SOLUTIONS = Table(
    "solutions",
    "one row per distinct solution sampled for a train problem by a generator",
    _SAMPLED_SOLUTION,
    ("solution_id",),
)

CANDIDATES = Table(
    "candidates",
    "one row per draw of a solution for a test problem (duplicates kept: they are votes)",
    (
        Column("candidate_id", TEXT, "content hash of problem, generator and draw index"),
        _PROBLEM_ID,
        Column("generator", TEXT, "name of the model that sampled it"),
        Column("draw", INT, "index of the draw, from 0"),
        Column("text", TEXT, "the whole solution"),
        _ANSWER,
        _IS_CORRECT,
        _GRADE_REASON,
        _FINISH,
        _NUM_TOKENS,
        _SEED,
    ),
    ("candidate_id",),
)

GREEDY_SOLUTIONS = Table(
    "greedy_solutions",
    "one row per test problem and model: its likeliest solution",
    (
        _PROBLEM_ID,
        Column("generator", TEXT, "name of the generator or policy that solved it"),
        Column("text", TEXT, "the whole solution"),
        _ANSWER,
        _IS_CORRECT,
        _GRADE_REASON,
        Column("num_steps", INT, "steps of the solution"),
        Column("num_repeated_steps", INT, "of these, steps that repeat an earlier one"),
        _FINISH,
        _NUM_TOKENS,
    ),
    ("problem_id", "generator"),
)

STEPS = Table(
    "steps",
    "one row per step of a solution",
    (
        _STEP_ID,
        _SOLUTION_ID,
        _PROBLEM_ID,
        Column("step_index", INT, "position in the solution, from 1"),
        Column("num_steps", INT, "steps of the solution"),
        Column("text", TEXT, "the step with its closing separator: joined, they are the solution"),
        _PREFIX_ID,
        Column("is_last", BOOL, "whether it is the solution's last step"),
    ),
    ("step_id",),
)

ROLLOUTS = Table(
    "rollouts",
    "one row per completion drawn from a distinct non-final prefix",
    (
        _PREFIX_ID,
        _PROBLEM_ID,
        Column("completer", TEXT, "name of the model that completed"),
        Column("rollout_index", INT, "index of the draw from this prefix, from 0"),
        Column("text", TEXT, "the continuation alone, without the prefix"),
        _ANSWER,
        _IS_CORRECT,
        _GRADE_REASON,
        _FINISH,
        _NUM_TOKENS,
        _SEED,
    ),
    ("prefix_id", "completer", "rollout_index"),
)

STEP_LABELS = Table(
    "step_labels",
    "one row per step and annotator",
    (
        _STEP_ID,
        Column("annotator", TEXT, "monte_carlo, oracle, human, ..."),
        Column("num_rollouts", INT, "completions drawn; 0 if the label needed none"),
        Column("num_correct", INT, "of these, how many ended in the gold answer"),
        Column("hard", INT, "1 if right: for monte_carlo, any completion was correct (eq. 3)"),
        Column(
            "soft", FLOAT, "share of correct completions (eq. 4), or a probability", nullable=True
        ),
        Column("low", FLOAT, "lower end of the 95 % Wilson interval of soft", nullable=True),
        Column("high", FLOAT, "upper end of the 95 % Wilson interval of soft", nullable=True),
    ),
    ("step_id", "annotator"),
)

ORACLE_LABELS = replace(
    STEP_LABELS,
    name="oracle_labels",
    grain="one row per step of a solution of a word problem: the exact truth",
)


def labels_table(annotator: str) -> Table:
    """Return the table of one annotator's labels, before ``step_labels`` joins them."""
    return replace(
        STEP_LABELS, name=f"{annotator}_labels", grain=f"one row per step that {annotator} labels"
    )


ASKED_ROLLOUTS = Table(
    "asked_rollouts",
    "one row per annotator and prefix of which it requested rollouts",
    (
        Column("annotator", TEXT, "the annotator; consensus for the two that it joins"),
        _PREFIX_ID,
        _PROBLEM_ID,
        Column("num_rollouts", INT, "completions requested: the first N of the prefix"),
        Column("num_correct", INT, "of these, how many ended in the gold answer"),
        Column("num_tokens", INT, "completion tokens of these"),
    ),
    ("annotator", "prefix_id"),
)

SEARCH_TREES = Table(
    "search_trees",
    "one row per state of the search tree of a problem, the root included",
    (
        _PROBLEM_ID,
        _PREFIX_ID,
        Column(
            "parent_id",
            TEXT,
            "prefix_id of the state that it was reached from; null: root",
            nullable=True,
        ),
        Column("discovery", INT, "position in the order of discovery, from 0: the root"),
        Column("prefix", TEXT, "the steps so far; empty for the root"),
        Column("num_rollouts", INT, "its completions; for the root, the solutions"),
        Column("num_correct", INT, "of these, how many ended in the gold answer"),
        Column("visits", INT, "searches that started from one of its rollouts"),
    ),
    ("problem_id", "prefix_id"),
)

CRITIQUES = Table(
    "critiques",
    "one row per vote of a judge on a solution",
    (
        _SOLUTION_ID,
        _PROBLEM_ID,
        Column("judge", TEXT, "name of the judge"),
        Column("vote", INT, "index of the vote, from 0"),
        Column("text", TEXT, "the whole critique"),
        Column(
            "first_error",
            INT,
            "step_index of the first step judged wrong, -1 if none; null if unparsable",
            nullable=True,
        ),
        _FINISH,
        _NUM_TOKENS,
        _SEED,
    ),
    ("solution_id", "judge", "vote"),
)

LABELED_SOLUTIONS = Table(
    "labeled_solutions",
    "one row per solution and annotator: what training reads",
    (
        _SOLUTION_ID,
        _PROBLEM_ID,
        _DATASET,
        Column("annotator", TEXT, "the annotator of the labels"),
        Column("question", TEXT, "the problem statement"),
        Column("steps", pl.List(pl.String()), "texts of the steps in order"),
        Column("hard", pl.List(pl.Int64()), "hard label of each step"),
        Column("soft", pl.List(pl.Float64()), "soft label of each step"),
        _IS_CORRECT,
    ),
    ("solution_id", "annotator"),
)

CANDIDATE_SCORES = Table(
    "candidate_scores",
    "one row per candidate and reward model",
    (
        Column("candidate_id", TEXT, "the scored candidate"),
        _PROBLEM_ID,
        Column("reward_model", TEXT, "outcome_reward_model or process_reward_model"),
        Column("step_scores", pl.List(pl.Float64()), "probability of + at each step (ORM: one)"),
    ),
    ("candidate_id", "reward_model"),
)

EVALUATIONS = Table(
    "evaluations",
    "one row per dataset, generator, method and number of candidates",
    (
        _DATASET,
        Column("generator", TEXT, "the model that drew the candidates"),
        Column("method", TEXT, "pass@1, SC, ORM, PRM, SC+ORM, SC+PRM, or oracle (any right)"),
        Column("num_candidates", INT, "candidates per problem (N of best-of-N)"),
        Column(
            "accuracy",
            FLOAT,
            "share of problems solved, mean over subsets of N: all, or groups if votes",
        ),
        Column("low", FLOAT, "2.5 % bootstrap quantile over problems"),
        Column("high", FLOAT, "97.5 % bootstrap quantile over problems"),
        Column("num_problems", INT, "test problems"),
        Column("num_groups", INT, "groups of N averaged per problem: all subsets if no votes"),
    ),
    ("dataset", "generator", "method", "num_candidates"),
)

POLICY_EVALUATIONS = Table(
    "policy_evaluations",
    "one row per dataset and policy, generators included: its greedy solutions of test problems",
    (
        _DATASET,
        Column("policy", TEXT, "name of the policy, or of a generator"),
        Column("start", TEXT, "generator that the policy started from; itself for a generator"),
        Column("method", TEXT, "SFT, RFT, ORM-PPO or step-PPO; base if it is not fine-tuned"),
        Column("accuracy", FLOAT, "share of problems solved greedily"),
        Column("low", FLOAT, "2.5 % bootstrap quantile over problems"),
        Column("high", FLOAT, "97.5 % bootstrap quantile over problems"),
        Column("gain", FLOAT, "accuracy less that of the start, on the same problems"),
        Column("gain_low", FLOAT, "2.5 % bootstrap quantile of the gain over problems"),
        Column("gain_high", FLOAT, "97.5 % bootstrap quantile of the gain over problems"),
        Column("num_problems", INT, "test problems"),
        Column("mean_tokens", FLOAT, "mean tokens of a solution"),
        Column("mean_steps", FLOAT, "mean steps of a solution"),
        Column("share_repeating", FLOAT, "share of solutions with a step that repeats another"),
        Column("share_cut", FLOAT, "share of solutions that reached the token limit"),
    ),
    ("dataset", "policy"),
)

_COST_COLUMNS = (
    Column("stage", TEXT, "solutions, rollouts, critiques or candidates"),
    _DATASET,
    Column("shard", TEXT, "partition that was sampled"),
    Column("model", TEXT, "name of the model that sampled"),
    Column("num_requests", INT, "completions drawn"),
    Column("num_merged", INT, "completions saved because identical prefixes are rolled out once"),
    Column("num_spared", INT, "completions saved compared with exactly N for each prefix"),
    Column("prompt_tokens", INT, "tokens of all prompts"),
    Column("cached_tokens", INT, "of these, prompt tokens that were read from the prefix cache"),
    Column("completion_tokens", INT, "tokens drawn"),
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

REJECTED = Table(
    "rejected",
    "one row per input row that could not be used",
    (
        _DATASET,
        Column("file", TEXT, "name of the input file"),
        Column("line", INT, "line in that file, from 1"),
        Column("reason", TEXT, "what is wrong and with which field"),
        Column("content", TEXT, "the first 1,000 characters of the row"),
    ),
    ("dataset", "file", "line"),
)
"""The columns of the three tables of rejected rows."""

REJECTED_PROBLEMS = replace(
    REJECTED,
    name="rejected_problems",
    grain="one row per row of a file of problems that could not be used",
)
REJECTED_SOLUTIONS = replace(
    REJECTED,
    name="rejected_solutions",
    grain="one row per row of a file of solutions that could not be used",
)
REJECTED_LABELS = replace(
    REJECTED,
    name="rejected_labels",
    grain="one row per row of a file of labels that could not be used",
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        PROBLEMS,
        SOLUTIONS,
        STEPS,
        ROLLOUTS,
        ASKED_ROLLOUTS,
        SEARCH_TREES,
        CRITIQUES,
        STEP_LABELS,
        ORACLE_LABELS,
        LABELED_SOLUTIONS,
        CANDIDATES,
        CANDIDATE_SCORES,
        EVALUATIONS,
        GREEDY_SOLUTIONS,
        POLICY_EVALUATIONS,
        SOLUTION_COSTS,
        ROLLOUT_COSTS,
        CANDIDATE_COSTS,
        CRITIQUE_COSTS,
        REJECTED_PROBLEMS,
        REJECTED_SOLUTIONS,
        REJECTED_LABELS,
    )
}


def enforce(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with exactly the table's columns, in order.

    Raises:
        ValueError: a column is missing, unknown, of another type, null where it must not be,
            or the key is not unique; the message names table, column and count.
    """
    missing = [name for name in table.schema if name not in frame.columns]
    unknown = [name for name in frame.columns if name not in table.schema]
    if missing or unknown:
        raise ValueError(f"table {table.name}: missing columns {missing}, unknown {unknown}")
    for column in table.columns:
        found = frame.schema[column.name]
        if found != column.dtype and not (found == pl.Null and frame.height == 0):
            raise ValueError(f"table {table.name}: {column.name} is {found}, not {column.dtype}")
        nulls = 0 if column.nullable else frame[column.name].null_count()
        if nulls:
            raise ValueError(f"table {table.name}: {column.name} is null in {nulls} rows")
    frame = frame.select(pl.col(name).cast(dtype) for name, dtype in table.schema.items())
    key = frame.select(table.key)
    # Hashes of numbers take no time beside rows of strings, and those of equal rows are equal.
    if key.hash_rows().n_unique() < key.height and key.n_unique() < key.height:
        duplicates = key.height - key.n_unique()
        raise ValueError(f"table {table.name}: {duplicates} rows repeat the key {table.key}")
    return frame
