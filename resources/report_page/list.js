const LISTED = 100;

/** Return a list of problems of which as many items exist as were scrolled to. */
function problemList(choose) {
  const box = element("div", { class: "list", role: "list", "aria-label": "Problems" });
  let problems = [];
  let annotator = "";
  let marked = -1;
  const grow = (upTo) => {
    const items = problems.slice(box.childElementCount, upTo).map((problem) => listItem(problem, annotator));
    box.append(...items);
  };
  // To ask for the position would lay out the page.
  let isScrolled = false;
  box.addEventListener("scroll", () => {
    isScrolled = true;
    if (box.scrollTop + 3 * box.clientHeight > box.scrollHeight) grow(box.childElementCount + LISTED);
  });
  const setCurrent = (item, isCurrent) => {
    item?.setAttribute("aria-current", String(isCurrent));
    if (item) item.tabIndex = isCurrent ? 0 : -1;
  };
  const mark = (problem) => {
    setCurrent(box.children[marked], false);
    marked = problems.indexOf(problem);
    if (marked < 0) return;
    if (marked >= box.childElementCount) grow(marked + LISTED);
    const item = box.children[marked];
    setCurrent(item, true);
    if (!marked && !isScrolled) return;
    const [inner, outer] = [item, box].map((node) => node.getBoundingClientRect());
    if (inner.top < outer.top || inner.bottom > outer.bottom) box.scrollTop += inner.top - outer.top;
  };
  const show = (shown, by) => {
    [problems, annotator, marked] = [shown, by, -1];
    box.replaceChildren();
    if (isScrolled) box.scrollTop = 0;
    isScrolled = false;
    if (shown.length) grow(LISTED);
    else box.append(element("p", { class: "empty" }, "No problem matches."));
  };
  box.addEventListener("click", (event) => {
    const item = event.target.closest("a");
    if (!item || event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    choose(problems[[...box.children].indexOf(item)], true);
  });
  box.addEventListener("keydown", (event) => {
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
    if (!(event.key in moves) || !problems.length) return;
    event.preventDefault();
    const at = Math.max(0, Math.min(problems.length - 1, marked + moves[event.key]));
    choose(problems[at], false);
    box.children[at].focus({ preventScroll: true });
  });
  return { box, show, mark };
}

function listItem(problem, annotator) {
  const [right, draws] = problem.draws;
  const fillBar = element("i");
  fillBar.style.width = `${draws ? (100 * right) / draws : 0}%`;
  const suspicious = problem.solutions.some((solution) => matchingStep(solution, FILTERS.suspicious, annotator) >= 0);
  return element(
    "a", { href: addressOf({ problem: problem.id }), role: "listitem", "aria-current": "false", tabindex: "-1" },
    element("span", { class: "question", dir: "auto" }, problem.question),
    element(
      "span", { class: "meta" },
      `${count(right)} of ${count(draws)} right${suspicious ? " · one with a step labelled wrong" : ""}`,
      element("span", { class: "bar", "aria-hidden": "true" }, fillBar),
    ),
  );
}
