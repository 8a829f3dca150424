"""Labels by each annotator of a settings file on published solutions, and what they cost."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.annotated import AnnotatedSolutions, CompleterRollouts
from benchmarks.annotator_labels import AnnotatorLabels, compute, judge_solutions, replay
from benchmarks.truth_draws import in_own_folder, open_model, shard_of
from benchmarks.truth_settings import TruthSettings
from resources.entailment import EntailmentModel
from resources.sampling.entailments import EntailmentQuestions, entailment_stage
from resources.sampling.stage import Stage
from resources.storage.model_store import ModelStore
from shepherd.annotators.annotator import LabelInputs, RolloutSettings
from shepherd.annotators.consensus import consensus_labels
from shepherd.annotators.judge import JudgeSettings
from shepherd.annotators.nli import NliSettings, nli_labels
from shepherd.schemas import CRITIQUES
from shepherd.settings import ModelSettings


def label_all(
    work: AnnotatedSolutions, rollouts: CompleterRollouts, settings: TruthSettings, folder: Path
) -> list[AnnotatorLabels]:
    """Return the labels of each annotator, then of the consensus.

    Draws of the judge and of the language model of ``nli`` are in ``folder``.
    """
    labels = []
    inputs = LabelInputs(work.steps, work.solutions, work.problems)
    for annotator in settings.annotation.annotators:
        match annotator:
            case RolloutSettings():
                labels.append(replay(annotator.kind, annotator.annotator(), work, rollouts))
            case JudgeSettings():
                labels.append(_by_judge(work, annotator, settings, folder))
            case NliSettings():
                labels.append(_by_entailment(work, annotator, settings, folder))
            case _:
                label = partial(annotator.label_steps, inputs)
                labels.append(compute(annotator.kind, work, label))
    return [*labels, *_consensus(labels, settings, work)]


def _by_judge(
    work: AnnotatedSolutions, judge: JudgeSettings, settings: TruthSettings, folder: Path
) -> AnnotatorLabels:
    base = ModelSettings(base=judge.base, template=judge.template)
    model = open_model("judge", base, judge.engine or settings.engine)
    shard = shard_of(work, settings, folder)
    stage = Stage(CRITIQUES, model, shard, judge.temperature, judge.max_tokens)
    own = replace(work, shard=in_own_folder(stage).shard)
    return judge_solutions(own, model, judge)


def _by_entailment(
    work: AnnotatedSolutions, nli: NliSettings, settings: TruthSettings, folder: Path
) -> AnnotatorLabels:
    asked = nli.language_model
    if asked is None:
        classifier = EntailmentModel(ModelStore(Path()).resolve(nli.model))
        return compute(
            nli.kind,
            work,
            lambda: nli_labels(work.steps, work.solutions, work.problems, classifier),
        )
    base = ModelSettings(base=asked.base, template=asked.template)
    model = open_model("nli", base, asked.engine or settings.engine)
    stage = entailment_stage(model, asked, shard_of(work, settings, folder))
    questions = EntailmentQuestions(in_own_folder(stage), asked.num_votes)
    labels = nli_labels(work.steps, work.solutions, work.problems, questions)
    cost = questions.cost
    return AnnotatorLabels(nli.kind, labels, cost.completion_tokens, cost.seconds)


def _consensus(
    labels: list[AnnotatorLabels], settings: TruthSettings, work: AnnotatedSolutions
) -> Iterator[AnnotatorLabels]:
    """Yield the labels on which two annotators agree; they cost what both cost."""
    if settings.annotation.consensus is not None:
        by_name = {one.name: one for one in labels}
        first, second = (by_name[name] for name in settings.annotation.consensus)
        yield AnnotatorLabels(
            "consensus",
            consensus_labels(first.frame, second.frame, work.steps),
            first.tokens + second.tokens,
            first.seconds + second.seconds,
        )
