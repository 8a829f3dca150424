const ANNOTATOR_NAMES = { monte_carlo: "Monte Carlo", oracle: "oracle", human: "human" };
const TRUTHS = ["human", "oracle"];

const annotatorName = (annotator) => ANNOTATOR_NAMES[annotator] ?? annotator;

/** Return the first annotator of a step whose labels are estimates, not the truth. */
function estimator(step) {
  return Object.keys(step.labels).find((annotator) => !TRUTHS.includes(annotator));
}

const labelledWrong = (step) => {
  const label = step.labels[estimator(step)];
  return label !== undefined && label[0] === 0;
};
const isSuspicious = (solution) => solution.correct && solution.steps.some(labelledWrong);

const FILTERS = {
  "All problems": () => true,
  "Right answer with a step labelled wrong": (problem) => problem.solutions.some(isSuspicious),
  "Some solutions right, some wrong": ({ draws }) => draws[0] > 0 && draws[0] < draws[1],
  "No solution right": ({ draws }) => draws[0] === 0,
  "All solutions right": ({ draws }) => draws[0] === draws[1],
};

const COLOURINGS = {
  "soft label": (step) => step.labels[estimator(step)]?.[1] ?? null,
  "hard label": (step) => step.labels[estimator(step)]?.[0] ?? null,
  "the truth": (step) => step.labels[TRUTHS.find((truth) => truth in step.labels)]?.[0] ?? null,
};

/** Fill the section with a list of problems beside the one that is chosen. */
function showBrowser(section, { problems, limits, marts }) {
  const total = marts.dataset_counts.reduce((sum, row) => sum + row.num_problems, 0);
  const groups = [...new Set(problems.map((problem) => groupOf(problem)))];
  const colouring = choice("Colour steps by", Object.keys(COLOURINGS));
  const group = choice("Problems of", groups.length > 1 ? ["all", ...groups] : groups);
  const filter = choice("Show", Object.keys(FILTERS));
  const search = element("input", { type: "search", placeholder: "words of the question", "aria-label": "Search" });
  const list = element("div", { class: "list", role: "list", "aria-label": "Problems" });
  const detail = element("div", { class: "detail", "aria-live": "polite" });
  let chosen = problems.find((problem) => `#${problem.id}` === location.hash) ?? null;

  const showDetail = () => {
    if (chosen) detail.replaceChildren(...problemView(chosen, COLOURINGS[colouring.value]));
    else detail.replaceChildren(element("p", { class: "note" }, "No problem matches."));
  };
  const showList = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = problems.filter(
      (problem) =>
        (group.value === "all" || groupOf(problem) === group.value) &&
        FILTERS[filter.value](problem) &&
        words.every((word) => problem.question.toLowerCase().includes(word)),
    );
    if (!found.includes(chosen)) chosen = found[0] ?? null;
    list.replaceChildren(...found.map((problem) => listItem(problem, problem === chosen, choose)));
    if (!found.length) list.append(element("p", { class: "empty" }, "No problem matches."));
    showDetail();
  };
  const choose = (problem, button) => {
    chosen = problem;
    history.replaceState(null, "", `#${problem.id}`);
    list.querySelector('[aria-current="true"]')?.setAttribute("aria-current", "false");
    button.setAttribute("aria-current", "true");
    showDetail();
    if (matchMedia("(max-width: 820px)").matches) detail.scrollIntoView();
  };
  for (const control of [group, filter, search]) control.addEventListener("input", showList);
  colouring.addEventListener("input", showDetail);

  const shown =
    problems.length < total
      ? `The page holds ${count(problems.length)} of ${count(total)} problems (at most ${count(limits.problems)} ` +
        "of a dataset and split, those with a suspicious solution first)"
      : `The page holds all ${count(total)} problems`;
  section.append(
    element("h2", {}, "What do the solutions and their labels look like?"),
    element(
      "p", { class: "note" },
      `${shown}, up to ${limits.solutions} distinct solutions of each, ${limits.rollouts} rollouts of a step ` +
        `and ${count(limits.characters)} characters of a text. The warehouse holds everything. ` +
        "Press a step to unfold the completions that its label counts.",
    ),
    element(
      "div", { class: "controls" },
      labelled("Problems of", group),
      labelled("Show", filter),
      labelled("Colour steps by", colouring),
      element("label", { class: "grow" }, "Search", search),
    ),
    element("div", { class: "browser" }, list, detail),
  );
  showList();
}

const groupOf = (problem) => `${problem.dataset}, ${problem.split}`;

function choice(name, values) {
  return element("select", { "aria-label": name }, ...values.map((v) => element("option", { value: v }, v)));
}

function labelled(name, control) {
  return element("label", {}, name, control);
}

function listItem(problem, isChosen, choose) {
  const [right, draws] = problem.draws;
  const fillBar = element("i");
  fillBar.style.width = `${draws ? (100 * right) / draws : 0}%`;
  const button = element(
    "button", { type: "button", "aria-current": String(isChosen) },
    element("span", { class: "question", dir: "auto" }, problem.question.slice(0, 200)),
    element(
      "span", { class: "meta" },
      `${count(right)} of ${count(draws)} right${problem.solutions.some(isSuspicious) ? " · one by a wrong step" : ""}`,
      element("span", { class: "bar", "aria-hidden": "true" }, fillBar),
    ),
  );
  button.addEventListener("click", () => choose(problem, button));
  return button;
}

function problemView(problem, colouring) {
  const [right, draws] = problem.draws;
  const left = problem.distinct - problem.solutions.length;
  const facts = [
    groupOf(problem),
    problem.level === null ? null : `level ${problem.level}`,
    `${count(right)} of ${count(draws)} draws right`,
    left > 0 ? `${count(left)} more distinct solutions are not shown` : null,
  ];
  return [
    element("p", { class: "problem", dir: "auto" }, problem.question),
    element(
      "p", { class: "note" }, "Gold answer ", element("b", { dir: "auto" }, problem.gold), " · ",
      facts.filter(Boolean).join(" · "),
    ),
    element(
      "div", { class: "key" }, "wrong", element("i", { "aria-hidden": "true" }), "right",
    ),
    element(
      "div", { class: "cards" },
      ...problem.solutions.map((solution) => solutionCard(solution, problem, colouring)),
    ),
  ];
}

function solutionCard(solution, problem, colouring) {
  const scores = solution.steps.map((step) => step.score ?? null).filter((score) => score !== null);
  return element(
    "article", { class: "card" },
    element(
      "header", {},
      verdict(solution.correct),
      element("b", { dir: "auto" }, solution.answer ?? "no answer"),
      ...[
        solution.draws > 1 ? `drawn ${count(solution.draws)} times` : null,
        scores.length ? `lowest PRM ${Math.min(...scores).toFixed(2)}` : null,
        typeof solution.outcome === "number" ? `ORM ${solution.outcome.toFixed(2)}` : null,
        solution.generator,
      ]
        .filter((fact) => fact !== null)
        .map((fact) => element("span", { dir: "auto" }, fact)),
    ),
    ...solution.steps.flatMap((step) => stepView(step, problem, solution, colouring)),
  );
}

function verdict(isCorrect) {
  return element(
    "span", { class: `verdict ${isCorrect ? "good" : "wrong"}` }, isCorrect ? "✓ right" : "✗ wrong",
  );
}

function stepView(step, problem, solution, colouring) {
  const rollouts = problem.rollouts[step.prefix] ?? [];
  const value = step.score ?? colouring(step);
  const row = element(
    rollouts.length ? "button" : "div",
    rollouts.length ? { type: "button", class: "step", "aria-expanded": "false" } : { class: "step" },
    element("span", { class: "text", dir: "auto" }, step.text.replace(/\s+$/, "")),
    element("span", { class: "chips" }, ...chips(step)),
  );
  if (value !== null) {
    const hue = value >= 0.5 ? "--good" : "--wrong";
    const strength = Math.abs(value - 0.5) * 2;
    row.style.borderLeftColor = `rgb(var(${hue}) / ${0.25 + 0.75 * strength})`;
    row.style.background = `rgb(var(${hue}) / ${0.03 + 0.13 * strength})`;
  }
  if (!rollouts.length) return [row];
  const fold = element("span", { class: "fold" }, `${count(rollouts.length)} rollouts ▸`);
  row.querySelector(".chips").append(fold);
  let unfolded = null;
  row.addEventListener("click", () => {
    if (unfolded) {
      unfolded.remove();
      unfolded = null;
    } else {
      unfolded = element("ul", { class: "rollouts" }, ...rollouts.map(rolloutView));
      row.after(unfolded);
    }
    row.setAttribute("aria-expanded", String(unfolded !== null));
    fold.textContent = `${count(rollouts.length)} rollouts ${unfolded ? "▾" : "▸"}`;
  });
  return [row];
}

function chips(step) {
  const found = [];
  for (const [annotator, [hard, soft]] of Object.entries(step.labels)) {
    const word = hard ? "✓" : "✗";
    const share = TRUTHS.includes(annotator) || soft === null ? "" : ` ${soft.toFixed(2)}`;
    found.push(element("span", {}, `${annotatorName(annotator)} `, element("b", {}, word + share)));
  }
  if (typeof step.score === "number") {
    found.push(element("span", {}, "PRM ", element("b", {}, step.score.toFixed(2))));
  }
  return found;
}

function rolloutView(rollout) {
  const answer = rollout.answer ?? "no answer";
  const ending = rollout.finish === "stop" ? "" : ` (ended by ${rollout.finish})`;
  return element(
    "li", {},
    verdict(rollout.correct), " ", element("b", { dir: "auto" }, answer), ending,
    element("span", { class: "text", dir: "auto" }, rollout.text.trim()),
  );
}
