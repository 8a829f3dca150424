const groupOf = (problem) => `${problem.dataset}, ${problem.split}`;

/** Fill the section with the list of problems and the chosen problem. */
function showProblems(section, content) {
  const { problems } = content;
  if (!problems.length) return null;
  const annotators = inOrder(problems.flatMap(({ solutions }) => solutions.flatMap(({ hard }) => Object.keys(hard))));
  const groups = [...new Set(problems.map(groupOf))];
  const controls = {
    of: choice("Problems of", [["all", "all"], ...groups.map((group) => [group, group])]),
    show: choice("Show", named(FILTERS)),
    sort: choice("Order", named(SORTS)),
    by: choice("Labels by", annotators.map((annotator) => [annotator, annotatorName(annotator)])),
    colour: choice("Colour steps by", named(COLOURINGS)),
    find: element("input", { type: "search", placeholder: "words of questions, steps, answers", "aria-label": "Search" }),
  };
  const numMatching = element("p", { class: "note", role: "status" });
  const status = element("p", { class: "note", role: "status" });
  const say = (text) => (status.textContent = text);
  const detail = element("div", { class: "detail" });
  const list = problemList((problem, isNew) => choose(problem, null, isNew));
  let matching = [];
  let place = { problem: null, solution: 0, step: 0 };
  let drawing = 0;
  let isOpen = false;

  const words = () => wordsOf(controls.find.value);
  const filter = () => FILTERS[controls.show.value];
  const choices = () => ({
    ...Object.fromEntries(Object.entries(controls).map(([name, control]) => [name, control.value])),
    by: controls.by.value === annotators[0] ? "" : controls.by.value,
    ...(place.problem && {
      problem: place.problem.id, solution: place.problem.solutions[place.solution]?.id ?? "", step: String(place.step + 1),
    }),
  });
  const view = () => ({
    filter: filter(), annotator: controls.by.value, colour: controls.colour.value,
    colourBy: (name) => {
      controls.colour.value = name;
      showDetail();
    },
  });
  const take = takeAlong(content, () => [matching, filter(), controls.by.value], say);

  async function showDetail(isScrolling = false) {
    const turn = ++drawing;
    const { problem } = place;
    if (!problem) return detail.replaceChildren(element("p", { class: "note" }, "No problem matches."));
    try {
      const texts = await problem.loadTexts();
      if (turn !== drawing) return undefined;
      detail.replaceChildren(...problemView(problem, texts, view()));
      markCurrent(isScrolling);
    } catch (error) {
      detail.replaceChildren(element("p", { class: "note" }, error.message));
    }
    return undefined;
  }

  function markCurrent(isScrolling) {
    detail.querySelectorAll(".step.current").forEach((row) => setCurrent(row, false));
    const row = detail.querySelector(`.step[data-solution="${place.solution}"][data-step="${place.step}"]`);
    if (!row) return;
    setCurrent(row, true);
    if (isScrolling) row.scrollIntoView({ block: "nearest", behavior: "instant" });
  }

  function choose(problem, at, isNew, isScrolling = true) {
    place = { problem, ...(at ?? culprit(problem, filter(), controls.by.value, words())) };
    list.mark(problem);
    if (isOpen) writeAddress(choices(), isNew);
    return showDetail(isScrolling);
  }

  const refresh = () => {
    const found = problems.filter(
      (problem) =>
        (controls.of.value === "all" || groupOf(problem) === controls.of.value) &&
        isMatching(problem, filter(), controls.by.value) &&
        words().every((word) => searched(problem).includes(word)),
    );
    matching = sorted(found, SORTS[controls.sort.value], controls.by.value);
    numMatching.textContent = `${count(matching.length)} of ${count(problems.length)} problems`;
    list.show(matching, controls.by.value);
    take.redraw();
  };
  /** Choose the first problem that matches, at the step that made it match. */
  const restart = () => {
    refresh();
    if (matching.length) return choose(matching[0], null, false, false);
    place = { problem: null, solution: 0, step: 0 };
    writeAddress(choices(), false);
    return showDetail();
  };

  /** Set all controls and the place from the page's address. */
  const follow = async () => {
    const read = readAddress();
    if (!read) return null;
    for (const [name, control] of Object.entries(controls)) {
      control.value = read[name];
      if (control.selectedIndex < 0) control.selectedIndex = 0;
    }
    refresh();
    if (!read.problem) return restart();
    const problem = problems.find(({ id }) => id === read.problem);
    if (!problem) {
      return detail.replaceChildren(element("p", { class: "note" }, "The page does not hold the problem of this link. Look it up in the warehouse."));
    }
    if (!matching.includes(problem)) {
      controls.of.selectedIndex = controls.show.selectedIndex = 0;
      controls.find.value = "";
      refresh();
    }
    const solution = problem.solutions.findIndex(({ id }) => id === read.solution);
    await choose(problem, solution < 0 ? null : { solution, step: Math.max(0, Number(read.step) - 1 || 0) }, false);
    detail.scrollIntoView({ behavior: "instant" });
    return markCurrent(true);
  };

  const searchSteps = () => {
    if (!controls.find.value || content.isSearchable) return;
    content.isSearchable = true;
    let shown = performance.now();
    content.loadAllTexts((number) => {
      const isLast = number === problems.length;
      if (!isLast && performance.now() - shown < 500) return;
      shown = performance.now();
      say(isLast ? "" : `Searched the steps of ${count(number)} of ${count(problems.length)} problems ...`);
      if (controls.find.value) restart();
    }).catch((error) => say(error.message));
  };
  for (const name of ["of", "show", "sort", "by", "find"]) controls[name].addEventListener("input", restart);
  controls.find.addEventListener("input", searchSteps);
  controls.colour.addEventListener("input", () => {
    writeAddress(choices(), false);
    showDetail();
  });
  addEventListener("hashchange", follow);
  addKeys(detail, {
    choose: (row) => {
      place = { ...place, solution: Number(row.dataset.solution), step: Number(row.dataset.step) };
      markCurrent(false);
      writeAddress(choices(), false);
    },
    backToList: () => list.box.querySelector('[aria-current="true"]')?.focus(),
  });
  list.box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "ArrowRight") return;
    event.preventDefault();
    detail.querySelector(".step.current")?.focus();
  });

  section.append(
    ...opening("What do the solutions and their labels look like?", whatIsShown(content)),
    element(
      "div", { class: "controls" },
      groups.length > 1 ? labelled("Problems of", controls.of) : null,
      labelled("Show", controls.show),
      labelled("Order", controls.sort),
      annotators.length > 1 ? labelled("Labels by", controls.by) : null,
      labelled("Colour steps by", controls.colour),
      element("label", { class: "grow" }, "Search", controls.find),
    ),
    element("div", { class: "counts" }, numMatching, take.box, keyHelp()),
    status,
    element("div", { class: "browser" }, list.box, detail),
  );
  if (!annotators.length) controls.colour.value = "score";
  openMarks(content, say).then(
    () => marks.listeners.forEach((listener) => listener()),
    (error) => say(`Earlier marks cannot be read: ${error.message}`),
  );
  return {
    open: async () => {
      await (readAddress() ? follow() : restart());
      isOpen = true;
    },
  };
}

/** Make a step the one that Tab leads to, with its buttons, or not. */
function setCurrent(row, isCurrent) {
  row.classList.toggle("current", isCurrent);
  for (const node of [row, ...row.querySelectorAll("button")]) node.tabIndex = isCurrent ? 0 : -1;
}

function whatIsShown({ problems, limits, marts }) {
  const total = sum(marts.dataset_counts, "num_problems");
  const shown =
    problems.length < total
      ? `The page holds ${count(problems.length)} of ${count(total)} problems (those with solutions, and at most ` +
        `${count(limits.page_solutions)} solutions, problems with a suspicious one first)`
      : `The page holds all ${count(total)} problems`;
  return (
    `${shown}, with at most ${limits.solutions} distinct solutions of a problem, ${limits.rollouts} rollouts of a step ` +
    `and ${count(limits.characters)} characters of a text. The warehouse holds everything.`
  );
}

const named = (things) => Object.entries(things).map(([value, { name }]) => [value, name]);

function choice(name, values) {
  return element("select", { "aria-label": name }, ...values.map(([value, text]) => element("option", { value }, text)));
}

function labelled(name, control) {
  return element("label", {}, name, control);
}
