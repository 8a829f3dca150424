"""Store trained checkpoints, and find the base models that training starts from."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from resources.files.hub import hub_refusal
from resources.storage.home_files import LOCAL, HomeFiles
from resources.storage.model_versions import ModelVersions
from resources.user_paths import expanded
from shepherd.architectures import Architecture, published_architecture
from shepherd.settings import NAME_PATTERN

BASE_MODELS = Path(__file__).resolve().parent.parent / "base_models"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")

T = TypeVar("T")


@dataclass(frozen=True)
class ModelStore:
    """Trained checkpoints under ``root``: :mod:`resources.storage.model_versions` of each model."""

    root: Path
    files: HomeFiles = LOCAL

    def path(self, name: str) -> Path:
        """Return the folder of a trained model, after a check that its files are unchanged.

        Raises:
            ValueError: the model is not trained yet, or its files have changed since; the message
                names the asset to materialize.
        """
        folder = self.files.model(self._versions(name))
        if folder is None:
            raise ValueError(
                f"no model {name!r} at {self.link(name)}: materialize the asset {name} first"
            )
        return folder

    def link(self, name: str) -> Path:
        """Return the path that shows the latest version of a trained model."""
        return self._versions(name).link

    def save(self, name: str, writer: Callable[[Path], T]) -> T:
        """Let ``writer`` fill a new folder, then put it in place; return the writer's result.

        If the writer fails, the old model stays. Two processes that save one model take turns: the
        second waits, with a line that says so. The folder :meth:`work` is removed at the end.
        """
        with self.files.replacing_model(self._versions(name), self.work(name)) as written:
            return writer(written)

    def work(self, name: str) -> Path:
        """Return the folder of checkpoints from which a model's training resumes."""
        return self.root / f".{self.link(name).name}.training"

    def resolve(self, base: str, *, is_served: bool = False) -> str | Path:
        """Return a base model: the shipped folder, a local folder, or the hub name.

        With ``is_served``, any other name is accepted: it may be a server's name for its model.

        Raises:
            ValueError: the base is none of these; correct `base` in the profile.
        """
        if re.fullmatch(NAME_PATTERN, base) and (BASE_MODELS / base).is_dir():
            return BASE_MODELS / base
        local = expanded(base)
        if base and local.is_dir():
            return local
        if HUB_NAME.fullmatch(base) and not base.startswith("."):
            return base
        if is_served and base:
            return base
        shipped = ", ".join(sorted(folder.name for folder in BASE_MODELS.glob("*/")))
        raise ValueError(
            f"base {base!r}: neither a shipped model ({shipped}), nor a local folder, nor a hub "
            "name (owner/name): correct `base` in the profile"
        )

    def _versions(self, name: str) -> ModelVersions:
        if not re.fullmatch(NAME_PATTERN, name):
            raise ValueError(f"model name {name!r} must match {NAME_PATTERN}: it becomes a folder")
        return ModelVersions(self.root / name)


def architecture_of(base: str | Path) -> Architecture | None:
    """Return the dimensions of a base, from its folder, from our table or from the hub's cache.

    Null if its architecture is not supported or not known here.

    Raises:
        ValueError: its config.json is broken.
    """
    from huggingface_hub import try_to_load_from_cache

    config: Path | str | None
    if Path(base).is_dir():
        config = Path(base) / "config.json"
    elif published := published_architecture(str(base)):
        return published
    else:
        cached = try_to_load_from_cache(str(base), "config.json")
        config = cached if isinstance(cached, str) else None
    if config is None or not Path(config).is_file():
        return None
    try:
        return Architecture.of(json.loads(Path(config).read_text(encoding="utf-8")))
    except (ValueError, LookupError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{config}: is no config of a model: correct it, or download the checkpoint again "
            f"({reason})"
        ) from error


def check_hub(base: str | Path) -> None:
    """Check that a base can be loaded here: a folder, a cached hub model or one of the hub.

    Raises:
        ValueError: the hub cannot be reached, has no such model or refuses access to it.
    """
    refusal = None if Path(base).is_dir() else hub_refusal(str(base), "config.json", "model")
    if refusal:
        raise ValueError(
            f"base {str(base)!r}: {refusal}, or set `base` in the profile to a local folder"
        )
