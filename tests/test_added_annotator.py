"""The annotator that docs/annotators.md adds, added as the page says: one file."""

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import shepherd.annotators
from assets.definitions import assets_of
from shepherd.annotators.annotator import LabelInputs
from shepherd.schemas import STEP_LABELS, enforce
from shepherd.settings import AnnotationSettings
from tests.profiles import TINY
from tests.small_lake import NUM_ROLLOUTS, small_lake

DOCS = Path(__file__).parent.parent / "docs" / "annotators.md"
ANNOTATORS = {
    "annotators": [
        {"kind": "monte_carlo", "num_rollouts": NUM_ROLLOUTS},
        {"kind": "majority", "num_rollouts": NUM_ROLLOUTS},
    ],
    "train_on": "majority",
}


@pytest.fixture
def one_file_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lay the file of the page beside the annotators, and take it away again."""
    [code] = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (tmp_path / "majority.py").write_text(code)
    path = shepherd.annotators.__path__
    with monkeypatch.context() as patched:
        patched.setattr(shepherd.annotators, "__path__", [*path, str(tmp_path)])
        AnnotationSettings.model_rebuild(force=True)
        yield
    AnnotationSettings.model_rebuild(force=True)


def test_without_the_file_the_word_is_unknown() -> None:
    with pytest.raises(ValueError, match="'majority' is unknown"):
        AnnotationSettings.model_validate(ANNOTATORS)


@pytest.mark.usefixtures("one_file_more")
def test_one_file_makes_a_word_an_asset_and_labels() -> None:
    annotation = AnnotationSettings.model_validate(ANNOTATORS)
    settings = TINY.model_copy(update={"annotation": annotation})
    keys = {key.to_user_string() for asset in assets_of(settings) for key in asset.keys}
    assert {"monte_carlo_labels", "majority_labels", "step_labels"} <= keys

    lake = small_lake()
    inputs = LabelInputs(*(lake[name] for name in ("steps", "solutions", "problems", "rollouts")))
    exact, majority = (
        enforce(STEP_LABELS, annotator.label_steps(inputs)) for annotator in annotation.annotators
    )
    assert majority["annotator"].unique().to_list() == ["majority"]
    both = majority.join(exact, on="step_id")
    assert both.height == lake["steps"].height
    assert both.select((pl.col("hard") == (pl.col("soft") > 0.5)).all()).item()
    assert 0 < (both["hard"] < both["hard_right"]).sum() < both.height
    assert not (both["hard"] > both["hard_right"]).any()
