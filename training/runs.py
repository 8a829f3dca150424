"""Describe a training run before it starts, and what it did once it has ended."""

from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

import polars as pl

from shepherd.settings import TrainingSettings


@dataclass(frozen=True)
class TrainingRun:
    """Name everything that a trainer needs: weights, data, settings and folders."""

    base: str | Path
    """Checkpoint folder or hub name of the model that training starts from."""
    examples: pl.LazyFrame | pl.DataFrame
    """Rows to train on. Each trainer names the columns that it reads."""
    out: Path
    """Folder for the trained checkpoint."""
    settings: TrainingSettings
    """Optimisation settings: learning rate, batch size, lengths in tokens."""
    _: KW_ONLY
    seed: int
    """Seed of the order of the examples and of weights that start at random."""
    template: str = "plain"
    """Prompt template around a question (:func:`shepherd.prompts.build_prompt`)."""
    held_out: pl.LazyFrame | pl.DataFrame | None = None
    """Rows of problems that training does not see, to evaluate on. No evaluation if None."""
    work: Path | None = None
    """Folder for token files, checkpoints and curves of the run itself."""

    @property
    def work_folder(self) -> Path:
        """Return ``work``, or ``.<out>.training`` beside ``out`` if ``work`` is None."""
        return self.work or work_folder_of(self.out)


def work_folder_of(out: Path) -> Path:
    """Return the folder, beside ``out``, from which a killed run resumes by default."""
    return out.with_name(f".{out.name}.training")


@dataclass
class TrainingReport:
    """Report what a run did, in numbers that a process can send to another as JSON."""

    num_examples: int
    """Examples that were trained on."""
    num_cut: int
    """Examples that were shortened or left out because they exceed ``max_length``."""
    num_steps: int
    """Optimisation steps of the whole run."""
    first_step: int = 0
    """Step at which this process resumed; 0 if the run started from the beginning."""
    num_tokens: int = 0
    """Tokens that were trained on since ``first_step``, over all processes."""
    seconds: float = 0.0
    """Wall-clock time of the steps since ``first_step``."""
    losses: list[float] = field(default_factory=list)
    """Training loss of each step."""
    evaluations: list[dict[str, float]] = field(default_factory=list)
    """Step, loss and metrics of each evaluation on held-out problems."""

    def summary(self, examples: str = "examples") -> str:
        """Return one line for the terminal; ``examples`` is what the trainer calls its rows."""
        return (
            f"{self.num_steps} steps on {self.num_examples:,} {examples} ({self.num_cut} cut) in "
            f"{self.seconds:.0f} s; loss {self.losses[0]:.3f} -> {self.losses[-1]:.3f}"
        )
