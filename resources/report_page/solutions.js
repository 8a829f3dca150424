/** Return the view of a problem: its solutions side by side, with coloured steps. */
function problemView(problem, colouring, colour, colourBy) {
  const [right, draws] = problem.draws;
  const numHidden = problem.distinct - problem.solutions.length;
  const facts = [
    groupOf(problem),
    problem.level === null ? null : `level ${problem.level}`,
    `${count(right)} of ${count(draws)} draws right`,
    numHidden > 0 ? `${count(numHidden)} more distinct solutions are not on the page` : null,
  ];
  return [
    element("p", { class: "problem", dir: "auto" }, problem.question),
    element(
      "p", { class: "note" }, "Gold answer ", element("b", { dir: "auto" }, problem.gold), " · ",
      facts.filter(Boolean).join(" · "), " · ", linkTo(problem),
    ),
    colourKey(problem, colouring, colour, colourBy),
    element(
      "div", { class: "cards" },
      ...problem.solutions.map((solution) => solutionCard(solution, problem, colouring)),
    ),
  ];
}

/** Return a link to a problem. A press copies its address, if the browser allows it. */
function linkTo(problem) {
  const link = element("a", { href: addressOf(problem) }, "Copy link");
  link.addEventListener("click", () => {
    navigator.clipboard?.writeText(new URL(addressOf(problem), location.href).href).then(
      () => (link.textContent = "Link copied"),
      () => (link.textContent = "Link (in the address bar)"),
    );
  });
  return link;
}

/** Return the key of the colours or, if no step has the chosen value, a button for another value. */
function colourKey(problem, colouring, colour, colourBy) {
  const steps = problem.solutions.flatMap((solution) => solution.steps);
  if (!steps.length || steps.some((step) => colouring(step) !== null)) {
    return element("div", { class: "key" }, "wrong", element("i", { "aria-hidden": "true" }), `right, by ${colour}`);
  }
  const other = steps.some((step) => typeof step.score === "number") ? "PRM score" : "hard label";
  const button = element("button", { type: "button", class: "plain" }, `Colour by ${other}`);
  button.addEventListener("click", () => colourBy(other));
  return element("div", { class: "key" }, `No step here has a ${colour}. `, other === colour ? null : button);
}

function solutionCard(solution, problem, colouring) {
  const scores = solution.steps.map((step) => step.score ?? null).filter((score) => score !== null);
  const unscored = solution.steps.filter((step) => step.unscored).length;
  return element(
    "article", { class: "card" },
    element(
      "header", {},
      verdict(solution.correct),
      element("b", { dir: "auto" }, solution.answer ?? "no answer"),
      ...[
        solution.draws > 1 ? `drawn ${count(solution.draws)} times` : null,
        scores.length ? `lowest PRM score ${Math.min(...scores).toFixed(2)}` : null,
        unscored ? `${count(unscored)} steps unscored` : null,
        typeof solution.outcome === "number" ? `ORM score ${solution.outcome.toFixed(2)}` : null,
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
  const numRollouts = problem.rollouts[step.prefix] ?? 0;
  const value = colouring(step);
  const row = element(
    numRollouts ? "button" : "div",
    numRollouts ? { type: "button", class: "step", "aria-expanded": "false" } : { class: "step" },
    element("span", { class: "text", dir: "auto" }, step.text.replace(/\s+$/, "")),
    element("span", { class: "chips" }, ...chips(step)),
  );
  if (value !== null) {
    const hue = value >= 0.5 ? "--good" : "--wrong";
    const strength = Math.abs(value - 0.5) * 2;
    row.style.borderLeftColor = `rgb(var(${hue}) / ${0.25 + 0.75 * strength})`;
    row.style.background = `rgb(var(${hue}) / ${0.03 + 0.13 * strength})`;
  }
  if (!numRollouts) return [row];
  const fold = element("span", { class: "fold" }, `${count(numRollouts)} rollouts ▸`);
  row.querySelector(".chips").append(fold);
  let unfolded = null;
  row.addEventListener("click", async () => {
    if (unfolded) {
      unfolded.remove();
      unfolded = null;
    } else {
      unfolded = element("ul", { class: "rollouts" });
      row.after(unfolded);
    }
    row.setAttribute("aria-expanded", String(unfolded !== null));
    fold.textContent = `${count(numRollouts)} rollouts ${unfolded ? "▾" : "▸"}`;
    const shown = unfolded;
    const rollouts = await problem.unpackRollouts();
    shown?.replaceChildren(...rollouts[step.prefix].map(rolloutView));
  });
  return [row];
}

function chips(step) {
  const nodes = [];
  for (const [annotator, [hard, soft]] of Object.entries(step.labels)) {
    const word = hard ? "✓" : "✗";
    const share = TRUTHS.includes(annotator) || soft === null ? "" : ` ${soft.toFixed(2)}`;
    nodes.push(element("span", {}, `${annotatorName(annotator)} `, element("b", {}, word + share)));
  }
  if (typeof step.score === "number") {
    nodes.push(element("span", {}, "PRM ", element("b", {}, step.score.toFixed(2))));
  }
  if (step.unscored) nodes.push(element("span", {}, "PRM unscored"));
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
