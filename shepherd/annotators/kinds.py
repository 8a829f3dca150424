"""The annotators that a profile can name: every module of this folder that defines settings."""

from importlib import import_module
from inspect import isabstract
from pkgutil import iter_modules

import shepherd.annotators
from shepherd.annotators.annotator import AnnotatorSettings


def annotator_kinds() -> dict[str, type[AnnotatorSettings]]:
    """Return the settings class of each annotator by its ``kind``, sorted."""
    modules = [
        import_module(f"shepherd.annotators.{module.name}")
        for module in iter_modules(shepherd.annotators.__path__)
    ]
    classes = [value for module in modules for value in vars(module).values()]
    return dict(
        sorted(
            (str(one.model_fields["kind"].default), one)
            for one in classes
            if isinstance(one, type) and issubclass(one, AnnotatorSettings) and not isabstract(one)
        )
    )
