r"""Read the mathematics of an answer: a grammar of LaTeX and of plain text, without evaluation.

:func:`read_formula` returns a tree of :class:`~shepherd.formulas.tree.Node`. What is no
mathematics (words, sentences, environments that it does not know) raises
:class:`~shepherd.formulas.tree.UnreadableFormula`: nothing is skipped, since a part that is left
out makes different answers equal.
"""

from shepherd.formulas.reader import read_formula
from shepherd.formulas.tree import Node, UnreadableFormula

__all__ = ["Node", "UnreadableFormula", "read_formula"]
