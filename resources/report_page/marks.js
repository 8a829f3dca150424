/** What a person thinks of steps: `{mark: "right" | "wrong" | "", note}` by solution and step. */
const marks = {
  items: new Map(),
  listeners: [],
  store: null,
  of: (solutionId, step) => marks.items.get(`${solutionId} ${step}`),
  set(solutionId, step, changed) {
    const key = `${solutionId} ${step}`;
    const item = { mark: "", note: "", ...marks.items.get(key), ...changed };
    if (item.mark || item.note) marks.items.set(key, item);
    else marks.items.delete(key);
    marks.store?.();
    marks.listeners.forEach((listener) => listener());
  },
};

const isServed = () => location.protocol.startsWith("http");

/** Return the text of marks as JSONL: a row a solution with marks or notes, as `shepherd labels import` reads. */
async function marksText(content) {
  const ids = new Set([...marks.items.keys()].map((key) => key.split(" ")[0]));
  const rows = [];
  for (const problem of content.problems) {
    for (const [at, solution] of problem.solutions.entries()) {
      if (!ids.has(solution.id)) continue;
      const { question, steps } = await problem.loadTexts();
      const given = steps[at].map((_, step) => marks.of(solution.id, step));
      rows.push({
        solution_id: solution.id, dataset: problem.dataset, split: problem.split, generator: solution.generator,
        question, steps: steps[at], is_correct: solution.correct, is_cut: isCut(problem, solution, question, content.limits),
        marks: given.map((item) => item?.mark || null), notes: given.map((item) => item?.note || null),
      });
    }
  }
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

/** Return whether the page holds only the beginning of a text of a solution. */
function isCut(problem, solution, question, { characters }) {
  return Boolean(solution.cut) || question.length > characters;
}

/** Read marks from the JSONL of `marksText`. */
function readMarks(text) {
  for (const line of text.split("\n").filter((each) => each.trim())) {
    const row = JSON.parse(line);
    row.marks.forEach((mark, step) => {
      const item = { mark: mark ?? "", note: row.notes?.[step] ?? "" };
      if (item.mark || item.note) marks.items.set(`${row.solution_id} ${step}`, item);
    });
  }
}

/** Take up the marks of this browser, or those beside the report under `--serve`; store changes there. */
async function openMarks(content, status) {
  const key = `shepherd marks of ${content.profile}`;
  if (isServed()) {
    readMarks(await (await fetch("marks")).text());
    let pending = 0;
    marks.store = () => {
      clearTimeout(pending);
      pending = setTimeout(async () => {
        const body = await marksText(content);
        const reply = await fetch("marks", { method: "PUT", headers: { "Content-Type": "application/jsonl" }, body });
        status(reply.ok ? "Written to report_marks.jsonl beside the report." : `Not saved: ${await reply.text()}`);
      }, 300);
    };
    return;
  }
  marks.items = new Map(JSON.parse(localStorage.getItem(key) ?? "[]"));
  marks.store = () => {
    localStorage.setItem(key, JSON.stringify([...marks.items]));
    status("Kept in this browser. Download them to import them as labels.");
  };
}

/** Return the buttons that mark a step and write a note on it. */
function markButtons(solution, step) {
  const box = element("span", { class: "marks" });
  const draw = () => {
    const item = marks.of(solution.id, step);
    const button = (mark, sign, name) =>
      pressed(sign, () => marks.set(solution.id, step, { mark: item?.mark === mark ? "" : mark }), {
        class: `mark ${mark}`, title: name, "aria-label": name, "aria-pressed": String(item?.mark === mark), tabindex: "-1",
      });
    box.replaceChildren(
      button("right", "✓", "Mark as right (r)"),
      button("wrong", "✗", "Mark as wrong (w)"),
      pressed("✎", () => openNote(box, solution, step), {
        class: "mark remark", title: "Note (n)", "aria-label": "Note (n)", "aria-pressed": String(Boolean(item?.note)), tabindex: "-1",
      }),
    );
    const noted = box.parentNode?.querySelector(".noted");
    if (noted) noted.textContent = item?.note ?? "";
  };
  box.redraw = draw;
  draw();
  return box;
}

/** Show the field of a step's note below it. */
function openNote(box, solution, step) {
  const row = box.closest(".step");
  if (row.querySelector("textarea")) return;
  const field = element("textarea", { "aria-label": "Note", rows: "2", placeholder: "What is wrong here?" });
  field.value = marks.of(solution.id, step)?.note ?? "";
  const close = () => {
    field.remove();
    marks.set(solution.id, step, { note: field.value.trim() });
    row.focus();
  };
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape" || (event.key === "Enter" && !event.shiftKey)) field.blur();
  });
  field.addEventListener("blur", close, { once: true });
  row.append(field);
  field.focus();
}
