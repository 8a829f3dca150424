"""A stub LLM for distilabel, in a module of its own: its pipelines import it in other processes."""

from typing import Any

from distilabel.models.llms.base import LLM


class StubLLM(LLM):
    """Answers every input with the same text at once."""

    answer: str

    @property
    def model_name(self) -> str:
        """A name for distilabel's records."""
        return "stub"

    def generate(self, inputs: list[Any], num_generations: int = 1) -> list[dict[str, Any]]:
        """Return one generation for each input."""
        statistics = {"input_tokens": [0] * num_generations, "output_tokens": [0] * num_generations}
        return [
            {"generations": [self.answer] * num_generations, "statistics": statistics}
            for _ in inputs
        ]
