"""Settings of a deployment: the fields of a profile."""

from pydantic import Field, ValidationInfo, field_validator, model_validator

from shepherd.engine_settings import EngineSettings
from shepherd.section import Section, check_names
from shepherd.settings.annotation import AnnotationSettings
from shepherd.settings.datasets import SPLITS, DatasetSettings, Split
from shepherd.settings.exports import ExportSettings
from shepherd.settings.models import ModelSettings
from shepherd.settings.policies import PolicySettings, RftSettings
from shepherd.settings.runs import RunSettings
from shepherd.settings.sampling import SamplingSettings
from shepherd.settings.training import TrainingSet
from shepherd.settings.verification import VerificationSettings
from shepherd.splitting import REASONING


class GpuSettings(Section):
    """The GPUs of one machine that a profile is written for.

    They change nothing in a run. `shepherd estimate` compares the memory of the models with them.
    """

    name: str = Field(description="name of the GPU, for people")
    count: int = Field(ge=1, description="GPUs of the machine")
    memory_gib: float = Field(
        gt=0, description="memory of each GPU in GiB, as PyTorch reports its total capacity"
    )


class Settings(Section):
    """The fields of a profile. A field that a profile leaves out has its default."""

    seed: int = Field(0, ge=0, description="seed of the run; all other seeds derive from it")
    shards: int = Field(
        4,
        ge=1,
        le=10_000,
        description="partitions of every dataset; fixed once the lake holds data",
    )
    datasets: dict[str, DatasetSettings] = Field(description="the datasets by name")
    generators: dict[str, ModelSettings] = Field(
        {}, description="the models that sample solutions and candidates, by name"
    )
    completer: ModelSettings | None = Field(None, description="the model that draws rollouts")
    outcome_reward_model: ModelSettings | None = Field(
        None, description="the reward model of whole solutions (ORM)"
    )
    process_reward_model: ModelSettings | None = Field(
        None, description="the reward model of steps (PRM)"
    )
    gpus: GpuSettings | None = Field(
        None, description="the machine; read by the estimate of GPU memory only"
    )
    policies: dict[str, PolicySettings] = Field(
        {}, description="generators that learn from their own solutions, by name"
    )
    engine: EngineSettings = Field(EngineSettings(), description="how completions are drawn")
    runs: RunSettings = Field(
        RunSettings(), description="pools in which Dagster's runs take turns, and what one makes"
    )
    sampling: SamplingSettings = Field(
        SamplingSettings(), description="numbers and temperatures of the draws"
    )
    annotation: AnnotationSettings = Field(
        AnnotationSettings(), description="how steps are labelled"
    )
    training_set: TrainingSet = Field(
        TrainingSet(), description="which labelled solutions reward models learn from"
    )
    verification: VerificationSettings = Field(
        VerificationSettings(), description="how candidates are compared"
    )
    exports: dict[str, ExportSettings] = Field(
        {}, description="folders of labels in published formats, by name"
    )

    def generators_of(self, split: Split) -> list[str]:
        """Return the names of the generators that solve the problems of a split."""
        return [name for name, model in self.generators.items() if split in model.solves]

    @property
    def published_annotators(self) -> set[str]:
        """The annotators of imported labels: what they labelled is always trained on."""
        return {d.annotator for d in self.datasets.values() if d.labels is not None}

    @property
    def candidate_generators(self) -> list[str]:
        """The generators of test problems, and the policies that are verified as they are."""
        chosen = [name for name, policy in self.policies.items() if policy.candidates]
        return [*self.generators_of("test"), *chosen]

    @property
    def verifies(self) -> bool:
        """Whether candidates of test problems are drawn."""
        has_test = any(dataset.has_test for dataset in self.datasets.values())
        return has_test and bool(self.candidate_generators)

    @property
    def scores_held_out(self) -> bool:
        """Whether the PRM scores labelled solutions of problems that are held out from training."""
        return self.process_reward_model is not None and self.training_set.validation_share > 0

    @property
    def _needs_candidates(self) -> bool:
        """Whether a model is used that is measured on test problems, if there are any."""
        measured = self.outcome_reward_model or self.process_reward_model or self.policies
        return bool(measured) and any(dataset.has_test for dataset in self.datasets.values())

    @property
    def training_annotators(self) -> list[str]:
        """Whose labels reward models are trained on, in order of their names."""
        return sorted({self.annotation.train_on, *self.published_annotators})

    @field_validator("datasets", "generators", "policies", "exports")
    @classmethod
    def _names_are_safe(cls, named: dict[str, Section], info: ValidationInfo) -> dict[str, Section]:
        check_names(named, of_assets=info.field_name in {"generators", "policies"})
        # The order in which a profile names things changes nothing.
        return dict(sorted(named.items()))

    @model_validator(mode="after")
    def _models_are_complete(self) -> "Settings":
        if not self.datasets:
            raise ValueError("datasets: name at least one dataset")
        labelling = {*self.annotation.names, *self.published_annotators}
        if self.annotation.consensus:
            labelling.add("consensus")
        if "oracle" in self.annotation.names:
            for name, dataset in self.datasets.items():
                if dataset.is_annotated and dataset.source != "word_problems":
                    raise ValueError(
                        f"annotation.annotators: oracle knows word problems alone, not {name}: "
                        "leave it out, or give that dataset a profile of its own"
                    )
        if self.annotation.train_on not in labelling:
            raise ValueError(
                f"annotation.train_on: {self.annotation.train_on} labels nothing: set it to one "
                f"of {', '.join(sorted(labelling))}"
            )
        needs_models = any(dataset.is_annotated for dataset in self.datasets.values())
        if needs_models and not (self.generators and self.completer):
            raise ValueError(
                "generators and completer: name both, or give every dataset a `solutions` file"
            )
        for split in SPLITS if needs_models else ():
            if not self.generators_of(split) and (split == "train" or self._needs_candidates):
                raise ValueError(
                    f"generators: none solves {split} problems: name it in `solves`"
                    + ("" if split == "train" else ", or set num_test of each dataset to 0")
                )
        for name, model in {**self.generators, "completer": self.completer}.items():
            for known in (model.datasets if model else None) or ():
                if known not in self.datasets:
                    raise ValueError(f"{name}.datasets: {known} is not in the datasets")
        return self

    @model_validator(mode="after")
    def _thoughts_can_be_continued(self) -> "Settings":
        if not (self.engine.speaks_chat and self.annotation.max_rollouts):
            return self
        for name, dataset in self.datasets.items():
            if dataset.is_annotated and dataset.splitting.method == REASONING:
                raise ValueError(
                    f"datasets.{name}.splitting.method reasoning: chat servers continue no "
                    "thought, so that no rollouts can be drawn: set engine.openai.endpoint to "
                    "completions, or choose annotators that do not roll out"
                )
        return self

    @model_validator(mode="after")
    def _policies_can_be_trained(self) -> "Settings":
        # Generators may be unused: an environment variable can name imported solutions instead.
        if self.policies and not any(d.is_annotated for d in self.datasets.values()):
            raise ValueError(
                "policies: none would be trained, as no dataset is annotated here: leave them out, "
                "or add a dataset without labels or solutions of test problems"
            )
        for name, policy in self.policies.items():
            if policy.start not in self.generators:
                raise ValueError(
                    f"policies.{name}.start: {policy.start} is no generator: set it to one of "
                    f"{', '.join(sorted(self.generators))}"
                )
            if isinstance(policy, RftSettings):
                continue
            if getattr(self, policy.reward_model) is None:
                raise ValueError(f"policies.{name}.reward_model: add {policy.reward_model}")
            try:
                self.engine.check_draws_of_policies()
            except ValueError as error:
                raise ValueError(f"policies.{name}: {error}") from error
            vllm = self.engine.vllm
            if self.engine.kind == "vllm" and vllm.num_gpus > 1 and policy.num_processes > 1:
                raise ValueError(
                    f"policies.{name}.num_processes: each process draws on its own GPU: set "
                    "engine.vllm.tensor_parallel_size and pipeline_parallel_size to 1"
                )
        return self
