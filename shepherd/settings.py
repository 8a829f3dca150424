"""The one settings class and its one set of defaults; a profile is a YAML file of these fields."""

import re
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from shepherd.annotators.known import READING, ROLLING
from shepherd.prompts import check_template
from shepherd.splitting import Method, strip_calculations

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
"""Names that become folders: no separators, no leading dot."""

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")


class Section(BaseModel):
    """A part of a profile. An unknown field is an error, so that a typo never goes unnoticed.

    ``INCIDENTAL`` are the fields that decide how a result is come by, not what it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    INCIDENTAL: ClassVar[frozenset[str]] = frozenset()

    @property
    def essence(self) -> str:
        """What results depend on, as JSON: all but incidental fields, its parts' included."""
        return self.model_dump_json(exclude=self._incidental())

    def _incidental(self) -> dict[str, Any]:
        parts = {name: part._incidental() for name, part in self if isinstance(part, Section)}
        return parts | dict.fromkeys(self.INCIDENTAL, True)


class SplittingSettings(Section):
    """How texts are cut into steps (:func:`shepherd.splitting.split_steps`), and what is cut.

    With ``calculations: strip``, calculator annotations such as ``<<48/2=24>>`` are taken out of
    all that comes in before it is cut or kept: gold solutions, drawn and imported ones, rollouts
    and published labels.
    """

    method: Method = "auto"
    calculations: Literal["keep", "strip"] = "keep"

    def kept(self, text: str) -> str:
        """Return what is kept of a text that came in."""
        return strip_calculations(text) if self.calculations == "strip" else text


DEFAULT_SPLITTING = SplittingSettings()


class DatasetSettings(Section):
    """Where the problems of one dataset come from, and solutions or labels that exist already.

    ``train`` and ``test`` are paths (relative to the working directory) of .jsonl, .jsonl.gz,
    .parquet or .csv files or of folders of .json; ``train`` may be several. Both are left out to
    read ``gsm8k``, ``math`` or ``metamath`` from the Hugging Face hub. ``columns`` names the
    columns of another source: question, answer, solution, level, subject.

    With ``split: lightman`` (arXiv 2305.20050) ``train`` is all of MATH, and its problems that are
    in ``test``, MATH500, are left out. Of the 12,000 others, two box no answer
    and two repeat.

    ``solutions`` names a file of solutions sampled elsewhere for the problems of
    ``solutions_split``: they are imported in place of the generators'. ``labels`` names a file of
    published step labels in ``labels_format``: those of train problems are imported as
    ``annotator``'s in place of our own; rows of another ``labels_task`` are passed over.

    With ``annotated: false`` models learn from the train problems, policies above all, but their
    solutions are neither sampled nor labelled. Those imported for test problems, or beside
    ``annotated: false``, are graded and no more.
    """

    source: Literal["word_problems", "gsm8k", "math", "metamath", "columns"]
    columns: dict[Literal["question", "answer", "solution", "level", "subject"], str] = {}
    split: Literal["published", "lightman"] = "published"
    num_train: int | None = Field(None, ge=1, description="problems to keep; all if null")
    num_test: int | None = Field(None, ge=0, description="problems to keep; all if null")
    train: str | tuple[str, ...] | None = None
    test: str | None = None
    solutions: str | None = None
    solutions_split: Split = "test"
    labels: str | None = None
    labels_format: Literal["math_shepherd", "prm800k", "trl", "processbench"] = "math_shepherd"
    labels_task: str | None = None
    annotator: str = Field("imported", pattern=NAME_PATTERN)
    annotated: bool = True
    max_rejected_share: float = Field(0.01, ge=0, le=1)
    splitting: SplittingSettings = DEFAULT_SPLITTING

    @property
    def is_annotated(self) -> bool:
        """Whether solutions of train problems are sampled or imported, to be labelled here.

        MetaMATH's are there for fine-tuning: what it asks is GSM8K and MATH in other words.
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


class ExportSettings(Section):
    """A set of labels for others: its format, and what its card says of the problems' source.

    ``annotator`` names whose labels go out; all if null.
    """

    format: Literal["math_shepherd", "trl", "trl_float", "processbench"] = "math_shepherd"
    file_type: Literal["jsonl", "parquet"] = "jsonl"
    annotator: str | None = None
    license: str = "unknown"
    source: str = ""


TOKENS_PER_PASS = {"cpu": 1024, "cuda": 16_384}
"""What a forward pass takes where the profile is silent: on CPUs, what their caches hold."""


class TrainingSettings(Section):
    """One training run. ``batch_size`` counts sequences a step; lengths are in tokens.

    A step is cut into passes of at most ``tokens_per_pass`` tokens on each process, whose
    gradients add up: a matter of memory and speed alone; :data:`TOKENS_PER_PASS` if null. A run
    that goes on with another agrees with what it would have been up to rounding. The rate rises
    linearly, then falls as a cosine to ``floor_share`` of itself. ``lm_weight`` is the weight of
    the language-model loss beside the labels'.

    A reward model's ``head`` is two label tokens of a language model, as published, or one
    scalar; its ``loss`` is binary cross entropy, or the squared error of the probability.

    ``num_processes`` > 1 trains on as many GPUs; each holds the whole model, or a shard of it
    where ``sharded`` (FSDP).
    """

    INCIDENTAL = frozenset(
        {"tokens_per_pass", "gradient_checkpointing", "checkpoint_steps", "evaluation_steps"}
    )

    epochs: float = Field(1.0, gt=0)
    learning_rate: float = Field(1e-6, gt=0)
    batch_size: int = Field(32, ge=1)
    max_length: int = Field(512, ge=8)
    warmup_share: float = Field(0.05, ge=0, lt=1)
    floor_share: float = Field(0.1, ge=0, le=1)
    weight_decay: float = Field(0.0, ge=0)
    lm_weight: float = Field(0.0, ge=0)
    head: Literal["tokens", "scalar"] = "tokens"
    loss: Literal["bce", "mse"] = "bce"
    tokens_per_pass: int | None = Field(None, ge=1)
    gradient_checkpointing: bool = False
    num_processes: int = Field(1, ge=1)
    sharded: bool = False
    evaluation_steps: int = Field(100, ge=1, description="steps from one evaluation to the next")
    checkpoint_steps: int = Field(100, ge=1, description="steps from one checkpoint to the next")

    @model_validator(mode="after")
    def _fields_agree(self) -> "TrainingSettings":
        if self.head == "scalar" and self.lm_weight > 0:
            raise ValueError("lm_weight: a scalar head predicts no text: set it to 0")
        if self.batch_size < self.num_processes:
            raise ValueError("batch_size: each of num_processes needs a sequence a step: raise it")
        if self.sharded and self.num_processes == 1:
            raise ValueError("sharded: there is one process to hold the model: raise num_processes")
        return self


class TrainingSet(Section):
    """Which labelled solutions training sees, and how; whose labels is ``annotation.train_on``.

    ``labels``: train PRMs on hard or soft labels; a solution without soft labels is then left
    out. ``after_first_negative``: keep the steps after the first one labelled wrong, or drop
    them (arXiv 2501.07301), which leaves that step the last. ``keep_unanimous``: keep problems
    of which all solutions are right, or all wrong. ``per_problem``: solutions to keep of each
    problem, right and wrong ones in turn; all if null. ``validation_share``: share of the
    problems that training does not see and is evaluated on.
    """

    labels: Literal["hard", "soft"] = "hard"
    after_first_negative: Literal["keep", "drop"] = "keep"
    keep_unanimous: bool = True
    per_problem: int | None = Field(None, ge=1)
    validation_share: float = Field(0.0, ge=0, lt=1)


class ModelSettings(Section):
    """A model: where it starts from and how it is fine-tuned (not at all if ``training`` is null).

    ``base`` is a folder of ``resources/base_models``, a local checkpoint folder or a hub name.
    ``datasets`` names those whose gold solutions fine-tuning sees, and ``num_problems`` limits
    them; all if null. A generator solves the problems of ``solves``.
    ``template`` is plain, metamath, chat (the model's own) or a text that holds ``{question}``.
    """

    base: str
    template: str = "plain"
    datasets: tuple[str, ...] | None = Field(None, min_length=1)
    num_problems: int | None = Field(None, ge=1)
    training: TrainingSettings | None = None
    solves: tuple[Split, ...] = Field(SPLITS, min_length=1)

    @field_validator("template")
    @classmethod
    def _template_is_known(cls, template: str) -> str:
        check_template(template)
        return template


class VllmSettings(Section):
    """The vLLM engine's own fields, under vLLM's names.

    There is no ``data_parallel_size``: vLLM runs such copies as servers only, for ``openai``.
    """

    tensor_parallel_size: int = Field(1, ge=1)
    pipeline_parallel_size: int = Field(1, ge=1)
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1)
    max_model_len: int | None = Field(None, ge=2, description="tokens; the model's own if null")
    enforce_eager: bool = False


class OpenAISettings(Section):
    """OpenAI-compatible servers that serve one model under one name; times are in seconds.

    ``api_key_variable`` names the environment variable that holds the key, if servers want one.
    ``patience`` is how long all servers may fail before the run ends.
    """

    base_urls: tuple[str, ...] = Field(min_length=1, description="http://host:8000/v1, ...")
    api_key_variable: str = "OPENAI_API_KEY"
    request_timeout: float = Field(600.0, gt=0)
    patience: float = Field(300.0, ge=0)

    @field_validator("base_urls")
    @classmethod
    def _urls_are_plain(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
                raise ValueError(
                    "write each server as http(s)://host:port/v1, and name the variable that "
                    "holds its key in api_key_variable"
                )
        return tuple(url.rstrip("/") for url in urls)


class EngineSettings(Section):
    """How completions are drawn. ``vllm`` and ``openai`` count for their ``kind`` alone.

    ``batch_size`` is the number of requests that run at once, on each server for ``openai``.
    ``dtype`` does not reach servers, ``device`` reaches ``transformers`` alone.
    """

    kind: Literal["transformers", "vllm", "openai"] = "transformers"
    batch_size: int = Field(512, ge=1)
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    device: str = "auto"
    vllm: VllmSettings = VllmSettings()
    openai: OpenAISettings | None = None

    @model_validator(mode="after")
    def _servers_are_named(self) -> "EngineSettings":
        if self.kind == "openai" and self.openai is None:
            raise ValueError("engine.kind openai: name the servers in engine.openai.base_urls")
        return self


class SamplingSettings(Section):
    """Draws and their temperatures. The paper gives no temperature; 0.7 is RLHFlow's."""

    samples_per_problem: int = Field(15, ge=1)
    num_rollouts: int = Field(8, ge=1)
    num_candidates: int = Field(256, ge=1)
    temperature: float = Field(0.7, ge=0)
    rollout_temperature: float = Field(0.7, ge=0)
    max_tokens: int = Field(512, ge=1)


class JudgeSettings(Section):
    """The model that ``judge`` asks for the first wrong step, ``num_votes`` times a solution.

    ``base`` and ``template`` are as in :class:`ModelSettings`; a judge is not fine-tuned here.
    ``engine`` is its own where the profile's does not serve it. Eight votes are what ProcessBench
    (arXiv 2412.06559) takes the majority of.
    """

    base: str
    template: str = "chat"
    num_votes: int = Field(8, ge=1)
    temperature: float = Field(0.7, ge=0)
    max_tokens: int = Field(2048, ge=1)
    engine: EngineSettings | None = None

    @field_validator("template")
    @classmethod
    def _template_is_known(cls, template: str) -> str:
        check_template(template)
        return template


class AnnotationSettings(Section):
    """Who labels steps. Several annotators share their rollouts; ``train_on`` is whom to trust.

    ``consensus`` names two of ``annotators``: the solutions on whose first error both agree are
    labelled once more, by ``consensus``. ``nli_model`` is a local checkpoint or hub name.
    ``num_searches`` is OmegaPRM's number of searches a problem. The last four fields are what
    ``adaptive`` assumes of its completer and generators (shepherd/annotators/adaptive.py).
    """

    annotators: tuple[str, ...] = Field(("monte_carlo",), min_length=1)
    consensus: tuple[str, str] | None = None
    train_on: str = "monte_carlo"
    nli_model: str = "FacebookAI/roberta-large-mnli"
    judge: JudgeSettings | None = None
    num_searches: int = Field(100, ge=1)
    confidence: float = Field(0.97, gt=0.5, lt=1)
    success_rate: float = Field(0.9, gt=0, lt=1)
    false_success_rate: float = Field(0.02, gt=0, lt=1)
    mending_rate: float = Field(0.02, gt=0, lt=1)

    @model_validator(mode="after")
    def _names_are_annotators(self) -> "AnnotationSettings":
        for name in self.annotators:
            if name == "human":
                raise ValueError(
                    "annotators: people do not label here: name the file of their ratings in "
                    "datasets.<name>.labels, with annotator: human"
                )
            if name not in {*ROLLING, *READING}:
                known = ", ".join([*ROLLING, *READING])
                raise ValueError(f"annotators: {name!r} is unknown: name some of {known}")
        if len(set(self.annotators)) < len(self.annotators):
            raise ValueError("annotators: name each once")
        if "judge" in self.annotators and self.judge is None:
            raise ValueError("annotators: judge needs a model: name it in annotation.judge.base")
        for name in self.consensus or ():
            if name not in self.annotators:
                raise ValueError(f"consensus: {name} is not in annotators: add it there")
        return self


class VerificationSettings(Section):
    """How candidates are compared; the paper takes the minimum over steps.

    ``groups`` of N candidates vote at least; methods without votes are averaged over all subsets.
    The paper's mean of 3 groups of 256 takes 768 candidates a problem.
    """

    aggregation: Literal["min", "last", "product", "mean"] = "min"
    groups: int = Field(32, ge=1)
    bootstrap: int = Field(1000, ge=100)


class GpuSettings(Section):
    """The GPUs of one machine that a profile's parallelism is made for.

    Nothing is switched by it: ``shepherd estimate`` says whether models fit.
    ``memory_gib`` is what PyTorch names as total capacity of each.
    """

    name: str
    count: int = Field(ge=1)
    memory_gib: float = Field(gt=0)


StepReward = Literal["score", "mean", "difference", "min"]
"""How a reward model's scores of the steps become their rewards (training/advantages.py)."""


class RftSettings(Section):
    """Rejection-sampling fine-tuning of ``start``, a generator, on its own right solutions.

    The paper draws 8 solutions a question. ``training`` is in one process. With ``candidates`` the
    policy is also verified as the generators are: it draws candidates for the reward models to
    choose from.
    """

    INCIDENTAL = frozenset({"candidates"})

    kind: Literal["rft"]
    start: str
    samples_per_problem: int = Field(8, ge=1)
    temperature: float = Field(0.7, ge=0)
    training: TrainingSettings = TrainingSettings()
    candidates: bool = False

    @field_validator("training")
    @classmethod
    def _trains_in_one_process(cls, training: TrainingSettings) -> TrainingSettings:
        if training.num_processes > 1:
            raise ValueError("num_processes: RFT trains in one process: set it to 1")
        return training

    @property
    def method(self) -> str:
        """The paper's name of it."""
        return "RFT"


class PpoSettings(Section):
    """PPO of ``start``, a generator, against a reward model of the profile.

    An outcome reward model rewards the end of a response, a process reward model the end of each
    step. The KL coefficient, rates and their floor are the paper's for 7B models; what it does
    not report is the field's usual. ``batch_size`` counts responses, ``batch_tokens`` the padded
    tokens that are held at a time: it moves results by rounding alone. For ``warmup_share`` of
    the iterations the value network alone learns. ``num_validation`` train problems are never
    trained on: their greedy accuracy is measured in each iteration.

    The networks stay on the GPU while the engine draws. vLLM takes ``gpu_memory_utilization`` of
    all of it, 0.9 by default, and does not start where less is free: lower it to what they leave.
    PPO with vLLM was not tried on a GPU.
    """

    INCIDENTAL = frozenset({"candidates", "batch_tokens"})

    kind: Literal["ppo"]
    start: str
    reward_model: Literal["outcome_reward_model", "process_reward_model"]
    step_reward: StepReward = "difference"
    iterations: int = Field(100, ge=1)
    problems_per_iteration: int = Field(64, ge=1)
    samples_per_problem: int = Field(4, ge=1)
    temperature: float = Field(1.0, gt=0)
    epochs: int = Field(1, ge=1, description="passes over the responses of an iteration")
    batch_size: int = Field(64, ge=1)
    batch_tokens: int = Field(16_384, ge=1)
    learning_rate: float = Field(1e-7, gt=0)
    value_learning_rate: float = Field(1e-6, gt=0)
    min_learning_rate: float = Field(1e-8, ge=0)
    warmup_share: float = Field(0.1, ge=0, lt=1)
    kl_coefficient: float = Field(0.04, ge=0)
    clip_range: float = Field(0.2, gt=0)
    discount: float = Field(1.0, gt=0, le=1)
    gae_decay: float = Field(0.95, ge=0, le=1)
    num_validation: int = Field(50, ge=1)
    candidates: bool = False

    @property
    def method(self) -> str:
        """The paper's name of it."""
        return "ORM-PPO" if self.reward_model == "outcome_reward_model" else "step-PPO"


PolicySettings = Annotated[RftSettings | PpoSettings, Field(discriminator="kind")]


class Settings(Section):
    """A deployment. Fields left out of the profile take these defaults.

    ``shards`` is one number for all datasets: every dataset is cut into that many partitions.
    """

    seed: int = Field(0, ge=0)
    shards: int = Field(4, ge=1, le=10_000)
    datasets: dict[str, DatasetSettings]
    generators: dict[str, ModelSettings] = {}
    completer: ModelSettings | None = None
    outcome_reward_model: ModelSettings | None = None
    process_reward_model: ModelSettings | None = None
    gpus: GpuSettings | None = None
    policies: dict[str, PolicySettings] = {}
    engine: EngineSettings = EngineSettings()
    sampling: SamplingSettings = SamplingSettings()
    annotation: AnnotationSettings = AnnotationSettings()
    training_set: TrainingSet = TrainingSet()
    verification: VerificationSettings = VerificationSettings()
    exports: dict[str, ExportSettings] = {}

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
    def training_annotators(self) -> list[str]:
        """Whose labels reward models are trained on, in order of their names."""
        return sorted({self.annotation.train_on, *self.published_annotators})

    @field_validator("datasets", "generators", "policies", "exports")
    @classmethod
    def _names_are_safe(cls, named: dict[str, Section]) -> dict[str, Section]:
        for name in named:
            if not re.fullmatch(NAME_PATTERN, name):
                raise ValueError(f"name {name!r} must match {NAME_PATTERN}: it becomes a folder")
        # The order in which a profile names things changes nothing.
        return dict(sorted(named.items()))

    @model_validator(mode="after")
    def _models_are_complete(self) -> "Settings":
        if not self.datasets:
            raise ValueError("datasets: name at least one dataset")
        labelling = {*self.annotation.annotators, *self.published_annotators}
        if self.annotation.consensus:
            labelling.add("consensus")
        if "oracle" in self.annotation.annotators:
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
            if not self.generators_of(split):
                raise ValueError(f"generators: none solves {split} problems: name it in `solves`")
        for name, model in {**self.generators, "completer": self.completer}.items():
            for known in (model.datasets if model else None) or ():
                if known not in self.datasets:
                    raise ValueError(f"{name}.datasets: {known} is not in the datasets")
        return self

    @model_validator(mode="after")
    def _policies_can_be_trained(self) -> "Settings":
        # Generators may stand there unused: a variable can name imported solutions in their place.
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
            if policy.kind == "ppo" and getattr(self, policy.reward_model) is None:
                raise ValueError(f"policies.{name}.reward_model: add {policy.reward_model}")
            if policy.kind == "ppo" and self.engine.kind == "openai":
                raise ValueError(
                    f"policies.{name}: PPO draws with weights that change, and servers keep "
                    "theirs: set engine.kind to transformers or vllm"
                )
        return self
