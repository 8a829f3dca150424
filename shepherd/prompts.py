"""Prompts: the question in a model's own format, and the text that the model is to continue."""

_TEMPLATES = {
    "plain": "{question}\n",
    # The prompt that MetaMATH (arXiv 2309.12284) trains and evaluates with.
    "metamath": (
        "Below is an instruction that describes a task. "
        "Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n{question}\n\n### Response: Let's think step by step."
    ),
}


def build_prompt(template: str, question: str, prefix: str = "") -> str:
    """Return the prompt for a solution of ``question`` that begins with exactly ``prefix``.

    Raises:
        ValueError: no such template; the message lists the known ones.
    """
    if template not in _TEMPLATES:
        known = ", ".join(sorted(_TEMPLATES))
        raise ValueError(f"template {template!r} is unknown: set a model's template to {known}")
    return _TEMPLATES[template].format(question=question) + prefix
