"""Define the columns that several tables have."""

import polars as pl

from shepherd.schemas.table import Column

TEXT, INT, FLOAT, BOOL = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()

PROBLEM_ID = Column("problem_id", TEXT, "content hash of dataset and question")
SOLUTION_ID = Column("solution_id", TEXT, "content hash of problem, generator and text")
STEP_ID = Column("step_id", TEXT, "<solution_id>:<step_index>")
PREFIX_ID = Column("prefix_id", TEXT, "content hash of problem and the steps so far")
DATASET = Column("dataset", TEXT, "name of the dataset in the profile")
ANSWER = Column("answer", TEXT, "extracted final answer, null if there is none", nullable=True)
IS_CORRECT = Column("is_correct", BOOL, "the extracted answer equals the gold answer")
GRADE_REASON = Column("grade_reason", TEXT, "how the verdict was reached (resources.grading)")
FINISH = Column("finish_reason", TEXT, "stop, length, error, or imported")
NUM_TOKENS = Column("num_tokens", INT, "completion tokens, stop token included; 0 if imported")
SEED = Column("seed", INT, "seed of the request that drew it first; -1 if imported")
GRADED_COMPLETION = (ANSWER, IS_CORRECT, GRADE_REASON, FINISH, NUM_TOKENS, SEED)
"""The columns after the text of a completion that was drawn once and graded."""
