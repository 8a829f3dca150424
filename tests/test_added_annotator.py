"""The annotator that docs/annotators.md adds, added as it says: one file and one line."""

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets.definitions import assets_of
from shepherd.annotators import known
from shepherd.schemas import STEP_LABELS, enforce
from shepherd.settings import AnnotationSettings
from tests.profiles import TINY
from tests.small_lake import NUM_ROLLOUTS, small_lake

DOCS = Path(__file__).parent.parent / "docs" / "annotators.md"


def test_one_file_and_one_line_make_a_word_an_asset_and_labels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, line = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    module: dict[str, Any] = {"__name__": "majority"}
    exec(compile(file, "majority.py", "exec"), module)
    [(word, build)] = eval("{" + line + "}", module).items()
    with pytest.raises(ValueError, match="'majority' is unknown"):
        AnnotationSettings(annotators=(word,))
    monkeypatch.setitem(known.ROLLING, word, build)

    annotation = AnnotationSettings(annotators=("monte_carlo", word), train_on=word)
    settings = TINY.model_copy(update={"annotation": annotation})
    keys = {key.to_user_string() for asset in assets_of(settings) for key in asset.keys}
    assert {"monte_carlo_labels", "majority_labels", "step_labels"} <= keys

    lake = small_lake()
    work = known.Work(*(lake[name] for name in ("steps", "solutions", "problems", "rollouts")))
    labels = enforce(STEP_LABELS, known.step_labels(annotation, NUM_ROLLOUTS, work))
    both = labels.filter(annotator=word).join(labels.filter(annotator="monte_carlo"), on="step_id")
    assert both.height == lake["steps"].height
    assert both.select((pl.col("hard") == (pl.col("soft") > 0.5)).all()).item()
    assert 0 < (both["hard"] < both["hard_right"]).sum() < both.height
    assert not (both["hard"] > both["hard_right"]).any()
