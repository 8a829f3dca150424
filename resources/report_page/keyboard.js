const KEYS = [
  ["↑ ↓", "previous and next problem or step"],
  ["← →", "previous and next solution"],
  ["Enter", "rollouts of the step; from the list: its step"],
  ["r, w", "mark the step as right, as wrong"],
  ["n", "write a note"],
  ["Esc", "back to the list"],
];

function keyHelp() {
  return element(
    "details", { class: "keys" },
    element("summary", {}, "Keys"),
    element("dl", {}, ...KEYS.flatMap(([keys, meaning]) => [element("dt", {}, keys), element("dd", {}, meaning)])),
  );
}

/** Return the cards of solutions in the order of the page, each as its steps. */
const stepsOnPage = (detail) => [...detail.querySelectorAll(".card")].map((card) => [...card.querySelectorAll(".step")]);

/** Return the step that an arrow key leads to from a step; undefined at the ends. */
function neighbour(detail, row, key) {
  const cards = stepsOnPage(detail);
  const card = cards.findIndex((steps) => steps.includes(row));
  const step = cards[card].indexOf(row);
  const all = cards.flat();
  const flat = all.indexOf(row);
  switch (key) {
    case "ArrowDown": return all[flat + 1];
    case "ArrowUp": return all[flat - 1];
    case "ArrowRight": return cards[card + 1]?.[Math.min(step, cards[card + 1].length - 1)];
    case "ArrowLeft": return cards[card - 1]?.[Math.min(step, cards[card - 1].length - 1)];
    case "Home": return cards[card][0];
    case "End": return cards[card][cards[card].length - 1];
    default: return undefined;
  }
}

/** Let keys move between the steps of a problem, unfold rollouts, and mark steps. */
function addKeys(detail, { problem, choose, backToList }) {
  const rowOf = (event) => event.target.closest?.(".step");
  detail.addEventListener("focusin", (event) => {
    const row = rowOf(event);
    if (row) choose(row);
  });
  detail.addEventListener("click", (event) => {
    const row = rowOf(event);
    if (row && !event.target.closest("button, textarea")) row.focus({ preventScroll: true });
  });
  detail.addEventListener("keydown", (event) => {
    const row = rowOf(event);
    if (!row || event.metaKey || event.ctrlKey || event.altKey) return;
    const next = neighbour(detail, row, event.key);
    if (next) {
      event.preventDefault();
      next.focus({ preventScroll: true });
      next.scrollIntoView({ block: "nearest", behavior: "instant" });
      return;
    }
    const press = (selector) => {
      event.preventDefault();
      row.querySelector(selector)?.click();
    };
    if (event.key === "Escape") backToList();
    else if (event.key === "r") press(".mark.right");
    else if (event.key === "w") press(".mark.wrong");
    else if (event.key === "n") press(".mark.remark");
    else if (event.key === "Enter" && event.target === row) press(".fold");
  });
  marks.listeners.push(() => detail.querySelectorAll(".marks").forEach((box) => {
    const focused = box.contains(document.activeElement) && document.activeElement.getAttribute("aria-label");
    box.redraw();
    if (focused) box.querySelector(`[aria-label="${focused}"]`).focus();
  }));
}
