const METHODS = {
  oracle: { colour: "var(--oracle)", dash: "2 4", mark: "circle" },
  PRM: { colour: "var(--prm)", dash: null, mark: "circle" },
  "SC+PRM": { colour: "var(--prm)", dash: "7 4", mark: "diamond" },
  ORM: { colour: "var(--orm)", dash: null, mark: "square" },
  "SC+ORM": { colour: "var(--orm)", dash: "7 4", mark: "triangle" },
  SC: { colour: "var(--sc)", dash: null, mark: "triangle" },
};
const ANNOTATOR_STYLES = [
  { colour: "var(--prm)", dash: null, mark: "circle" },
  { colour: "var(--orm)", dash: null, mark: "square" },
  { colour: "var(--sc)", dash: null, mark: "triangle" },
  { colour: "var(--violet)", dash: null, mark: "diamond" },
];

const sum = (rows, column) => rows.reduce((total, row) => total + (row[column] ?? 0), 0);

/** Return rows in groups by the values of some columns, in the order in which they come. */
function grouped(rows, ...columns) {
  const groups = new Map();
  for (const row of rows) {
    const key = JSON.stringify(columns.map((column) => row[column]));
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  return [...groups.values()];
}

async function load() {
  const packed = Uint8Array.from(atob(document.getElementById("data").textContent), (c) => c.charCodeAt(0));
  const { readable, writable } = new DecompressionStream("gzip");
  const writer = writable.getWriter();
  writer.write(packed);
  writer.close();
  return new Response(readable).json();
}

/** Return the accuracies of one dataset and generator at the largest N, by method. */
function bestOfN(results) {
  const largest = Math.max(...results.map((row) => row.num_candidates));
  const at = (method) => results.find((r) => r.method === method && r.num_candidates === largest)?.accuracy;
  const single = results.find((row) => row.method === "pass@1")?.accuracy;
  return { largest, at, single, problems: results[0].num_problems };
}

function showLead({ marts }) {
  const lead = document.getElementById("lead");
  const judged = grouped(marts.verification_results, "dataset", "generator");
  const agreeing = sum(marts.label_quality, "num_agreeing");
  const compared = sum(marts.label_quality, "num_compared");
  const sentences = [];
  if (compared) {
    const reference = marts.label_quality.find((row) => row.reference)?.reference;
    sentences.push(
      `Hard labels from rollouts agree with the ${reference} on ${percent(agreeing / compared)} of ` +
        `${count(compared)} steps.`,
    );
  }
  for (const results of judged) {
    const { largest, at, single, problems } = bestOfN(results);
    const ways = [["the process reward model", "PRM"], ["the outcome reward model", "ORM"], ["a majority vote", "SC"]]
      .filter(([, method]) => at(method) !== undefined)
      .map(([name, method]) => `${name} ${percent(at(method))}`);
    if (!ways.length || single === undefined) continue;
    sentences.push(
      `Of ${count(problems)} test problems${judged.length > 1 ? ` of ${results[0].dataset} (${results[0].generator})` : ""}, ` +
        `one sample solves ${percent(single)}; choosing among ${count(largest)}, ${ways.join(", ")}.`,
    );
  }
  const solutions = sum(marts.dataset_counts, "num_solutions");
  if (!sentences.length && solutions) {
    const right = sum(marts.dataset_counts, "num_correct_solutions");
    sentences.push(`${percent(right / solutions)} of ${count(solutions)} distinct solutions are right. No step is labelled yet.`);
  }
  lead.textContent = sentences.join(" ") || "Nothing was sampled yet.";
}

function showOverview(section, { marts }) {
  const counts = marts.dataset_counts;
  const merged = sum(marts.annotation_cost, "num_merged");
  const asked = merged + sum(marts.annotation_cost, "num_rollouts");
  const tiles = [
    [count(sum(counts, "num_problems")), "problems"],
    [count(sum(counts, "num_draws")), `solutions drawn, ${count(sum(counts, "num_solutions"))} of them distinct`],
    [count(sum(counts, "num_steps")), "steps"],
    [count(sum(counts, "num_rollouts")), `rollouts from ${count(sum(counts, "num_prefixes"))} distinct prefixes`],
    [count(sum(counts, "num_labels")), "step labels, by all annotators"],
    asked ? [percent(merged / asked), "of rollouts saved by merging equal prefixes"] : null,
  ].filter(Boolean);
  section.append(
    element(
      "div", { class: "tiles" },
      ...tiles.map(([value, name]) =>
        element("div", { class: "tile" }, element("b", {}, value), element("span", {}, name)),
      ),
    ),
  );
}

function showVerification(section, { marts }) {
  section.append(
    element("h2", {}, "Does choosing by process labels beat voting?"),
    element(
      "p", { class: "note" },
      "A test problem counts as solved if the one candidate that a method picks among N is right. SC is the " +
        "majority vote, ORM and PRM take the best score, SC+ORM and SC+PRM weight the votes by it (paper, eq. 5). " +
        "The oracle picks a right candidate wherever there is one: nothing can be above it.",
    ),
  );
  if (!marts.verification_results.length) return showNothing(section, "No evaluations yet.");
  const figures = grouped(marts.verification_results, "dataset", "generator").map((results) =>
    lineFigure({
      title: `How many problems of ${results[0].dataset} are solved by choosing among N candidates of ${results[0].generator}?`,
      note: `Share of ${count(results[0].num_problems)} test problems solved. Bands: 95\u00a0% bootstrap interval over problems.`,
      wide: true,
      log2: true,
      xName: "N =",
      xLabel: "N, candidates per problem (log scale)",
      x: count,
      series: Object.entries(METHODS)
        .map(([name, style]) => ({ name, ...style, points: curve(results, name) }))
        .filter((series) => series.points.length),
    }),
  );
  section.append(element("div", { class: "figures" }, ...figures));
}

function curve(results, method) {
  return results
    .filter((row) => row.method === method)
    .sort((a, b) => a.num_candidates - b.num_candidates)
    .map((row) => ({ x: row.num_candidates, y: row.accuracy, low: row.accuracy_low, high: row.accuracy_high }));
}

function showLabels(section, { marts }) {
  section.append(
    element("h2", {}, "How good are the step labels?"),
    element(
      "p", { class: "note" },
      "Last steps are left out everywhere: their label is the solution's own correctness, which needs no estimate.",
    ),
  );
  if (!marts.label_quality.length) return showNothing(section, "No labels yet.");
  const figures = grouped(marts.label_quality, "dataset").flatMap((rows) => labelFigures(rows, marts));
  section.append(
    element("div", { class: "figures" }, ...figures),
    table(
      "What do annotators say, by position of the step?",
      [
        { head: "Dataset", text: true, cell: (row) => row.dataset },
        { head: "Annotator", text: true, cell: (row) => annotatorName(row.annotator) },
        { head: "Step", cell: (row) => count(row.step_index) },
        { head: "Steps", cell: (row) => count(row.num_steps) },
        { head: "Labelled good", cell: (row) => percent(row.share_good) },
        { head: "Mean soft label", cell: (row) => percent(row.mean_soft) },
        { head: "Agreement", cell: (row) => percent(row.agreement) },
        { head: "Wrong: precision", cell: (row) => percent(row.wrong_precision) },
        { head: "Wrong: recall", cell: (row) => percent(row.wrong_recall) },
      ],
      marts.label_quality,
    ),
  );
}

function labelFigures(quality, marts) {
  const { dataset } = quality[0];
  const of = marts.dataset_counts.length > 1 ? ` of ${dataset}` : "";
  const reference = quality.find((row) => row.reference)?.reference;
  const styled = (groups) =>
    groups.map((rows, index) => ({ rows, style: ANNOTATOR_STYLES[index % ANNOTATOR_STYLES.length] }));
  if (!reference) {
    return [
      lineFigure({
        title: `Where do the solutions${of} go wrong?`,
        note: "Share of steps labelled good.",
        xName: "Step",
        xLabel: "position of the step in its solution",
        x: count,
        series: styled(grouped(quality, "annotator")).map(({ rows, style }) => ({
          name: annotatorName(rows[0].annotator),
          ...style,
          points: rows.map((row) => ({ x: row.step_index, y: row.share_good, detail: `${count(row.num_steps)} steps` })),
        })),
      }),
    ];
  }
  const compared = quality.filter((row) => row.num_compared);
  const bins = marts.calibration_bins.filter((row) => row.dataset === dataset);
  const budgets = marts.rollout_budgets.filter((row) => row.dataset === dataset);
  return [
    lineFigure({
      title: `Do labels${of} agree with the ${reference}, early and late?`,
      note: "Share of hard labels that agree, with 95\u00a0% Wilson intervals.",
      xName: "Step",
      xLabel: "position of the step in its solution",
      x: count,
      series: styled(grouped(compared, "annotator")).map(({ rows, style }) => ({
        name: annotatorName(rows[0].annotator),
        ...style,
        points: rows.map((row) => ({
          x: row.step_index, y: row.agreement, detail: `${count(row.num_compared)} steps`,
          ...wilson(row.num_agreeing, row.num_compared),
        })),
      })),
    }),
    lineFigure({
      title: `Is a soft label${of} the chance that a step is right?`,
      note: `Share of steps that the ${reference} calls right, by tenth of the soft label. On the dotted line the two are equal.`,
      diagonal: true,
      yDomain: [0, 1],
      xDomain: [0, 1],
      xTicks: [0, 0.5, 1],
      xName: "Soft label",
      xLabel: "mean soft label of the tenth",
      x: (share) => share.toLocaleString("en", { maximumFractionDigits: 2 }),
      series: styled(grouped(bins, "annotator")).map(({ rows, style }) => ({
        name: annotatorName(rows[0].annotator),
        ...style,
        points: rows.map((row) => ({ x: row.mean_soft, y: row.share_truly_good, detail: `${count(row.num_steps)} steps` })),
      })),
    }),
    ...grouped(budgets, "completer").map((rows) =>
      lineFigure({
        title: `Would fewer rollouts${of} by the ${rows[0].completer} have done?`,
        note: `Agreement with the ${reference} of labels from the first N rollouts only. Soft: one minus the mean distance from the truth.`,
        xName: "N =",
        xLabel: "N, rollouts of a step",
        x: count,
        series: [
          { name: "hard", ...ANNOTATOR_STYLES[0], points: rows.map((row) => ({ x: row.num_rollouts, y: row.hard_agreement, detail: `${count(row.num_false_good)} falsely good, ${count(row.num_false_wrong)} falsely wrong` })) },
          { name: "soft", ...ANNOTATOR_STYLES[1], dash: "7 4", points: rows.map((row) => ({ x: row.num_rollouts, y: 1 - row.mean_soft_error })) },
        ],
      }),
    ),
  ];
}

/** Return the 95\u00a0% Wilson interval of a share. */
function wilson(successes, trials) {
  const z2 = 1.959963984540054 ** 2;
  const share = successes / trials;
  const scale = 1 + z2 / trials;
  const centre = (share + z2 / (2 * trials)) / scale;
  const reach = Math.sqrt(z2 * ((share * (1 - share)) / trials + z2 / (4 * trials * trials))) / scale;
  return { low: Math.max(0, Math.min(centre - reach, share)), high: Math.min(1, Math.max(centre + reach, share)) };
}

function showCost(section, { marts }) {
  section.append(element("h2", {}, "What does a label cost?"));
  if (!marts.sampling_costs.length) return showNothing(section, "Nothing was sampled here.");
  section.append(
    element(
      "p", { class: "note" },
      "A label of a last step costs nothing, and equal prefixes are rolled out once for all solutions that share " +
        "them. Seconds are the engine's own.",
    ),
    table(
      "Step labels",
      [
        { head: "Dataset", text: true, cell: (row) => row.dataset },
        { head: "Completer", text: true, cell: (row) => row.model },
        { head: "Labels", cell: (row) => count(row.num_labels) },
        { head: "Rollouts", cell: (row) => count(row.num_rollouts) },
        { head: "Saved by merging", cell: (row) => `${count(row.num_merged)} (${percent(row.share_merged)})` },
        { head: "Rollouts / label", cell: (row) => significant(row.rollouts_per_label) },
        { head: "Tokens / label", cell: (row) => significant(row.tokens_per_label) },
        { head: "Seconds / 1,000 labels", cell: (row) => significant(row.seconds_per_label === null ? null : 1000 * row.seconds_per_label) },
        { head: "Tokens / solution", cell: (row) => significant(row.tokens_per_solution) },
      ],
      marts.annotation_cost,
    ),
    table(
      "All sampling",
      [
        { head: "Dataset", text: true, cell: (row) => row.dataset },
        { head: "Stage", text: true, cell: (row) => row.stage },
        { head: "Model", text: true, cell: (row) => row.model },
        { head: "Completions", cell: (row) => count(row.num_requests) },
        { head: "Tokens", cell: (row) => count(row.completion_tokens) },
        { head: "Prompt tokens from cache", cell: (row) => percent(row.share_cached) },
        { head: "Seconds", cell: (row) => significant(row.seconds) },
        { head: "Tokens / s", cell: (row) => count(Math.round(row.tokens_per_second ?? 0)) },
      ],
      marts.sampling_costs,
    ),
  );
}

function showGrading(section, { marts }) {
  if (!marts.grading_reasons.length) return;
  section.append(
    table(
      "How were answers graded?",
      [
        { head: "Dataset", text: true, cell: (row) => row.dataset },
        { head: "Stage", text: true, cell: (row) => row.stage },
        { head: "Model", text: true, cell: (row) => row.model },
        { head: "Verdict", text: true, cell: (row) => (row.is_correct ? "right" : "wrong") },
        { head: "Reason", text: true, cell: (row) => row.grade_reason },
        { head: "Answers", cell: (row) => count(row.num_answers) },
        { head: "Share", cell: (row) => percent(row.share) },
      ],
      marts.grading_reasons,
    ),
  );
}

function showNothing(section, message) {
  section.append(element("p", { class: "note" }, message));
}

load().then(
  (content) => {
    showLead(content);
    showOverview(document.getElementById("overview"), content);
    showVerification(document.getElementById("verification"), content);
    showLabels(document.getElementById("labels"), content);
    showCost(document.getElementById("cost"), content);
    showGrading(document.getElementById("cost"), content);
    showBrowser(document.getElementById("solutions"), content);
  },
  () => {
    document.getElementById("lead").textContent =
      "This browser cannot unpack the page's data: it needs DecompressionStream (any browser since 2023).";
  },
);
