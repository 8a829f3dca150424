"""The engine of each process that draws from a policy between the steps of its training."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from accelerate import PartialState
from transformers import PreTrainedTokenizerBase

from resources.engines.gpus import VISIBLE, visible_gpus
from resources.engines.new_weights import ReloadableEngine, StoredWeights, writing_weights
from resources.storage.atomic import replacing_folder
from training.model_files import SavedWeights, save_gathered
from training.ppo_networks import PpoNetworks, drawing_dtype

LAUNCHER_VARIABLES = (
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "ROLE_RANK"),
    *("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "ACCELERATE_USE_FSDP"),
)
"""Variables of ``accelerate launch``, by which a child process would join those of the training, or
transformers would read the values of weights in the main process alone."""


class PolicyEngine:
    """Draws from a policy as it is, and gives its memory back while the policy learns.

    It opens once, from a checkpoint. Later weights are copied from the trainer's: in one process
    directly, and among several through files in the memory of the main process, which alone
    gathers shards.
    """

    def __init__(
        self,
        open_engine: Callable[[Path], ReloadableEngine],
        networks: PpoNetworks,
        tokenizer: PreTrainedTokenizerBase,
        work: Path,
    ) -> None:
        self._open_engine = open_engine
        self._networks = networks
        self._tokenizer = tokenizer
        self._checkpoint, self._weights = work / "policy", work / "weights"
        self._engine: ReloadableEngine | None = None

    @contextmanager
    def drawing(self) -> Iterator[ReloadableEngine]:
        """Yield the engine with the policy's weights; all processes must run it equally often."""
        engine = self._renewed()
        yield engine
        # After an error requests may be left, and the engine closes.
        engine.release()

    def _renewed(self) -> ReloadableEngine:
        """Return the engine with the policy's weights."""
        accelerator = self._networks.accelerator
        policy = self._networks.unwrapped_policy
        gathered = accelerator.get_state_dict(self._networks.policy)
        weights = SavedWeights(policy, gathered, drawing_dtype(accelerator.device))
        if accelerator.device.type == "cuda":
            # vLLM is another process, which cannot have what this one's allocator keeps.
            torch.cuda.empty_cache()
        if self._engine is None:
            self._engine = self._open(weights)
        elif accelerator.num_processes == 1:
            self._engine.load_weights(weights)
        else:
            self._exchange(self._engine, weights)
        return self._engine

    def close(self) -> None:
        """Close the engine, which may be drawing."""
        if self._engine is not None:
            self._engine.close()

    def _open(self, weights: Mapping[str, torch.Tensor]) -> ReloadableEngine:
        """Let the main process save the policy, and open it in each process."""
        accelerator = self._networks.accelerator
        if accelerator.is_main_process:
            with replacing_folder(self._checkpoint) as written:
                save_gathered(self._networks.unwrapped_policy, weights, written)
                self._tokenizer.save_pretrained(written)
        accelerator.wait_for_everyone()
        with as_single_process():
            return self._open_engine(self._checkpoint)

    def _exchange(self, engine: ReloadableEngine, weights: Mapping[str, torch.Tensor]) -> None:
        """Let each process load the weights of the main process."""
        accelerator = self._networks.accelerator
        self._weights.mkdir(exist_ok=True)
        is_main = accelerator.is_main_process
        with writing_weights(weights, self._weights) if is_main else nullcontext():
            accelerator.wait_for_everyone()
            # An engine in processes of its own reads these files, also that of the main process.
            engine.load_weights(StoredWeights(self._weights))
            accelerator.wait_for_everyone()


@contextmanager
def as_single_process() -> Iterator[None]:
    """Let the processes that an engine starts see this process's GPU alone, and no launcher.

    vLLM's own processes would otherwise take the first GPU each, and join those of the training.
    They inherit the environment, which is as before once the engine is open.
    """
    state = PartialState()
    if state.num_processes == 1:
        yield
        return
    before = dict(os.environ)
    for variable in LAUNCHER_VARIABLES:
        os.environ.pop(variable, None)
    if state.device.type == "cuda":
        os.environ[VISIBLE] = visible_gpus()[state.local_process_index]
    try:
        yield
    finally:
        for variable in (*LAUNCHER_VARIABLES, VISIBLE):
            if variable in before:
                os.environ[variable] = before[variable]
            else:
                os.environ.pop(variable, None)
