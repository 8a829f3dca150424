"""Which of the paper's claims come out on the word problems?

    python -m benchmarks.paper_study [--json] [--seeds 3] [--keep FOLDER] [--out docs/study]

Each seed runs the pipeline of profile `study` in a home of its own (other problems, other
fine-tuning, other draws; the shipped base models are the same): labels, reward models, RFT, PPO
with either reward model, candidates of all generators and of the last policy. Then it trains the
reward models that the paper compares beside the profile's: smaller ones, on other labels, on less
data; and SFT for as long as RFT. All of it goes on on every core, a thread each. ``--keep``
resumes: what is finished is not done again. ``--out`` writes findings.md, accuracies.csv and the
figures. Every rate and size was settled on other seeds (docs/lab.md).
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from assets.models.generators import gold_of
from benchmarks.claims import Claim, Finding, System, weigh
from benchmarks.figures import pyplot
from benchmarks.report import Result, main
from benchmarks.seeds import run_profile, single_threaded
from benchmarks.study_pages import write_pages
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
    ORACLE_LABELS,
    PROBLEMS,
    STEP_LABELS,
    STEPS,
)
from shepherd.settings import ModelSettings, RftSettings, Settings, TrainingSet
from shepherd.splitting import scored_steps
from shepherd.training_sets import outcome_examples, process_examples
from shepherd.verification import solved_shares
from training.orm import train_orm
from training.prm import train_prm
from training.scoring import Kind, score_solutions
from training.sft import train_sft

N = 64
SMALL, LARGE, SFT, STEP_PPO = "generator", "strong_generator", "generator", "step_ppo"
LONGER_SFT = "longer_sft"


@dataclass(frozen=True)
class Variant:
    """Reward models trained beside the profile's, which differ from them in one thing."""

    name: str
    kinds: tuple[Kind, ...] = ("process",)
    base: str = "base-large"
    annotator: str = "monte_carlo"
    labels: Literal["hard", "soft"] = "hard"
    share: float = 1.0


VARIANTS = (
    Variant("small", kinds=("outcome", "process"), base="base-small"),
    Variant("soft labels", labels="soft"),
    Variant("rule labels", annotator="rule"),
    Variant("oracle labels", annotator="oracle"),
    Variant("1/4 of the data", kinds=("outcome", "process"), share=1 / 4),
    Variant("1/16 of the data", kinds=("outcome", "process"), share=1 / 16),
)


def claims() -> Iterator[Claim]:
    """Yield what the paper says, in its order."""

    def of(method: str, generator: str = SMALL, num: int = N, models: str = "large") -> System:
        return System(generator, method, num, models)

    yield Claim("table 1", "PRM above ORM", of("PRM"), of("ORM"), 0.0)
    yield Claim("table 1", "ORM above self-consistency", of("ORM"), of("SC"), 0.0)
    yield Claim("table 1", "PRM above self-consistency", of("PRM"), of("SC"))
    yield Claim("table 1, GSM8K", "the PRM alone above SC+PRM", of("PRM"), of("SC+PRM"))
    yield Claim("table 1, MATH", "SC+PRM above the PRM alone", of("SC+PRM"), of("PRM"))
    yield Claim("table 1", "SC+PRM above SC+ORM", of("SC+PRM"), of("SC+ORM"))
    sft, rft, orm_ppo, step_ppo, longer_sft = (
        of("greedy", name, 1) for name in (SFT, "rft", "orm_ppo", STEP_PPO, LONGER_SFT)
    )
    yield Claim("table 2", "greedy: RFT above SFT", rft, sft, 0.0)
    yield Claim("table 2", "greedy: ORM-PPO above RFT", orm_ppo, rft, 0.0)
    # Both have the same settings; those were chosen for step-PPO (docs/lab.md, 16).
    yield Claim("table 2", "greedy: step-PPO above ORM-PPO", step_ppo, orm_ppo, 0.0)
    yield Claim("table 2", "greedy: step-PPO above SFT", step_ppo, sft, 0.05)
    yield Claim("beyond the paper", "greedy: RFT above SFT of as many epochs", rft, longer_sft)
    yield Claim(
        "beyond the paper", "greedy: step-PPO above SFT of RFT's epochs", step_ppo, longer_sft
    )
    for method in ("SC", "ORM", "PRM", "SC+PRM"):
        yield Claim(
            "table 3", f"{method} after step-PPO above before", of(method, STEP_PPO), of(method)
        )
    yield Claim(
        "table 3", "after step-PPO, SC+PRM above SC", of("SC+PRM", STEP_PPO), of("SC", STEP_PPO)
    )
    small = {"models": "small"}
    yield Claim(
        "figure 3", "more candidates help the PRM (64 above 4)", of("PRM"), of("PRM", num=4)
    )
    yield Claim(
        "figure 3",
        "small generator: a large PRM above a small one",
        of("PRM"),
        of("PRM", **small),  # type: ignore[arg-type]
    )
    yield Claim(
        "figure 3",
        "a small PRM on a large generator: worse with more candidates (1 above 64)",
        of("pass@1", LARGE, 1),
        of("PRM", LARGE, models="small"),
    )
    yield Claim(
        "figure 3",
        "large generator: a large PRM above self-consistency",
        of("PRM", LARGE),
        of("SC", LARGE),
    )
    monte_carlo, rule = (System("labels", name, 1) for name in ("monte_carlo", "rule"))
    yield Claim("section 5.2", "Monte Carlo labels are right more often", monte_carlo, rule)
    for models, text in (
        ("rule labels", "Monte Carlo labels above rule labels"),
        ("soft labels", "hard labels above soft ones"),
    ):
        yield Claim("beyond the paper", f"PRM: {text}", of("PRM"), of("PRM", models=models))
    yield Claim(
        "beyond the paper",
        "PRM: exact labels above Monte Carlo's",
        of("PRM", models="oracle labels"),
        of("PRM"),
    )
    for share in ("1/4", "1/16"):
        models = f"{share} of the data"
        yield Claim(
            "figure 5",
            f"{share} of the data: PRM above ORM",
            of("PRM", models=models),
            of("ORM", models=models),
        )


def work(num_seeds: int, folder: Path) -> None:
    """Do what takes long, on all cores: the pipelines, and the variants of each that is done."""
    with single_threaded() as pool:
        homes = {seed: folder / f"seed-{seed}" for seed in range(num_seeds)}
        pipelines = {
            pool.submit(run_profile, "study", seed, home): home for seed, home in homes.items()
        }
        waiting = []
        for done in as_completed(pipelines):
            profile, home = done.result(), pipelines[done]
            waiting.append(pool.submit(longer_sft, home, profile))
            waiting += [
                pool.submit(scores_by, variant, kind, home, profile)
                for variant in VARIANTS
                for kind in variant.kinds
            ]
        for scored in waiting:
            scored.result()


def measure(seed: int, home: Path) -> pl.DataFrame:
    """Return the outcomes of one seed as :func:`benchmarks.claims.weigh` takes them.

    What :func:`work` did is not done again.
    """
    profile = run_profile("study", seed, home)
    lake, settings = Lake(Home(home).lake), load_settings(str(profile))
    problems, candidates = lake.read(PROBLEMS), lake.read(CANDIDATES)
    scores = {"large": lake.read(CANDIDATE_SCORES)}
    for variant in VARIANTS:
        scores[variant.name] = pl.concat(
            scores_by(variant, kind, home, profile) for kind in variant.kinds
        )
    by_choice = [
        solved_shares(
            candidates,
            scored,
            problems,
            counts=[2**k for k in range(N.bit_length())],
            groups=settings.verification.groups,
            aggregation=settings.verification.aggregation,
            seed=seed,
        )
        .with_columns(reward_models=pl.lit(name))
        .filter((pl.col("method").str.contains("RM")) | (name == "large"))
        for name, scored in scores.items()
    ]
    solved_once = pl.concat([lake.read(GREEDY_SOLUTIONS), longer_sft(home, profile)])
    greedy = solved_once.select(
        "generator",
        pl.lit("greedy").alias("method"),
        pl.lit(1).cast(pl.Int64).alias("num_candidates"),
        "problem_id",
        pl.col("is_correct").cast(pl.Float64).alias("solved"),
    )
    outcomes = pl.concat([*by_choice, greedy, right_labels(lake)], how="diagonal")
    asks_none = ~pl.col("method").str.contains("RM")
    return outcomes.with_columns(
        seed=pl.lit(seed),
        reward_models=pl.when(asks_none).then(None).otherwise("reward_models"),
    )


def right_labels(lake: Lake) -> pl.DataFrame:
    """Return how many of a problem's steps each annotator labels as the oracle does, as a share.

    Outcomes of a "generator" named labels, whose method is the annotator. Last steps, whose label
    needs none, do not count.
    """
    steps = lake.read(STEPS).filter(~pl.col("is_last")).select("step_id", "problem_id")
    truth = lake.read(ORACLE_LABELS).select("step_id", truth="hard")
    labels = lake.read(STEP_LABELS).filter(pl.col("annotator") != "oracle")
    return (
        labels.join(steps, on="step_id")
        .join(truth, on="step_id")
        .group_by(method="annotator", problem_id="problem_id", maintain_order=True)
        .agg(solved=(pl.col("hard") == pl.col("truth")).mean())
        .with_columns(generator=pl.lit("labels"), num_candidates=pl.lit(1, pl.Int64))
    )


def longer_sft(home: Path, profile: Path) -> pl.DataFrame:
    """Return ``greedy_solutions`` of the generator, fine-tuned for as many epochs as RFT is.

    RFT differs from the profile's generator in epochs as well as in what it learns from.
    """
    lake, settings = Lake(Home(home).lake), load_settings(str(profile))
    generator, rft = settings.generators[SFT], settings.policies["rft"]
    assert isinstance(rft, RftSettings), "the profile's rft is one"
    problems = lake.read(PROBLEMS)
    gold = gold_of(problems.lazy(), generator, settings).train.collect()
    identity = content_id(rft.training.model_dump_json(), gold.write_json())
    model = home / "study" / f"{LONGER_SFT}-{identity[:8]}"

    def solve(written: Path) -> pl.DataFrame:
        train_sft(
            BASE_MODELS / generator.base,
            gold,
            written,
            rft.training,
            template=generator.template,
            seed=settings.seed,
        )
        sampler = completion_model_of(LONGER_SFT, generator, written, settings.engine)
        shard = Shard("word_problems", "all", written, settings.seed)
        test = problems.filter(split="test")
        return draw_greedily(test, sampler, settings.sampling, shard).frame

    return _made_once(model, GREEDY_SOLUTIONS.name, solve)


def _made_once(model: Path, name: str, make: Callable[[Path], pl.DataFrame]) -> pl.DataFrame:
    """Return what ``make`` returned when it filled the folder of a model, where it is kept."""
    kept = model / f"{name}.parquet"
    if kept.exists():
        return pl.read_parquet(kept)
    with replacing_folder(model) as written:
        made = make(written)
        made.write_parquet(written / kept.name)
    return made


def scores_by(variant: Variant, kind: Kind, home: Path, profile: Path) -> pl.DataFrame:
    """Return ``candidate_scores`` by one reward model of a variant, trained if it was not yet.

    What was trained on other labels, or has scored other candidates, is not taken for it.
    """
    lake, settings, name = (
        Lake(Home(home).lake),
        load_settings(str(profile)),
        f"{kind}_reward_model",
    )
    of_profile = getattr(settings, name)
    assert isinstance(of_profile, ModelSettings), "the profile trains both"
    training = of_profile.training
    assert training is not None, "the profile trains both"
    examples = _examples(variant, kind, lake, settings)
    asked = _asked(variant, of_profile, lake)
    identity = content_id(
        repr(variant), of_profile.model_dump_json(), examples.write_json(), *asked["text"]
    )
    model = (
        home
        / "study"
        / f"{variant.name.replace('/', '-of-').replace(' ', '-')}-{kind}-{identity[:8]}"
    )

    def score(written: Path) -> pl.DataFrame:
        train = train_prm if kind == "process" else train_orm
        train(
            BASE_MODELS / variant.base,
            examples,
            written,
            training,
            template=of_profile.template,
            seed=settings.seed,
        )
        scored = score_solutions(
            written,
            asked,
            kind=kind,
            template=of_profile.template,
            max_length=training.max_length,
        )
        return scored.join(asked.select("candidate_id", "problem_id"), on="candidate_id").select(
            "candidate_id", "problem_id", pl.lit(name).alias("reward_model"), "step_scores"
        )

    return _made_once(model, CANDIDATE_SCORES.name, score)


def _examples(variant: Variant, kind: Kind, lake: Lake, settings: Settings) -> pl.DataFrame:
    """Return what a variant is trained on: its annotator's labels of its share of solutions."""
    plan = process_examples if kind == "process" else outcome_examples
    place = pl.col("solution_id").str.head(8).str.to_integer(base=16)
    labeled = lake.read(LABELED_SOLUTIONS).lazy().filter(place < variant.share * 2**32)
    chosen = TrainingSet(labels=variant.labels)
    return plan(labeled, chosen, [variant.annotator], "train", settings.seed).collect()


def _asked(variant: Variant, of_profile: ModelSettings, lake: Lake) -> pl.DataFrame:
    """Return the candidates that a variant scores, with their questions and steps."""
    asked = lake.read(CANDIDATES).join(
        lake.read(PROBLEMS).select("problem_id", "question"), on="problem_id", maintain_order="left"
    )
    # What a comparison of data or labels is about, the small generator alone can show.
    if variant.base == of_profile.base:
        asked = asked.filter(generator=SMALL)
    steps = [scored_steps(text) for text in asked["text"]]
    return asked.with_columns(pl.Series("steps", steps, dtype=pl.List(pl.String)))


def study(num_seeds: int, folder: Path, out: Path | None) -> list[Result]:
    """Measure all seeds, weigh every claim, and return each difference with its interval."""
    if out is not None:
        pyplot()  # told now if it is not installed, not after an hour
    work(num_seeds, folder)
    outcomes = pl.concat(measure(seed, folder / f"seed-{seed}") for seed in range(num_seeds))
    findings = [weigh(claim, outcomes) for claim in claims()]
    for finding in findings:
        print(
            f"{finding.claim.source}: {finding.claim.statement}: {finding.verdict}", file=sys.stderr
        )
    if out is not None:
        write_pages(outcomes, findings, out)
    return [*_accuracies(outcomes), *(result for f in findings for result in _results(f))]


def _accuracies(outcomes: pl.DataFrame) -> Iterator[Result]:
    counted_once = pl.col("method").is_in(["greedy", "pass@1"]) | (pl.col("generator") == "labels")
    largest = outcomes.filter(counted_once | (pl.col("num_candidates") == N))
    cells = largest.group_by("generator", "method", "reward_models", maintain_order=True)
    for (generator, method, models), part in cells:
        by_seed = part.group_by("seed").agg(pl.col("solved").mean())["solved"]
        name = ", ".join(str(field) for field in (generator, method, models) if field)
        yield Result(name, float(by_seed.mean()), "share")  # type: ignore[arg-type]
        yield Result(f"{name} spread", float(by_seed.std() or 0.0), "share")  # type: ignore[arg-type]


def _results(finding: Finding) -> Iterator[Result]:
    name = f"{finding.claim.source}: {finding.claim.statement}"
    claim = finding.claim
    yield Result(name, finding.difference, "share", target=claim.expected, met=finding.as_expected)
    yield Result(f"{name}, low", finding.low, "share")
    yield Result(f"{name}, high", finding.high, "share")
    yield Result(f"{name}, chance", finding.chance, "share")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder to keep the work in, and to resume from")
    parser.add_argument("--out", type=Path, help="folder for findings, accuracies and figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        keep = arguments.keep or Path(temporary)
        main("paper_study", lambda: study(arguments.seeds, keep, arguments.out))
