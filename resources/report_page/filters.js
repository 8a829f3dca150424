/** Return the hard label of a step by an annotator, "0" or "1"; undefined where it gave none. */
const hardLabel = (solution, annotator, step) => solution.hard[annotator]?.[step];
const softLabel = (solution, annotator, step) => solution.soft[annotator]?.[step] ?? null;
const scoreOf = (solution, step) => solution.scores?.[step] ?? null;

const isDisputed = (solution, step) => {
  const labels = Object.values(solution.hard);
  return labels.some((label) => label[step] !== labels[0][step]);
};

/** Return the step with the lowest score of the PRM, -1 if none has one. */
function lowestStep({ scores }) {
  let lowest = -1;
  scores?.forEach((score, step) => {
    if (score !== null && (lowest < 0 || score < scores[lowest])) lowest = step;
  });
  return lowest;
}

/**
 * Return whether the PRM contradicts the label of a step. Of a solution without labels: whether the
 * step has its lowest score, which contradicts the verdict on the solution.
 */
function prmDiffers(solution, step, annotator) {
  const score = scoreOf(solution, step);
  if (score === null) return false;
  if (solution.hard[annotator]) return score >= 0.5 !== (hardLabel(solution, annotator, step) === "1");
  const lowest = lowestStep(solution);
  const isGood = solution.scores[lowest] >= 0.5;
  if (isGood && solution.scores.includes(null)) return false;
  return step === lowest && isGood !== solution.correct;
}

/** The filters of problems: by a step that at least one solution must have, or by the draws. */
const FILTERS = {
  all: { name: "All problems" },
  suspicious: {
    name: "Right answer with a step labelled wrong",
    step: (solution, step, annotator) => solution.correct && hardLabel(solution, annotator, step) === "0",
  },
  disputed: { name: "Annotators differ", step: isDisputed },
  prm: { name: "PRM and label differ", step: prmDiffers },
  mixed: { name: "Some solutions right, some wrong", problem: ({ draws }) => draws[0] > 0 && draws[0] < draws[1] },
  none: { name: "No solution right", problem: ({ draws }) => draws[0] === 0 },
  right: { name: "All solutions right", problem: ({ draws }) => draws[0] === draws[1] },
  marked: { name: "Steps that I marked", step: (solution, step) => marks.of(solution.id, step) !== undefined },
};

/** Return the first step of a solution that makes it match a filter; -1 if there is none. */
function matchingStep(solution, filter, annotator) {
  for (let step = 0; step < solution.length; step++) if (filter.step(solution, step, annotator)) return step;
  return -1;
}

function isMatching(problem, filter, annotator) {
  if (filter.step) return problem.solutions.some((solution) => matchingStep(solution, filter, annotator) >= 0);
  return filter.problem ? filter.problem(problem) : true;
}

/** Return the number of steps of a problem for which something holds. */
function numSteps(problem, holds) {
  let number = 0;
  for (const solution of problem.solutions) {
    for (let step = 0; step < solution.length; step++) number += holds(solution, step);
  }
  return number;
}

/** Return the largest value of a function over the steps of a problem that have one. */
function largest(problem, valueOf) {
  let most = -Infinity;
  for (const solution of problem.solutions) {
    for (let step = 0; step < solution.length; step++) most = Math.max(most, valueOf(solution, step) ?? -Infinity);
  }
  return most;
}

/** The orders of problems: those with the largest key come first. */
const SORTS = {
  stored: { name: "As stored" },
  disputed: { name: "Most disputed steps", key: (problem) => numSteps(problem, isDisputed) },
  unsure: {
    name: "Soft label nearest to 0.5",
    key: (problem, annotator) =>
      largest(problem, (solution, step) => {
        const soft = softLabel(solution, annotator, step);
        return soft === null ? null : -Math.abs(soft - 0.5);
      }),
  },
  low: { name: "Lowest PRM score", key: (problem) => largest(problem, (s, k) => (scoreOf(s, k) === null ? null : -scoreOf(s, k))) },
  wrong: { name: "Fewest right draws", key: ({ draws }) => -draws[0] / draws[1] },
  long: { name: "Longest solution", key: ({ solutions }) => Math.max(0, ...solutions.map(({ length }) => length)) },
};

function sorted(problems, { key }, annotator) {
  if (!key) return problems;
  const keys = new Map(problems.map((problem) => [problem, key(problem, annotator)]));
  return [...problems].sort((a, b) => keys.get(b) - keys.get(a) || a.index - b.index);
}

const wordsOf = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

/** Return the text of a problem that is searched; the steps are part of it once they are loaded. */
function searched(problem) {
  if (problem.texts ? !problem.allText : !problem.someText) {
    const { texts, solutions } = problem;
    const parts = [
      texts?.question ?? problem.question, problem.gold, problem.id, problem.dataset,
      ...solutions.map(({ answer }) => answer ?? ""), ...(texts?.steps.flat() ?? []),
    ];
    problem[texts ? "allText" : "someText"] = parts.join("\n").toLowerCase();
  }
  return problem.texts ? problem.allText : problem.someText;
}

/** Return the first place of a problem whose step or answer holds all words; null if none does. */
function foundPlace(problem, words) {
  if (!words.length || !problem.texts) return null;
  const holds = (text) => words.every((word) => text.toLowerCase().includes(word));
  for (const [solution, steps] of problem.texts.steps.entries()) {
    const step = steps.findIndex(holds);
    if (step >= 0) return { solution, step };
  }
  return null;
}

/** Return the solution and step that made a problem match; the first step if no step did. */
function culprit(problem, filter, annotator, words) {
  if (filter.step) {
    for (const [solution, drawn] of problem.solutions.entries()) {
      const step = matchingStep(drawn, filter, annotator);
      if (step >= 0) return { solution, step };
    }
  }
  return foundPlace(problem, words) ?? { solution: 0, step: 0 };
}

/** The values by which steps are coloured, from 0 (wrong) to 1 (right). */
const COLOURINGS = {
  soft: { name: "soft label", of: softLabel },
  hard: {
    name: "hard label",
    of: (solution, annotator, step) => {
      const label = hardLabel(solution, annotator, step);
      return label === undefined ? null : Number(label);
    },
  },
  score: { name: "PRM score", of: (solution, _, step) => scoreOf(solution, step) },
};
