"""Settings of the draws: how many solutions and candidates, at which temperature."""

from pydantic import Field

from shepherd.section import Section


class SamplingSettings(Section):
    """Draws and their temperatures.

    The paper names no temperature; 0.7 is that of RLHFlow's reproduction. The number of rollouts
    of a prefix belongs to the annotators.
    """

    samples_per_problem: int = Field(
        15, ge=1, description="solutions that each generator draws of a train problem"
    )
    num_candidates: int = Field(
        256,
        ge=1,
        description="solutions that each generator draws of a test problem, to be verified",
    )
    temperature: float = Field(
        0.7, ge=0, description="temperature of solutions and candidates; 0: greedy"
    )
    rollout_temperature: float = Field(0.7, ge=0, description="temperature of rollouts; 0: greedy")
    top_p: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of the probability from which tokens of solutions and candidates are "
        "drawn, the likeliest first; 1: all tokens",
    )
    rollout_top_p: float = Field(1.0, gt=0, le=1, description="the same of rollouts")
    max_tokens: int = Field(512, ge=1, description="tokens of a completion at most")
