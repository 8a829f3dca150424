"""The names that options accept. Tests compare them with the modules that give them a meaning.

They are repeated here because those modules import polars or torch, for which ``--help`` would
wait.
"""

from typing import Literal

ImportFormat = Literal["math_shepherd", "prm800k", "processbench", "trl", "review"]
ExportFormat = Literal["math_shepherd", "processbench", "trl", "trl_float"]
FileType = Literal["jsonl", "parquet"]
Calculations = Literal["keep", "strip"]
RewardModelKind = Literal["outcome", "process"]
ScoringEngine = Literal["transformers", "vllm"]
ScoreAggregation = Literal["min", "last", "product", "mean"]
