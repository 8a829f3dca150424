"""Score solutions with reward models: those trained here and four published formats.

- :mod:`training.scoring.encoders` writes the tokens that each format was trained on.
- :mod:`training.scoring.formats` finds the format of a checkpoint.
- :mod:`training.scoring.embedded` and :mod:`training.scoring.pooled` compute the scores, with
  transformers and with vLLM.
- :mod:`training.scoring.copies` scores on several GPUs.
"""

from training.scoring.kinds import Kind
from training.scoring.opening import StepScorer, open_scorer, score_solutions
from training.scoring.scorer import Scorer

__all__ = ["Kind", "Scorer", "StepScorer", "open_scorer", "score_solutions"]
