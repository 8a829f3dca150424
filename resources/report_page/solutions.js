/**
 * Return the view of a problem: its solutions side by side, with coloured steps.
 *
 * The solutions with a step that matches the filter come first, and these steps are outlined.
 */
function problemView(problem, texts, view) {
  const [right, draws] = problem.draws;
  const numHidden = problem.distinct - problem.solutions.length;
  const facts = [
    groupOf(problem),
    problem.level === null ? null : `level ${problem.level}`,
    `${count(right)} of ${count(draws)} draws right`,
    numHidden > 0 ? `${count(numHidden)} more distinct solutions are not on the page` : null,
  ];
  const isCulprit = (solution, step) => Boolean(view.filter.step?.(solution, step, view.annotator));
  const first = (at) => (view.filter.step && matchingStep(problem.solutions[at], view.filter, view.annotator) >= 0 ? 0 : 1);
  const order = [...problem.solutions.keys()].sort((a, b) => first(a) - first(b) || a - b);
  return [
    element("p", { class: "problem", dir: "auto" }, texts.question),
    element(
      "p", { class: "note" }, "Gold answer ", element("b", { dir: "auto" }, problem.gold), " · ",
      facts.filter(Boolean).join(" · "), " · ", copyLink(),
    ),
    colourKey(problem, view),
    element(
      "div", { class: "cards", role: "group", "aria-label": "Solutions" },
      ...order.map((at) => solutionCard({ problem, at, texts, view, isCulprit })),
    ),
  ];
}

/** Return a link to what the page shows now. A press copies the address, if the browser allows it. */
function copyLink() {
  return pressed("Copy link", (event) => {
    navigator.clipboard?.writeText(location.href).then(
      () => (event.target.textContent = "Link copied"),
      () => (event.target.textContent = "The link is in the address bar"),
    );
  }, { class: "plain" });
}

/** Return the key of the colours or, if no step has the chosen value, a button for another value. */
function colourKey(problem, view) {
  const has = ({ of }) => problem.solutions.some((solution) =>
    [...Array(solution.length).keys()].some((step) => of(solution, view.annotator, step) !== null),
  );
  const { name } = COLOURINGS[view.colour];
  if (!problem.solutions.length || has(COLOURINGS[view.colour])) {
    return element("div", { class: "key" }, "wrong", element("i", { "aria-hidden": "true" }), `right, by ${name}`);
  }
  const other = Object.keys(COLOURINGS).find((each) => has(COLOURINGS[each]));
  const button = other && pressed(`Colour by ${COLOURINGS[other].name}`, () => view.colourBy(other), { class: "plain" });
  return element("div", { class: "key" }, `No step here has a ${name}. `, button);
}

function solutionCard({ problem, at, texts, view, isCulprit }) {
  const solution = problem.solutions[at];
  const scores = (solution.scores ?? []).filter((score) => score !== null);
  const unscored = (solution.scores ?? []).length - scores.length;
  const facts = [
    solution.draws > 1 ? `drawn ${count(solution.draws)} times` : null,
    scores.length ? `lowest PRM score ${Math.min(...scores).toFixed(2)}` : null,
    unscored ? `${counted(unscored, "step")} unscored` : null,
    typeof solution.outcome === "number" ? `ORM score ${solution.outcome.toFixed(2)}` : null,
    solution.generator,
  ];
  return element(
    "article", { class: "card", "data-solution": at },
    element(
      "header", {},
      verdict(solution.correct),
      element("b", { dir: "auto" }, solution.answer ?? "no answer"),
      ...facts.filter((fact) => fact !== null).map((fact) => element("span", { dir: "auto" }, fact)),
    ),
    ...texts.steps[at].map((text, step) => stepView({ problem, solution, at, step, text, texts, view, isCulprit })),
  );
}

function verdict(isCorrect) {
  return element(
    "span", { class: `verdict ${isCorrect ? "good" : "wrong"}` }, isCorrect ? "✓ right" : "✗ wrong",
  );
}

function stepView({ problem, solution, at, step, text, texts, view, isCulprit }) {
  const numRollouts = solution.rollouts[step] ?? 0;
  const value = COLOURINGS[view.colour].of(solution, view.annotator, step);
  const row = element(
    "div",
    {
      class: `step${isCulprit(solution, step) ? " culprit" : ""}`, "data-solution": at, "data-step": step, tabindex: "-1",
      role: "group", "aria-label": `Step ${step + 1} of ${solution.length}, solution ${at + 1}`,
    },
    markButtons(solution, step),
    element("span", { class: "text", dir: "auto" }, text.replace(/\s+$/, "")),
    element("span", { class: "chips" }, ...chips(solution, step)),
    element("span", { class: "noted", dir: "auto" }, marks.of(solution.id, step)?.note ?? ""),
  );
  if (value !== null) {
    const hue = value >= 0.5 ? "--good" : "--wrong";
    const strength = Math.abs(value - 0.5) * 2;
    row.style.borderLeftColor = `rgb(var(${hue}) / ${0.25 + 0.75 * strength})`;
    row.style.background = `rgb(var(${hue}) / ${0.03 + 0.11 * strength})`;
  }
  if (numRollouts) addRollouts(row, numRollouts, async () => (await problem.loadRollouts())[texts.prefixes[at][step]]);
  return row;
}

/** Add a button to a step that unfolds the rollouts of its prefix. */
function addRollouts(row, number, load) {
  let unfolded = null;
  const name = () => `${count(number)} rollouts ${unfolded ? "▾" : "▸"}`;
  const fold = pressed(name(), async () => {
    if (unfolded) unfolded.remove();
    unfolded = unfolded ? null : element("ul", { class: "rollouts" });
    fold.setAttribute("aria-expanded", String(unfolded !== null));
    fold.textContent = name();
    if (!unfolded) return;
    row.after(unfolded);
    const shown = unfolded;
    shown.replaceChildren(...(await load()).map(rolloutView));
  }, { class: "plain fold", "aria-expanded": "false", tabindex: "-1" });
  row.querySelector(".chips").append(fold);
}

function chips(solution, step) {
  const nodes = [];
  for (const annotator of Object.keys(solution.hard)) {
    const soft = softLabel(solution, annotator, step);
    const word = hardLabel(solution, annotator, step) === "1" ? "✓" : "✗";
    const share = TRUTHS.includes(annotator) || soft === null ? "" : ` ${soft.toFixed(2)}`;
    nodes.push(element("span", {}, `${annotatorName(annotator)} `, element("b", {}, word + share)));
  }
  if (solution.scores) {
    const score = scoreOf(solution, step);
    nodes.push(element("span", {}, "PRM ", element("b", {}, score === null ? "unscored" : score.toFixed(2))));
  }
  return nodes;
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
