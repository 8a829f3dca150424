"""Settings of a dataset: its problems, and solutions or labels that exist already."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from shepherd.label_formats import PublishedFormat
from shepherd.section import LONGEST_NAME, NAME_PATTERN, Section, placed
from shepherd.splitting import MAX_SECTIONS, REASONING, Method, MethodName, strip_calculations

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")


class SplittingSettings(Section):
    """How texts are cut into steps (:func:`shepherd.splitting.split_steps`) and cleaned first."""

    method: MethodName = Field(
        "auto",
        description="where to cut: `step` before each `Step k:`, `newline`, `blank_line` and "
        "`sentence` after each of these; `auto` is `step` where a text has such marks, else "
        "`newline`; `reasoning` is for models that think in `<think>`: the thought in sections, "
        "then `auto`",
    )
    max_sections: int = Field(
        MAX_SECTIONS,
        ge=1,
        description="sections of a thought at most, with `method: reasoning`; paragraphs are "
        "merged up to it",
    )
    calculations: Literal["keep", "strip"] = Field(
        "keep",
        description="`strip` removes calculator annotations such as `<<48/2=24>>` from gold, "
        "sampled and imported solutions, rollouts and published labels",
    )

    @property
    def rule(self) -> Method:
        """How texts are cut, as :func:`shepherd.splitting.split_steps` takes it."""
        return f"{REASONING}:{self.max_sections}" if self.method == REASONING else self.method

    def clean(self, text: str) -> str:
        """Return a text without its calculator annotations if the profile strips them."""
        return strip_calculations(text) if self.calculations == "strip" else text


DEFAULT_SPLITTING = SplittingSettings()


class DatasetSettings(Section):
    """Where the problems of one dataset come from, and solutions or labels that exist already.

    A relative path starts at the folder of the profile, and one that begins with a variable at the
    working directory. A dataset names `solutions` or `labels` or neither: published labels bring
    their own solutions.
    """

    source: Literal["word_problems", "gsm8k", "math", "metamath", "columns"] = Field(
        description="`word_problems` are generated; `gsm8k`, `math` and `metamath` are read in "
        "their published formats; `columns` is any other table"
    )
    columns: dict[Literal["question", "answer", "solution", "level", "subject"], str] = Field(
        {},
        description="with `source: columns`: the table's own name of each column; `question` is "
        "required, and `answer` or `solution`",
    )
    split: Literal["published", "lightman"] = Field(
        "published",
        description="`lightman` (arXiv 2305.20050; `math` only): `train` is all of MATH without "
        "the problems of `test`, MATH500",
    )
    num_train: int | None = Field(
        None, ge=1, description="number of train problems at most, chosen by `choose`; null: all"
    )
    num_test: int | None = Field(
        None,
        ge=0,
        description="number of test problems at most, chosen by `choose`; null: all; 0: none, and "
        "beside `train` no file of them is needed",
    )
    choose: Literal["first", "hash"] = Field(
        "first",
        description="problems that `num_train` and `num_test` keep: the `first` of the files, or "
        "those with the smallest `hash` of the id, a random sample that is the same everywhere; "
        "the files of MATH are sorted by subject",
    )
    train: str | tuple[str, ...] | None = Field(
        None,
        description="path or paths of .jsonl, .jsonl.gz, .parquet or .csv files, or of folders of "
        ".json files; null: read the published files from the Hugging Face hub",
    )
    test: str | None = Field(None, description="path of the test problems, as for `train`")
    solutions: str | None = Field(
        None, description="path of solutions sampled elsewhere; they replace the generators' own"
    )
    solutions_split: Split = Field(
        "test", description="split whose problems `solutions` answers; `train`: to be labelled here"
    )
    labels: str | None = Field(
        None,
        description="path of published step labels; those of train problems replace our own",
    )
    labels_format: PublishedFormat = Field("math_shepherd", description="format of `labels`")
    labels_task: str | None = Field(
        None, description="read only the rows of `labels` with this `task`; null: all rows"
    )
    annotator: str = Field(
        "imported",
        pattern=NAME_PATTERN,
        max_length=LONGEST_NAME,
        description="annotator that imported labels are stored under",
    )
    annotated: bool = Field(
        True,
        description="false: models learn from the train problems, but their solutions are neither "
        "sampled nor labelled; imported ones are graded",
    )
    max_rejected_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="share of a file's rows that may be unusable before it is refused",
    )
    splitting: SplittingSettings = Field(
        DEFAULT_SPLITTING, description="how texts of this dataset are cut into steps"
    )

    @field_validator("train", "test", "solutions", "labels", mode="before")
    @classmethod
    def _paths_start_at_the_profile(cls, paths: object, info: ValidationInfo) -> object:
        if isinstance(paths, list | tuple):
            return [placed(path, info) for path in paths]
        return placed(paths, info)

    @property
    def has_test(self) -> bool:
        """Whether the dataset has test problems."""
        return self.num_test != 0 and self.source != "metamath"

    @property
    def is_annotated(self) -> bool:
        """Whether solutions of train problems are sampled or imported, to be labelled here.

        MetaMATH serves fine-tuning only: its questions are those of GSM8K and MATH, reworded.
        """
        imported_tests = self.solutions is not None and self.solutions_split == "test"
        sampled = self.annotated and self.source != "metamath"
        return sampled and self.labels is None and not imported_tests

    @model_validator(mode="after")
    def _solutions_come_from_one_place(self) -> "DatasetSettings":
        if self.labels is not None and self.solutions is not None:
            raise ValueError(
                "solutions and labels: name one; published labels bring their own solutions"
            )
        return self

    @model_validator(mode="after")
    def _columns_are_named(self) -> "DatasetSettings":
        if self.source == "columns" and not (
            "question" in self.columns and {"answer", "solution"} & self.columns.keys()
        ):
            raise ValueError("columns: name the column of the question, and of answer or solution")
        if self.columns and self.source != "columns":
            raise ValueError(f"columns: leave it out, {self.source} has columns of its own")
        if self.split == "lightman" and self.source != "math":
            raise ValueError("split lightman: it is a split of the source math")
        return self
