"""A small lake of word problems with mistakes, drawn in well under a second.

Some solutions have a wrong result in one step, and a few of those have the right answer anyway. A
rollout is usually right from a right prefix and rarely right from a wrong one. Steps, labels and
evaluations are computed by the pipeline's own functions.
"""

import random
import re
from pathlib import Path

import polars as pl

from resources.storage.lake import Lake
from shepherd.annotators.annotator import LabelInputs
from shepherd.annotators.asked import asked_rollouts
from shepherd.annotators.monte_carlo import MonteCarlo, MonteCarloSettings
from shepherd.annotators.oracle import oracle_labels
from shepherd.annotators.problem import read_problems
from shepherd.annotators.rates import Rates
from shepherd.annotators.tree_search import TreeSearch
from shepherd.answers import extract_answer
from shepherd.identity import content_id, shard_of
from shepherd.labels import labeled_solutions
from shepherd.policies import Descent, evaluate_policies
from shepherd.repeats import num_repeated_steps
from shepherd.rollouts import distinct_prefixes, split_solutions
from shepherd.schemas import (
    CANDIDATE_COSTS,
    CANDIDATE_SCORES,
    CANDIDATES,
    CRITIQUE_COSTS,
    CRITIQUES,
    ENTAILMENT_COSTS,
    GREEDY_SOLUTIONS,
    HELD_OUT_SCORES,
    PILOT_COSTS,
    PILOT_RATES,
    PROBLEMS,
    REJECTED_LABELS,
    REJECTED_PROBLEMS,
    REJECTED_SOLUTIONS,
    ROLLOUT_COSTS,
    ROLLOUTS,
    SOLUTION_COSTS,
    SOLUTIONS,
    Table,
)
from shepherd.splitting import split_steps
from shepherd.verification import evaluate
from shepherd.word_problems import WordProblem, draw_problems, judge_steps, write_solution

DATASET = "word_problems"
NUM_SHARDS = 2
NUM_SAMPLES = 6
NUM_ROLLOUTS = 4
NUM_CANDIDATES = 8

Rows = list[dict[str, object]]


def small_lake(num_train: int = 12, num_test: int = 6) -> dict[str, pl.DataFrame]:
    """Return a frame for every table of the lake, by name."""
    rng = random.Random(0)
    drawn = {
        split: list(draw_problems(0, split, count))
        for split, count in (("train", num_train), ("test", num_test))
    }
    problems = frame(
        PROBLEMS,
        [_problem(problem, split, rng) for split in drawn for problem in drawn[split]],
    )
    solutions = frame(SOLUTIONS, [row for p in drawn["train"] for row in _solutions(p, rng)])
    steps = split_solutions(solutions)
    rollouts = _rollouts(steps, problems, {_id(p): p for p in drawn["train"]}, rng)
    labels = MonteCarloSettings(num_rollouts=NUM_ROLLOUTS).label_steps(
        LabelInputs(steps, solutions, problems, rollouts)
    )
    gathered = read_problems(steps, solutions, problems)
    asked, _ = asked_rollouts([MonteCarlo(NUM_ROLLOUTS)], gathered, rollouts, None)
    _, trees = asked_rollouts([TreeSearch(NUM_ROLLOUTS, 10)], gathered, rollouts, None)
    candidates = frame(CANDIDATES, [row for p in drawn["test"] for row in _candidates(p, rng)])
    scores = _scores(candidates, problems, rng)
    evaluations = evaluate(
        candidates,
        scores,
        problems,
        counts=[1, 2, 4, 8],
        groups=2,
        aggregation="min",
        bootstrap=100,
        seed=0,
    )
    greedy = frame(
        GREEDY_SOLUTIONS,
        [_greedy(p, name, rng) for p in drawn["test"] for name in ("generator", "policy")],
    )
    pilot = rollouts.filter(pl.col("problem_id").is_in(problems["problem_id"][:4].to_list()))
    num_unmerged = steps.filter(~pl.col("is_last")).height * NUM_ROLLOUTS
    return {
        "problems": problems,
        "solutions": solutions,
        "steps": steps,
        "rollouts": rollouts,
        "asked_rollouts": asked,
        "search_trees": trees,
        "pilot_rollouts": pilot,
        "pilot_rates": _rates(),
        "critiques": _critiques(steps, rng),
        "step_labels": labels,
        "oracle_labels": oracle_labels(steps, problems),
        "labeled_solutions": labeled_solutions(solutions, steps, labels, problems),
        "candidates": candidates,
        "candidate_scores": scores,
        "held_out_scores": _held_out_scores(steps, problems),
        "evaluations": evaluations,
        "greedy_solutions": greedy,
        "policy_evaluations": evaluate_policies(
            greedy,
            problems,
            {"generator": Descent("generator", "SFT"), "policy": Descent("generator", "step-PPO")},
            bootstrap=100,
            seed=0,
        ),
        "solution_costs": _cost(SOLUTION_COSTS, "solutions", num_train * NUM_SAMPLES, 0),
        "rollout_costs": _cost(ROLLOUT_COSTS, "rollouts", rollouts.height, num_unmerged),
        "pilot_costs": _cost(PILOT_COSTS, "pilot_rollouts", pilot.height, 0),
        "candidate_costs": _cost(CANDIDATE_COSTS, "candidates", candidates.height, 0),
        "critique_costs": _cost(CRITIQUE_COSTS, "critiques", 2 * solutions.height, 0),
        "entailment_costs": _cost(ENTAILMENT_COSTS, "nli_labels", 4 * solutions.height, 0),
        "rejected_problems": _rejected(REJECTED_PROBLEMS, "train.jsonl"),
        "rejected_solutions": _rejected(REJECTED_SOLUTIONS, "solutions.jsonl"),
        "rejected_labels": _rejected(REJECTED_LABELS, "labels.jsonl"),
    }


def write_lake(frames: dict[str, pl.DataFrame], root: Path) -> Path:
    """Write frames as a lake and return its root; problems, solutions and steps in two shards.

    No schema is enforced, so that a test can plant rows that the lake would refuse.
    """
    lake = Lake(root)
    for name, table in frames.items():
        if name in ("problems", "solutions", "steps"):
            shards = table["problem_id"].map_elements(
                lambda problem_id: shard_of(problem_id, NUM_SHARDS), return_dtype=pl.String
            )
            parts = {str(shard[0]): part for shard, part in table.group_by(shards)}
        else:
            parts = {"00": table}
        for shard, part in parts.items():
            path = lake.path(name, DATASET, shard)
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_parquet(path)
    return root


def frame(table: Table, rows: Rows) -> pl.DataFrame:
    """Return rows as a frame of the table; columns that they lack are null."""
    return pl.DataFrame(rows, schema=table.schema)


def _id(problem: WordProblem) -> str:
    return content_id(DATASET, problem.question)


def _problem(problem: WordProblem, split: str, rng: random.Random) -> dict[str, object]:
    return {
        "problem_id": _id(problem),
        "dataset": DATASET,
        "split": split,
        "question": problem.question,
        "gold_solution": write_solution(problem, rng),
        "gold_answer": str(problem.answer),
        "level": str(len(problem.nodes)),
    }


def _graded(text: str, gold: int) -> dict[str, object]:
    answer = extract_answer(text)
    is_correct = answer == str(gold)
    return {
        "text": text,
        "answer": answer,
        "is_correct": is_correct,
        "grade_reason": "exact" if is_correct else "missing" if answer is None else "different",
        "finish_reason": "stop",
        "num_tokens": len(text.split()) + 1,
        "seed": 1,
    }


def _write(problem: WordProblem, rng: random.Random) -> str:
    text = write_solution(problem, rng)
    if rng.random() < 0.5:
        return text
    equal_signs = [match.end() for match in re.finditer("= ", text)]
    slip = rng.choice(equal_signs)
    flawed = re.sub(r"\d+", str(rng.randint(21, 39)), text[slip:], count=1)
    if rng.random() < 0.8:
        flawed = re.sub(r"\d+$", str(rng.randint(1, 20)), flawed)
    return text[:slip] + flawed


def _solutions(problem: WordProblem, rng: random.Random) -> Rows:
    texts = [_write(problem, rng) for _ in range(NUM_SAMPLES)]
    return [
        {
            "solution_id": content_id(_id(problem), "generator", text),
            "problem_id": _id(problem),
            "generator": "generator",
            "num_samples": texts.count(text),
            **_graded(text, problem.answer),
        }
        for text in dict.fromkeys(texts)
    ]


def _candidates(problem: WordProblem, rng: random.Random) -> Rows:
    return [
        {
            "candidate_id": content_id(_id(problem), "generator", str(draw)),
            "problem_id": _id(problem),
            "generator": "generator",
            "draw": draw,
            **_graded(_write(problem, rng), problem.answer),
        }
        for draw in range(NUM_CANDIDATES)
    ]


def _greedy(problem: WordProblem, generator: str, rng: random.Random) -> dict[str, object]:
    graded = _graded(_write(problem, rng), problem.answer)
    steps = split_steps(str(graded["text"]))
    return {
        "problem_id": _id(problem),
        "generator": generator,
        **{name: value for name, value in graded.items() if name in GREEDY_SOLUTIONS.schema},
        "num_steps": len(steps),
        "num_repeated_steps": num_repeated_steps(steps),
    }


def _rollouts(
    steps: pl.DataFrame,
    problems: pl.DataFrame,
    known: dict[str, WordProblem],
    rng: random.Random,
) -> pl.DataFrame:
    rows: Rows = []
    for prefix in distinct_prefixes(steps, problems).iter_rows(named=True):
        problem = known[prefix["problem_id"]]
        prefix_is_right = judge_steps(problem.question, [*split_steps(prefix["prefix"]), ""])[-2]
        for index in range(NUM_ROLLOUTS):
            lucky = rng.random() < (0.85 if prefix_is_right else 0.04)
            answer = problem.answer if lucky else problem.answer + rng.randint(1, 9)
            rows.append(
                {
                    "prefix_id": prefix["prefix_id"],
                    "problem_id": prefix["problem_id"],
                    "completer": "completer",
                    "rollout_index": index,
                    **_graded(f"The answer is: {answer}", problem.answer),
                }
            )
    return frame(ROLLOUTS, rows)


def _held_out_scores(steps: pl.DataFrame, problems: pl.DataFrame) -> pl.DataFrame:
    """The PRM's scores of the first four problems' solutions, which follow the truth loosely."""
    rng = random.Random(1)
    questions = dict(problems.select("problem_id", "question").head(4).iter_rows())
    rows: Rows = []
    for (solution_id, problem_id), part in steps.sort("step_index").group_by(
        "solution_id", "problem_id", maintain_order=True
    ):
        if problem_id in questions:
            verdicts = judge_steps(questions[str(problem_id)], part["text"].to_list())
            rows.append(
                {
                    "solution_id": solution_id,
                    "problem_id": problem_id,
                    "reward_model": "process_reward_model",
                    "step_scores": [0.4 * right + 0.6 * rng.random() for right in verdicts],
                }
            )
    return frame(HELD_OUT_SCORES, rows)


def _scores(candidates: pl.DataFrame, problems: pl.DataFrame, rng: random.Random) -> pl.DataFrame:
    questions = dict(problems.select("problem_id", "question").iter_rows())
    rows: Rows = []
    for candidate_id, problem_id, text in candidates.select(
        "candidate_id", "problem_id", "text"
    ).iter_rows():
        verdicts = judge_steps(questions[problem_id], split_steps(text))
        step_scores = [
            0.7 * right + 0.3 * rng.random() if rng.random() < 0.9 else rng.random()
            for right in verdicts
        ]
        for reward_model, scores in (
            ("process_reward_model", step_scores),
            ("outcome_reward_model", step_scores[-1:]),
        ):
            rows.append(
                {
                    "candidate_id": candidate_id,
                    "problem_id": problem_id,
                    "reward_model": reward_model,
                    "step_scores": scores,
                }
            )
    return frame(CANDIDATE_SCORES, rows)


def _critiques(steps: pl.DataFrame, rng: random.Random) -> pl.DataFrame:
    """Return two random votes on each solution; some are unreadable."""
    rows: Rows = []
    for solution_id, problem_id, num_steps in (
        steps.filter("is_last").select("solution_id", "problem_id", "num_steps").iter_rows()
    ):
        for vote in range(2):
            named = rng.choice([None, -1, rng.randint(1, num_steps)])
            rows.append(
                {
                    "solution_id": solution_id,
                    "problem_id": problem_id,
                    "judge": "judge",
                    "vote": vote,
                    "text": f"I see {named}.",
                    "first_error": named,
                    "finish_reason": "stop",
                    "num_tokens": 4,
                    "seed": 1,
                }
            )
    return frame(CRITIQUES, rows)


MODELS = {
    "rollouts": "completer",
    "pilot_rollouts": "completer",
    "critiques": "judge",
    "nli_labels": "nli",
}


def _rates() -> pl.DataFrame:
    row = {"dataset": DATASET, "num_pilot_problems": 4, "num_pilot_rollouts": 100}
    return frame(PILOT_RATES, [{**row, **vars(Rates((0.5, 0.9), 0.02, 0.02, (0.5, 0.5), True))}])


def _cost(table: Table, stage: str, num_requests: int, num_unmerged: int) -> pl.DataFrame:
    return frame(
        table,
        [
            {
                "stage": stage,
                "dataset": DATASET,
                "shard": "00",
                "model": MODELS.get(stage, "generator"),
                "num_requests": num_requests,
                "num_merged": max(0, num_unmerged - num_requests),
                "num_spared": 0,
                "prompt_tokens": 60 * num_requests,
                "cached_tokens": 45 * num_requests,
                "completion_tokens": 25 * num_requests,
                "thought_tokens": 0,
                "seconds": 0.004 * num_requests,
            }
        ],
    )


def _rejected(table: Table, file: str) -> pl.DataFrame:
    return frame(
        table,
        [
            {
                "dataset": DATASET,
                "file": file,
                "line": 3,
                "reason": "answer: has no final answer after ####",
                "content": "{}",
            }
        ],
    )
