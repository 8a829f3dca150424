"""Fields that have moved, so that the error of an old spelling says where the field is now."""

MOVED = {
    "sampling.num_rollouts": ("monte_carlo", "num_rollouts"),
    "annotation.num_searches": ("tree_search", "num_searches"),
    "annotation.confidence": ("adaptive", "confidence"),
    "annotation.success_rate": ("adaptive", "success_rate"),
    "annotation.false_success_rate": ("adaptive", "false_success_rate"),
    "annotation.mending_rate": ("adaptive", "mending_rate"),
    "annotation.nli_model": ("nli", "model"),
}
"""By the old path: the annotator that has the field now, and its name there."""


def moved(path: str, value: object) -> str | None:
    """Return what an old spelling is to be replaced by; None if ``path`` never was a field."""
    if path == "annotation.judge":
        return "is now annotation.annotators[]: write {kind: judge, base: ...}"
    if path not in MOVED:
        return None
    kind, name = MOVED[path]
    return f"is now annotation.annotators[].{name}: write {{kind: {kind}, {name}: {value}}}"
