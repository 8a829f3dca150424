"""Check the weight files of a checkpoint that another library will load."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from resources.checkpoints.loading import check_finite, load_weights, refusal
from resources.storage.model_versions import check_unchanged

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def check_weight_files(
    model: Path | str, config: "PretrainedConfig", *, has_head: bool = True
) -> None:
    """Check that a folder has the tensors of its config, whole and with finite values.

    vLLM itself does not notice a missing part of matrices that it joins. A hub name is not
    checked: its files may not be here yet. A file is read once in each process. Names and shapes
    of quantized weights, and of architectures that only vLLM has, are not compared. Without
    ``has_head`` the output layer is not looked for.

    Raises:
        ValueError: a tensor is missing or surplus, a file is missing or broken, or a value is
            not finite.
    """
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoModel, AutoModelForCausalLM

    folder = Path(model)
    if not folder.is_dir():
        return
    check_unchanged(folder)
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise ValueError(refusal(model, FileNotFoundError("no file *.safetensors")))
    for path in paths:
        stat = path.stat()
        _check_file(path, f"{stat.st_size} {stat.st_mtime_ns}")
    has_config = getattr(config, "quantization_config", None) is not None
    # NVIDIA's ModelOpt keeps the config of its quantization in a file of its own.
    is_quantized = has_config or (folder / "hf_quant_config.json").is_file()
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING and not is_quantized:
        # Tensors without memory: only names and shapes are read.
        part = AutoModelForCausalLM if has_head else AutoModel
        load_weights(part, model, device_map="meta", are_values_read=False)


@cache
def _check_file(path: Path, _stamp: str) -> None:
    """Read a file once; another stamp is another file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            tensors = ((name, file.get_tensor(name)) for name in file.keys())  # noqa: SIM118 - no mapping
            check_finite(tensors, path)
    except SafetensorError as error:
        raise ValueError(refusal(path.parent, error)) from error
