"""Draw multi-step word problems from a seed, and judge every step of a solution exactly.

A problem is a sequence of sentences about who has how many of something. Each sentence that
changes or relates a quantity is one arithmetic node; a solution computes every node once, in
any order in which its operands are known. The question alone determines the problem: the
oracle reads the sentences back, so nothing but the loader knows that the text is synthetic.
"""

from shepherd.word_problems.arithmetic import WordProblem, apply, read_problem
from shepherd.word_problems.drawing import draw_problem, draw_problems, split_of
from shepherd.word_problems.sentences import ITEMS, MAX_VALUE, NAMES, PHRASES
from shepherd.word_problems.solutions import judge_steps, write_solution, write_step

__all__ = [
    "ITEMS",
    "MAX_VALUE",
    "NAMES",
    "PHRASES",
    "WordProblem",
    "apply",
    "draw_problem",
    "draw_problems",
    "judge_steps",
    "read_problem",
    "split_of",
    "write_solution",
    "write_step",
]
