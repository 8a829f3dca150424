"""Name the settings that each asset depends on, as dotted paths."""

from collections.abc import Callable, Iterable, Iterator

from shepherd.annotators.annotator import AnnotatorSettings, RolloutSettings
from shepherd.annotators.nli import NliSettings
from shepherd.dependencies.fingerprints import engine_fields
from shepherd.dependencies.models import (
    REWARD_MODELS,
    SCORING_FIELDS,
    engine_paths,
    model_paths,
    nucleus_paths,
    prompting_paths,
)
from shepherd.engine_settings import EngineSettings
from shepherd.schemas import labels_table
from shepherd.settings import RftSettings, Settings
from shepherd.splitting import REASONING


def _problems(settings: Settings) -> Iterator[str]:
    yield from ("shards", "datasets.*.splitting.calculations")
    yield from (f"datasets.*.{name}" for name in ("num_train", "num_test", *_FILES))
    for name, dataset in settings.datasets.items():
        if dataset.choose != "first":
            yield f"datasets.{name}.choose"
    if any(dataset.source == "word_problems" for dataset in settings.datasets.values()):
        yield "seed"


_FILES = ("source", "columns", "split", "train", "test")
"""The fields of a dataset that say how the rows of its files are read."""


def _solutions(settings: Settings) -> Iterator[str]:
    yield from ("datasets.*.splitting.calculations", "datasets.*.is_annotated")
    if any(dataset.is_annotated for dataset in settings.datasets.values()):
        yield from engine_paths(settings)
        yield from ("seed", "sampling.samples_per_problem", "sampling.temperature")
        yield "sampling.max_tokens"
        yield from nucleus_paths(settings, "top_p")
        yield from _drawn_from(settings, settings.generators_of("train"))
    for name, dataset in settings.datasets.items():
        if dataset.solutions is not None:
            # Its rows name problems by their place in the files of problems.
            yield from (f"datasets.{name}.{field}" for field in ("solutions", "solutions_split"))
            yield from (f"datasets.{name}.{field}" for field in _FILES)
            yield from (f"datasets.{other}.test" for other in settings.datasets)


def _drawn_rollouts(settings: Settings) -> Iterator[str]:
    """Yield what the draws of the completer depend on, whoever asks for them."""
    yield from engine_paths(settings)
    assert settings.completer is not None, "rollouts are an asset of profiles with a completer"
    yield from prompting_paths("completer", settings.completer)
    yield from nucleus_paths(settings, "rollout_top_p")
    yield from ("seed", "sampling.rollout_temperature", "sampling.max_tokens")
    yield from ("datasets.*.is_annotated", "datasets.*.splitting.calculations")
    # There is nothing at this path without a pilot.
    yield "annotation.pilot.*"


def _pilot_rollouts(settings: Settings) -> Iterator[str]:
    yield from _drawn_rollouts(settings)
    yield "shards"


def _pilot_rates(settings: Settings) -> Iterator[str]:
    yield "datasets.*.is_annotated"
    if "adaptive" in settings.annotation.names:
        # What was set by hand is the centre of what is learned.
        rates = ("success_rate", "false_success_rate", "mending_rate")
        yield from (f"annotation.annotators.adaptive.{name}" for name in rates)


def _rollouts(settings: Settings) -> Iterator[str]:
    yield from _drawn_rollouts(settings)
    yield "annotation.consensus"
    for annotator in settings.annotation.annotators:
        if isinstance(annotator, RolloutSettings):
            yield from _annotator(annotator)


def _critiques(settings: Settings) -> Iterator[str]:
    judge = settings.annotation.judge
    assert judge is not None, "critiques are an asset of profiles with a judge"
    path = "annotation.annotators.judge"
    yield from _critic_engine(settings, judge.engine, path)
    yield from ("seed", "datasets.*.is_annotated")
    yield from (f"{path}.{field}" for field in CRITIC_FIELDS)


CRITIC_FIELDS = ("base", "template", "num_votes", "temperature", "max_tokens")
"""What the draws of a judge and of nli's language model depend on. Neither is an asset of its own,
so that its base is among them."""


def _critic_engine(settings: Settings, engine: EngineSettings | None, path: str) -> Iterator[str]:
    """Yield the fields of the engine of a judge or of nli's language model at ``path``."""
    if engine is None:
        yield from engine_paths(settings)
    else:
        yield from (f"{path}.engine.{name}" for name in engine_fields(engine))


def _labels(settings: Settings, annotator: AnnotatorSettings) -> Iterator[str]:
    """Yield what the labels of one annotator read; a judge's are counted from its critiques."""
    yield "datasets.*.is_annotated"
    if isinstance(annotator, NliSettings):
        yield from _nli(settings, annotator)
    elif "critiques" not in annotator.READS:
        yield from _annotator(annotator)


def _nli(settings: Settings, annotator: NliSettings) -> Iterator[str]:
    yield from ("annotation.annotators.nli.kind", "datasets.*.splitting.method")
    asked = annotator.language_model
    if asked is None:
        yield "annotation.annotators.nli.model"
        return
    path = "annotation.annotators.nli.language_model"
    yield from ("seed", *(f"{path}.{name}" for name in CRITIC_FIELDS))
    yield from _critic_engine(settings, asked.engine, path)


def _annotator(annotator: AnnotatorSettings) -> Iterator[str]:
    """Yield what an annotator reads: its own section, and the method if it cuts texts itself."""
    yield f"annotation.annotators.{annotator.kind}"
    if isinstance(annotator, RolloutSettings):
        cuts_texts = annotator.annotator("sentence") != annotator.annotator("newline")
    else:
        cuts_texts = annotator.kind not in ("oracle", "rule")
    if cuts_texts:
        yield "datasets.*.splitting.method"


def _labeled_solutions(settings: Settings) -> Iterator[str]:
    for name, dataset in settings.datasets.items():
        if dataset.labels is not None:
            fields = ("labels", "labels_format", "labels_task", "annotator")
            yield from (f"datasets.{name}.{field}" for field in fields)
            yield f"datasets.{name}.splitting.calculations"


def _candidates(settings: Settings) -> Iterator[str]:
    yield from engine_paths(settings)
    yield from ("seed", "sampling.num_candidates", "sampling.temperature", "sampling.max_tokens")
    yield "datasets.*.splitting.calculations"
    yield from nucleus_paths(settings, "top_p")
    yield from _drawn_from(settings, settings.candidate_generators)


def _drawn_from(settings: Settings, names: Iterable[str]) -> Iterator[str]:
    """Yield what is read of generators and policies; a policy has the prompts of its start."""
    for name in names:
        policy = settings.policies.get(name)
        yield from [f"policies.{name}.start"] if policy else ()
        generator = policy.start if policy else name
        yield from prompting_paths(f"generators.{generator}", settings.generators[generator])


def _greedy_solutions(settings: Settings) -> Iterator[str]:
    # At temperature 0 no seed is used.
    yield from engine_paths(settings)
    yield "sampling.max_tokens"
    yield from (f"datasets.*.splitting.{field}" for field in ("method", "calculations"))
    yield from _drawn_from(settings, [*settings.generators, *settings.policies])


def _exports(settings: Settings) -> Iterator[str]:
    # The dataset card says how the labels were made.
    yield from ("exports", "published_annotators", "seed", "generators.*.base", "completer.base")
    yield from ("sampling.samples_per_problem", "annotation.max_rollouts", "sampling.temperature")
    yield from ("sampling.rollout_temperature", "sampling.max_tokens")
    yield from nucleus_paths(settings, "top_p")
    yield from nucleus_paths(settings, "rollout_top_p")


_RULES: dict[str, Callable[[Settings], Iterator[str]]] = {
    "problems": _problems,
    "solutions": _solutions,
    "pilot_rollouts": _pilot_rollouts,
    "pilot_rates": _pilot_rates,
    "rollouts": _rollouts,
    "critiques": _critiques,
    "labeled_solutions": _labeled_solutions,
    "candidates": _candidates,
    "greedy_solutions": _greedy_solutions,
    "exports": _exports,
}
"""The paths of assets whose dependencies vary with the settings."""

_PATHS: dict[str, tuple[str, ...]] = {
    "steps": ("datasets.*.splitting.method",),
    "oracle_labels": ("datasets.*.source", "datasets.*.is_annotated"),
    "step_labels": ("annotation.names", "annotation.consensus"),
    "candidate_scores": (
        "datasets.*.splitting.method",
        *(f"{name}.{field}" for name in REWARD_MODELS for field in SCORING_FIELDS),
    ),
    "held_out_scores": (
        "seed",
        "training_set.validation_share",
        *(f"process_reward_model.{field}" for field in SCORING_FIELDS),
    ),
    "evaluations": ("seed", "verification", "sampling.num_candidates"),
    "policy_evaluations": (
        "seed",
        "verification.bootstrap",
        "policies.*.start",
        "policies.*.method",
    ),
    "report": ("datasets.*.splitting.method",),
}
"""The paths of the other assets."""


def paths_of(settings: Settings, asset: str) -> Iterator[str]:
    """Yield the paths that an asset depends on."""
    for path in _paths_of(settings, asset):
        yield path
        if path == _METHODS:
            yield from (f"{one}.max_sections" for one in _reasoning(settings))
    if asset in _READS_ANSWERS or isinstance(settings.policies.get(asset), RftSettings):
        yield from (f"{one}.method" for one in _reasoning(settings))


_METHODS = "datasets.*.splitting.method"

_READS_ANSWERS = ("solutions", "rollouts", "candidates")
"""The assets that read answers behind thoughts, in datasets of reasoning models."""


def _reasoning(settings: Settings) -> Iterator[str]:
    """Yield the paths of how texts of reasoning models are cut."""
    for name, dataset in settings.datasets.items():
        if dataset.splitting.method == REASONING:
            yield f"datasets.{name}.splitting"


def _paths_of(settings: Settings, asset: str) -> Iterable[str]:
    if asset in _PATHS:
        return _PATHS[asset]
    if asset in _RULES:
        return _RULES[asset](settings)
    model = model_paths(settings, asset)
    if model is not None:
        return model
    kinds = {labels_table(one.kind).name: one for one in settings.annotation.annotators}
    assert asset in kinds, f"no asset is called {asset}"
    return _labels(settings, kinds[asset])
