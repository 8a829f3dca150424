"""Shard networks over processes by FSDP2, through accelerate."""

from typing import TypeVar

from accelerate import Accelerator
from accelerate.utils import DistributedType
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from torch import nn
from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy

Module = TypeVar("Module", bound=nn.Module)


def is_sharding(accelerator: Accelerator) -> bool:
    """Return whether each process is to hold a part of the weights only."""
    return bool(accelerator.distributed_type == DistributedType.FSDP)


def expect_other_layers(accelerator: Accelerator) -> None:
    """Let accelerate look for the layers of the next network that it shards.

    It would keep those of the first, and gather another architecture as a whole.
    """
    plugin = accelerator.state.fsdp_plugin
    plugin.auto_wrap_policy = transformer_auto_wrap_policy
    plugin.transformer_cls_names_to_wrap = None


def shard_frozen(accelerator: Accelerator, model: Module) -> Module:
    """Split the weights of a network that is not trained; they keep their precision.

    The values are those of the main process. All processes must run it equally often.
    """
    expect_other_layers(accelerator)
    sharded: Module = fsdp2_prepare_model(accelerator, model.requires_grad_(False))
    return sharded
