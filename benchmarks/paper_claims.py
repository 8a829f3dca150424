"""The paper's claims (arXiv 2312.08935), as comparisons of two systems."""

from collections.abc import Iterator

from benchmarks.claims import Claim, System

SMALL, LARGE, STEP_PPO = "generator", "strong_generator", "step_ppo"
STEP_GRPO = "step_grpo"
"""Names in the profile ``study``; SMALL is the SFT model that the policies start from."""
LONGER_SFT = "longer_sft"
"""SMALL's base fine-tuned for as many epochs as RFT."""


def claims(num_candidates: int) -> Iterator[Claim]:
    """Yield the paper's claims in its order; best-of-N has N = ``num_candidates``."""
    yield from table_1(num_candidates)
    yield from table_2()
    yield from table_3(num_candidates)
    yield from figure_3(num_candidates)
    yield from about_labels(num_candidates)
    yield from figure_5(num_candidates)


def table_1(n: int) -> Iterator[Claim]:
    """Yield the claims about verification."""
    sc, orm, prm = (System(SMALL, method, n) for method in ("SC", "ORM", "PRM"))
    sc_orm, sc_prm = (System(SMALL, method, n) for method in ("SC+ORM", "SC+PRM"))
    yield Claim("table 1", "PRM above ORM", prm, orm, 0.0)
    yield Claim("table 1", "ORM above self-consistency", orm, sc, 0.0)
    yield Claim("table 1", "PRM above self-consistency", prm, sc)
    yield Claim("table 1, GSM8K", "the PRM alone above SC+PRM", prm, sc_prm)
    yield Claim("table 1, MATH", "SC+PRM above the PRM alone", sc_prm, prm)
    yield Claim("table 1", "SC+PRM above SC+ORM", sc_prm, sc_orm)


def table_2() -> Iterator[Claim]:
    """Yield the claims about policies, by their greedy solutions."""
    sft, rft, orm_ppo, step_ppo, longer_sft = (
        System(name, "greedy", 1) for name in (SMALL, "rft", "orm_ppo", STEP_PPO, LONGER_SFT)
    )
    yield Claim("table 2", "greedy: RFT above SFT", rft, sft, 0.0)
    yield Claim("table 2", "greedy: ORM-PPO above RFT", orm_ppo, rft, 0.0)
    # Both have the same settings, which were chosen for step-PPO (docs/lab.md, 16).
    yield Claim("table 2", "greedy: step-PPO above ORM-PPO", step_ppo, orm_ppo, 0.0)
    yield Claim("table 2", "greedy: step-PPO above SFT", step_ppo, sft, 0.05)
    yield Claim("beyond the paper", "greedy: RFT above SFT of as many epochs", rft, longer_sft)
    yield Claim(
        "beyond the paper", "greedy: step-PPO above SFT of RFT's epochs", step_ppo, longer_sft
    )
    step_grpo = System(STEP_GRPO, "greedy", 1)
    yield Claim("beyond the paper", "greedy: step-GRPO above SFT", step_grpo, sft)
    yield Claim("beyond the paper", "greedy: step-PPO above step-GRPO", step_ppo, step_grpo)


def table_3(n: int) -> Iterator[Claim]:
    """Yield the claims about verification after reinforcement learning."""
    for method in ("SC", "ORM", "PRM", "SC+PRM"):
        yield Claim(
            "table 3",
            f"{method} after step-PPO above before",
            System(STEP_PPO, method, n),
            System(SMALL, method, n),
        )
    yield Claim(
        "table 3",
        "after step-PPO, SC+PRM above SC",
        System(STEP_PPO, "SC+PRM", n),
        System(STEP_PPO, "SC", n),
    )
    yield Claim(
        "beyond the paper",
        "PRM after step-GRPO above before",
        System(STEP_GRPO, "PRM", n),
        System(SMALL, "PRM", n),
    )


def figure_3(n: int) -> Iterator[Claim]:
    """Yield the claims about N and about the sizes of generator and reward model."""
    prm = System(SMALL, "PRM", n)
    yield Claim(
        "figure 3",
        f"more candidates help the PRM ({n} above 4)",
        prm,
        System(SMALL, "PRM", 4),
    )
    yield Claim(
        "figure 3",
        "small generator: a large PRM above a small one",
        prm,
        System(SMALL, "PRM", n, "small"),
    )
    yield Claim(
        "figure 3",
        f"a small PRM on a large generator: worse with more candidates (1 above {n})",
        System(LARGE, "pass@1", 1),
        System(LARGE, "PRM", n, "small"),
    )
    yield Claim(
        "figure 3",
        "large generator: a large PRM above self-consistency",
        System(LARGE, "PRM", n),
        System(LARGE, "SC", n),
    )


def about_labels(n: int) -> Iterator[Claim]:
    """Yield the claims about labels, and about PRMs that are trained on them."""
    monte_carlo, rule = (System("labels", name, 1) for name in ("monte_carlo", "rule"))
    yield Claim("section 5.2", "Monte Carlo labels are right more often", monte_carlo, rule)
    prm = System(SMALL, "PRM", n)
    by_rule, by_soft, by_oracle = (
        System(SMALL, "PRM", n, f"{labels} labels") for labels in ("rule", "soft", "oracle")
    )
    source = "beyond the paper"
    yield Claim(source, "PRM: Monte Carlo labels above rule labels", prm, by_rule)
    yield Claim(source, "PRM: hard labels above soft ones", prm, by_soft)
    yield Claim(source, "PRM: exact labels above Monte Carlo's", by_oracle, prm)


def figure_5(n: int) -> Iterator[Claim]:
    """Yield the claims about the amount of training data."""
    for share in ("1/4", "1/16"):
        models = f"{share} of the data"
        yield Claim(
            "figure 5",
            f"{models}: PRM above ORM",
            System(SMALL, "PRM", n, models),
            System(SMALL, "ORM", n, models),
        )
