"""The commands and signs that the grammar of formulas knows."""

RELATIONS = {"=", "<", ">", "\\le", "\\ge", "\\ne", "\\in", "\\notin", "\\equiv", "\\approx"}
SET_OPERATORS = {"\\cup": "cup", "\\cap": "cap", "\\setminus": "setminus"}
ADDING = {"+", "-", "\\pm", "\\mp"}
MULTIPLYING = {"*", "\\cdot", "\\times", "/", "\\div", "\\bullet", "\\mod", "\\bmod"}
CLOSING = {")": "()", "]": "[]", "}": "{}", "\\rangle": "()"}
OPENING = {"(", "[", "{", "\\langle"}
_CONSTANT_NAMES = (
    "pi infty alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa "
    "lambda mu nu xi rho sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta "
    "Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell hbar emptyset partial nabla aleph"
)
CONSTANTS = set(_CONSTANT_NAMES.split())
_ACCENT_NAMES = (
    "overline bar hat widehat tilde widetilde dot ddot overrightarrow underline "
    "mathbb mathcal mathscr mathfrak"
)
ACCENTS = set(_ACCENT_NAMES.split())
SHAPES = {"angle", "triangle", "odot", "measuredangle", "square", "parallelogram"}
ROUNDING = {"\\lfloor": ("floor", "\\rfloor"), "\\lceil": ("ceil", "\\rceil")}
FRACTIONS = {"frac": "divide", "binom": "binomial", "dbinom": "binomial", "tbinom": "binomial"}
INVERSES = {"sin", "cos", "tan", "cot", "sec", "csc"}
FUNCTION_LETTERS = set("fghFGH")
MATRICES = {
    "matrix",
    "pmatrix",
    "bmatrix",
    "Bmatrix",
    "vmatrix",
    "Vmatrix",
    "smallmatrix",
    "array",
}
