/** Save a text or bytes as a file of the browser's downloads. */
function save(name, content, type) {
  const link = element("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Return the solutions of some problems that match a filter, each with its problem and position. */
function selected(problems, filter, annotator) {
  return problems.flatMap((problem) =>
    problem.solutions
      .map((solution, at) => ({ problem, solution, at }))
      .filter(({ solution }) => !filter.step || matchingStep(solution, filter, annotator) >= 0),
  );
}

/** Return how many solutions `selected` returns. */
function numSelected(problems, filter, annotator) {
  const isSelected = (solution) => !filter.step || matchingStep(solution, filter, annotator) >= 0;
  return problems.reduce((number, { solutions }) => number + solutions.filter(isSelected).length, 0);
}

/** Return a row of a selection: a solution with its steps, labels, scores, marks and notes. */
async function selectedRow({ problem, solution, at }) {
  const { question, steps } = await problem.loadTexts();
  const labels = Object.keys(solution.hard).map((annotator) => ({
    annotator, hard: [...solution.hard[annotator]].map(Number), soft: solution.soft[annotator] ?? null,
  }));
  const given = steps[at].map((_, step) => marks.of(solution.id, step));
  return {
    solution_id: solution.id, problem_id: problem.id, dataset: problem.dataset, split: problem.split, level: problem.level,
    question, gold_answer: problem.gold, generator: solution.generator, answer: solution.answer, is_correct: solution.correct,
    num_samples: solution.draws, steps: steps[at], labels, prm_scores: solution.scores ?? null, orm_score: solution.outcome ?? null,
    marks: given.map((item) => item?.mark || null), notes: given.map((item) => item?.note || null),
  };
}

async function selectionText(selection) {
  const lines = [];
  for (const one of selection) lines.push(`${JSON.stringify(await selectedRow(one))}\n`);
  return lines.join("");
}

/** Return tasks for Label Studio: an item of data a step, and a prediction an annotator. */
async function labelStudioTasks(selection) {
  const tasks = [];
  for (const one of selection) {
    const row = await selectedRow(one);
    const { labels, marks: _, notes: __, steps, ...facts } = row;
    const result = (hard) =>
      hard.map((label, step) => ({
        from_name: `label_${step}`, to_name: `step_${step}`, type: "choices", value: { choices: [label ? "right" : "wrong"] },
      }));
    tasks.push({
      data: { ...facts, steps: steps.map((text, step) => ({ number: step + 1, text })) },
      predictions: labels.map(({ annotator, hard }) => ({ model_version: annotator, result: result(hard) })),
    });
  }
  return JSON.stringify(tasks, null, 1);
}

/** Save a selection as Parquet, which the server of `--serve` makes of its rows. */
async function saveParquet(selection) {
  const reply = await fetch("selection.parquet", {
    method: "POST", headers: { "Content-Type": "application/jsonl" }, body: await selectionText(selection),
  });
  if (!reply.ok) throw new Error(await reply.text());
  save("selection.parquet", await reply.blob(), "application/vnd.apache.parquet");
}

/** Return the buttons that take a selection and the marks along; `choice()` says which when they are pressed. */
function takeAlong(content, choice, status) {
  const selection = () => selected(...choice());
  const button = (name, call) =>
    pressed(name, () => Promise.resolve(call()).catch((error) => status(error.message)), { class: "plain" });
  const load = element("input", { type: "file", accept: ".jsonl", hidden: "" });
  load.addEventListener("change", async () => {
    readMarks(await load.files[0].text());
    marks.store();
    marks.listeners.forEach((listener) => listener());
  });
  const number = element("span", {});
  const numMarks = element("span", {});
  const redraw = () => {
    number.textContent = `Take ${counted(numSelected(...choice()), "solution")} along:`;
    numMarks.textContent = `${counted(marks.items.size, "mark")} and notes of mine:`;
  };
  marks.listeners.push(redraw);
  const box = element(
    "div", { class: "take" },
    number,
    button("JSONL", async () => save("selection.jsonl", await selectionText(selection()), "application/jsonl")),
    isServed() ? button("Parquet", () => saveParquet(selection())) : null,
    button("Label Studio", async () => save("label-studio.json", await labelStudioTasks(selection()), "application/json")),
    numMarks,
    button("download", async () => save("marks.jsonl", await marksText(content), "application/jsonl")),
    button("load", () => load.click()), load,
  );
  return { box, redraw };
}
