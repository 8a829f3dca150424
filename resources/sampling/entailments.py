"""Ask a language model whether texts follow from others."""

from collections.abc import Sequence

from resources.sampling.cost import Cost
from resources.sampling.request_source import RequestList
from resources.sampling.stage import CompletionModel, Shard, Stage
from shepherd.annotators.entailment import (
    EntailmentSettings,
    Pair,
    entailment_requests,
    share_of_yes,
)
from shepherd.schemas import labels_table


def entailment_stage(model: CompletionModel, settings: EntailmentSettings, shard: Shard) -> Stage:
    """Return the stage that draws answers for the labels of ``nli``."""
    table = labels_table("nli")
    return Stage(table, model, shard, settings.temperature, settings.max_tokens)


class EntailmentQuestions:
    """The probability that texts follow from others, by a language model on an engine.

    It is the share of the readable votes that say yes. An instance takes the place of
    :class:`resources.entailment.EntailmentModel`. ``cost`` adds up what its calls drew.
    """

    def __init__(self, stage: Stage, num_votes: int) -> None:
        self.cost = Cost()
        self._stage = stage
        self._num_votes = num_votes

    def __call__(self, pairs: Sequence[Pair]) -> list[float]:
        """Return the probability of each pair, in order; the pairs are distinct."""
        requests = RequestList(
            entailment_requests(
                pairs,
                template=self._stage.model.template,
                run_seed=self._stage.shard.run_seed,
                num_votes=self._num_votes,
                temperature=self._stage.temperature,
                max_tokens=self._stage.max_tokens,
            )
        )
        self.cost += self._stage.draw(requests)
        by_pair = requests.results().group_by("pair_id", maintain_order=True).agg("text")
        return [share_of_yes(texts) for texts in by_pair["text"].to_list()]
