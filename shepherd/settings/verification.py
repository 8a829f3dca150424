"""Settings of verification: how reward models choose among candidates."""

from pydantic import Field

from shepherd.section import Section
from shepherd.verification import Aggregation


class VerificationSettings(Section):
    """How candidates are compared (the paper's section 3.4).

    The paper averages 3 groups of 256 candidates, which takes 768 candidates of a problem.
    """

    aggregation: Aggregation = Field(
        "min", description="score of a solution from the scores of its steps; the paper's is `min`"
    )
    groups: int = Field(
        32,
        ge=1,
        description="groups of N candidates over which voting methods are averaged, at least; "
        "methods without votes are averaged over all subsets",
    )
    bootstrap: int = Field(
        1000, ge=100, description="resamples of the problems for the 95 percent intervals"
    )
