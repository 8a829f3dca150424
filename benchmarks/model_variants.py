"""Models that the paper compares, trained beside those of the profile ``study``.

Reward models: smaller ones, on other labels, on less data. A generator: SFT for as long as RFT.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from assets.models.generators import gold_of
from benchmarks.paper_claims import LONGER_SFT, SMALL
from benchmarks.study_greedy import more_problems
from resources.profiles import load_settings
from resources.sampling.solutions import draw_greedily
from resources.sampling.stage import Shard, completion_model_of
from resources.storage.atomic import replacing_folder
from resources.storage.home import Home
from resources.storage.lake import Lake
from resources.storage.model_store import BASE_MODELS
from shepherd.identity import content_id
from shepherd.schemas import (
    CANDIDATE_SCORES,
    CANDIDATES,
    GREEDY_SOLUTIONS,
    LABELED_SOLUTIONS,
    PROBLEMS,
)
from shepherd.settings import ModelSettings, RftSettings, Settings, TrainingSet
from shepherd.splitting import scored_steps
from shepherd.training_sets import outcome_examples, process_examples
from training.orm import train_orm
from training.prm import train_prm
from training.runs import TrainingRun
from training.scoring import Kind, score_solutions
from training.sft import train_sft


@dataclass(frozen=True)
class RewardModelVariant:
    """Reward models that differ from the profile's in one thing.

    ``share`` (0 to 1) is the share of the labelled solutions that they are trained on.
    """

    name: str
    kinds: tuple[Kind, ...] = ("process",)
    base: str = "base-large"
    annotator: str = "monte_carlo"
    labels: Literal["hard", "soft"] = "hard"
    share: float = 1.0


VARIANTS = (
    RewardModelVariant("small", kinds=("outcome", "process"), base="base-small"),
    RewardModelVariant("soft labels", labels="soft"),
    RewardModelVariant("rule labels", annotator="rule"),
    RewardModelVariant("oracle labels", annotator="oracle"),
    RewardModelVariant("1/4 of the data", kinds=("outcome", "process"), share=1 / 4),
    RewardModelVariant("1/16 of the data", kinds=("outcome", "process"), share=1 / 16),
)


def variant_scores(
    variant: RewardModelVariant, kind: Kind, home: Path, profile: Path
) -> pl.DataFrame:
    """Return ``candidate_scores`` by one reward model of a variant; train it if it is missing.

    The folder's name hashes labels, settings and candidates, so that no other model is read.
    """
    lake, settings = Lake(Home(home).lake), load_settings(str(profile))
    name = f"{kind}_reward_model"
    of_profile = getattr(settings, name)
    assert isinstance(of_profile, ModelSettings), "the profile trains both"
    training = of_profile.training
    assert training is not None, "the profile trains both"
    examples = _examples(variant, kind, lake, settings)
    candidates = _candidates(variant, of_profile, lake)
    identity = content_id(
        repr(variant), of_profile.model_dump_json(), examples.write_json(), *candidates["text"]
    )
    label = variant.name.replace("/", "-of-").replace(" ", "-")

    def train_and_score(folder: Path) -> pl.DataFrame:
        base, template = BASE_MODELS / variant.base, of_profile.template
        train = train_prm if kind == "process" else train_orm
        train(TrainingRun(base, examples, folder, training, seed=settings.seed, template=template))
        scores = score_solutions(
            folder, candidates, kind=kind, template=template, max_length=training.max_length
        )
        problems = candidates.select("candidate_id", "problem_id")
        return scores.join(problems, on="candidate_id").select(
            "candidate_id", "problem_id", pl.lit(name).alias("reward_model"), "step_scores"
        )

    model = home / "study" / f"{label}-{kind}-{identity[:8]}"
    return _made_once(model, CANDIDATE_SCORES.name, train_and_score)


def longer_sft(num_problems: int, home: Path, profile: Path) -> pl.DataFrame:
    """Return ``greedy_solutions`` of the generator, fine-tuned for as many epochs as RFT.

    RFT differs from the profile's generator in epochs and in training data. This separates both.
    ``num_problems`` test problems are solved, as :func:`benchmarks.study_greedy.more_problems` adds
    them to those of the home.
    """
    lake, settings = Lake(Home(home).lake), load_settings(str(profile))
    generator, rft = settings.generators[SMALL], settings.policies["rft"]
    assert isinstance(rft, RftSettings), "the profile's rft is one"
    problems = lake.read(PROBLEMS)
    gold = gold_of(problems.lazy(), generator, settings).train.collect()
    more = more_problems(settings, lake, num_problems)
    test = pl.concat([problems.filter(split="test"), more])
    identity = content_id(rft.training.model_dump_json(), gold.write_json(), *more["problem_id"])
    model = home / "study" / f"{LONGER_SFT}-{identity[:8]}"

    def train_and_solve(folder: Path) -> pl.DataFrame:
        train_sft(
            TrainingRun(
                BASE_MODELS / generator.base,
                gold,
                folder,
                rft.training,
                seed=settings.seed,
                template=generator.template,
            )
        )
        sampler = completion_model_of(LONGER_SFT, generator, folder, settings.engine)
        shard = Shard("word_problems", "all", folder, settings.seed)
        return draw_greedily(test, sampler, settings.sampling, shard).frame

    return _made_once(model, GREEDY_SOLUTIONS.name, train_and_solve)


def _made_once(model: Path, name: str, make: Callable[[Path], pl.DataFrame]) -> pl.DataFrame:
    """Return the frame of ``make``, which fills the folder of a model; run ``make`` only once."""
    path = model / f"{name}.parquet"
    if path.exists():
        return pl.read_parquet(path)
    with replacing_folder(model) as written:
        frame = make(written)
        frame.write_parquet(written / path.name)
    return frame


def _examples(
    variant: RewardModelVariant, kind: Kind, lake: Lake, settings: Settings
) -> pl.DataFrame:
    """Return the training examples of a variant: its annotator's labels of its share."""
    plan = process_examples if kind == "process" else outcome_examples
    position = pl.col("solution_id").str.head(8).str.to_integer(base=16)
    labeled = lake.read(LABELED_SOLUTIONS).lazy().filter(position < variant.share * 2**32)
    chosen = TrainingSet(labels=variant.labels)
    return plan(labeled, chosen, [variant.annotator], "train", settings.seed).collect()


def _candidates(variant: RewardModelVariant, of_profile: ModelSettings, lake: Lake) -> pl.DataFrame:
    """Return the candidates that a variant scores, with their questions and steps.

    Comparisons of data or labels need the candidates of the small generator only.
    """
    questions = lake.read(PROBLEMS).select("problem_id", "question")
    candidates = lake.read(CANDIDATES).join(questions, on="problem_id", maintain_order="left")
    if variant.base == of_profile.base:
        candidates = candidates.filter(generator=SMALL)
    steps = [scored_steps(text) for text in candidates["text"]]
    return candidates.with_columns(pl.Series("steps", steps, dtype=pl.List(pl.String)))
