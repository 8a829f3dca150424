/** Return the hard label of a step by an annotator, undefined where it gave none. */
const hardLabel = (step, annotator) => step.labels[annotator]?.[0];

const isSuspicious = (solution, annotator) =>
  solution.correct && solution.steps.some((step) => hardLabel(step, annotator) === 0);

const isDisputed = ({ labels }) => new Set(Object.values(labels).map(([hard]) => hard)).size > 1;

/** Return whether the PRM contradicts a label or, for a candidate, whether its lowest score contradicts the verdict. */
function prmDiffers(solution, annotator) {
  const scored = solution.steps.filter((step) => typeof step.score === "number");
  const labelled = scored.filter((step) => hardLabel(step, annotator) !== undefined);
  if (labelled.length) return labelled.some((step) => step.score >= 0.5 !== (hardLabel(step, annotator) === 1));
  const allGood = scored.every((step) => step.score >= 0.5);
  if (allGood && solution.steps.some((step) => step.unscored)) return false;
  return scored.length > 0 && allGood !== solution.correct;
}

const FILTERS = {
  "All problems": () => true,
  "Right answer with a step labelled wrong": ({ solutions }, annotator) =>
    solutions.some((solution) => isSuspicious(solution, annotator)),
  "Annotators differ": ({ solutions }) => solutions.some(({ steps }) => steps.some(isDisputed)),
  "PRM and label differ": ({ solutions }, annotator) => solutions.some((solution) => prmDiffers(solution, annotator)),
  "Some solutions right, some wrong": ({ draws }) => draws[0] > 0 && draws[0] < draws[1],
  "No solution right": ({ draws }) => draws[0] === 0,
  "All solutions right": ({ draws }) => draws[0] === draws[1],
};

const COLOURINGS = {
  "soft label": (step, annotator) => step.labels[annotator]?.[1] ?? null,
  "hard label": (step, annotator) => hardLabel(step, annotator) ?? null,
  "PRM score": (step) => step.score ?? null,
};

const groupOf = (problem) => `${problem.dataset}, ${problem.split}`;
const addressOf = (problem) => `#problem=${encodeURIComponent(problem.id)}`;

/** Return the problem in the page's address: null if there is none, undefined if the page lacks it. */
function addressed(problems) {
  const [, id] = location.hash.match(/^#problem=(.*)$/) ?? [];
  return id === undefined ? null : problems.find((problem) => addressOf(problem) === `#problem=${id}`);
}

/** Fill the section with a list of problems and the chosen problem. */
function showProblems(section, { problems, limits, marts }) {
  const annotators = inOrder(
    problems.flatMap(({ solutions }) => solutions.flatMap(({ steps }) => steps.flatMap(({ labels }) => Object.keys(labels)))),
  );
  const groups = [...new Set(problems.map(groupOf))];
  const controls = {
    group: choice("Problems of", groups.length > 1 ? ["all", ...groups] : groups),
    filter: choice("Show", Object.keys(FILTERS)),
    colour: choice("Colour steps by", Object.keys(COLOURINGS)),
    annotator: choice("Labels by", annotators, annotatorName),
    search: element("input", { type: "search", placeholder: "words of the question", "aria-label": "Search" }),
  };
  const numMatching = element("p", { class: "note", role: "status" });
  const list = element("div", { class: "list", role: "list", "aria-label": "Problems" });
  const detail = element("div", { class: "detail", "aria-live": "polite" });
  let chosen = addressed(problems) ?? null;

  const showDetail = () => {
    const colouring = (step) => COLOURINGS[controls.colour.value](step, controls.annotator.value);
    const colourBy = (name) => {
      controls.colour.value = name;
      showDetail();
    };
    if (chosen) detail.replaceChildren(...problemView(chosen, colouring, controls.colour.value, colourBy));
    else detail.replaceChildren(element("p", { class: "note" }, "No problem matches."));
  };
  const markChosen = () => {
    list.querySelector('[aria-current="true"]')?.setAttribute("aria-current", "false");
    const button = chosen && list.querySelector(`[data-address="${CSS.escape(addressOf(chosen))}"]`);
    if (!button) return;
    button.setAttribute("aria-current", "true");
    const [inner, outer] = [button, list].map((node) => node.getBoundingClientRect());
    if (inner.top < outer.top || inner.bottom > outer.bottom) list.scrollTop += inner.top - outer.top;
  };
  const showList = () => {
    const words = controls.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const matching = problems.filter(
      (problem) =>
        (controls.group.value === "all" || groupOf(problem) === controls.group.value) &&
        FILTERS[controls.filter.value](problem, controls.annotator.value) &&
        words.every((word) => problem.question.toLowerCase().includes(word)),
    );
    if (!matching.includes(chosen)) chosen = matching[0] ?? null;
    numMatching.textContent = `${count(matching.length)} of ${count(problems.length)} problems`;
    list.replaceChildren(...matching.map((problem) => listItem(problem, controls.annotator.value)));
    if (!matching.length) list.append(element("p", { class: "empty" }, "No problem matches."));
    markChosen();
    showDetail();
  };
  const follow = () => {
    const problem = addressed(problems);
    if (problem === null) return;
    chosen = problem ?? null;
    if (!chosen) {
      detail.replaceChildren(element("p", { class: "note" }, "The page does not hold the problem of this link. Look it up in the warehouse."));
      return;
    }
    if (!list.querySelector(`[data-address="${CSS.escape(addressOf(chosen))}"]`)) {
      controls.group.selectedIndex = controls.filter.selectedIndex = 0;
      controls.search.value = "";
      showList();
    }
    markChosen();
    showDetail();
    detail.scrollIntoView();
  };
  for (const name of ["group", "filter", "annotator", "search"]) controls[name].addEventListener("input", showList);
  controls.colour.addEventListener("input", showDetail);
  addEventListener("hashchange", follow);

  section.append(
    element("h2", {}, "What do the solutions and their labels look like?"),
    element("p", { class: "note" }, whatIsShown(problems, limits, marts)),
    element(
      "div", { class: "controls" },
      labelled("Problems of", controls.group),
      labelled("Show", controls.filter),
      labelled("Colour steps by", controls.colour),
      annotators.length > 1 ? labelled("Labels by", controls.annotator) : null,
      element("label", { class: "grow" }, "Search", controls.search),
    ),
    numMatching,
    element("div", { class: "browser" }, list, detail),
  );
  showList();
  follow();
}

function whatIsShown(problems, limits, marts) {
  const total = sum(marts.dataset_counts, "num_problems");
  const shown =
    problems.length < total
      ? `The page holds ${count(problems.length)} of ${count(total)} problems (at most ${count(limits.problems)} ` +
        "of a dataset and split, problems with a suspicious solution first)"
      : `The page holds all ${count(total)} problems`;
  return (
    `${shown}, with at most ${limits.solutions} distinct solutions of a problem, ${limits.rollouts} rollouts of a step ` +
    `and ${count(limits.characters)} characters of a text. The warehouse holds everything. ` +
    "Press a step to see its rollouts."
  );
}

function choice(name, values, nameOf = (value) => value) {
  const options = values.map((value) => element("option", { value }, nameOf(value)));
  return element("select", { "aria-label": name }, ...options);
}

function labelled(name, control) {
  return element("label", {}, name, control);
}

function listItem(problem, annotator) {
  const [right, draws] = problem.draws;
  const fillBar = element("i");
  fillBar.style.width = `${draws ? (100 * right) / draws : 0}%`;
  const suspicious = problem.solutions.some((solution) => isSuspicious(solution, annotator));
  return element(
    "a", { href: addressOf(problem), "data-address": addressOf(problem), role: "listitem", "aria-current": "false" },
    element("span", { class: "question", dir: "auto" }, problem.question.slice(0, 200)),
    element(
      "span", { class: "meta" },
      `${count(right)} of ${count(draws)} right${suspicious ? " · one with a step labelled wrong" : ""}`,
      element("span", { class: "bar", "aria-hidden": "true" }, fillBar),
    ),
  );
}
