const ANNOTATOR_STYLES = [
  { colour: "var(--prm)", dash: null, mark: "circle" },
  { colour: "var(--orm)", dash: null, mark: "square" },
  { colour: "var(--sc)", dash: null, mark: "triangle" },
  { colour: "var(--violet)", dash: null, mark: "diamond" },
];

/** Return one line for each annotator among some rows. */
function annotatorLines(rows, pointOf) {
  const groups = grouped(rows, "annotator");
  return inOrder(rows.map((row) => row.annotator)).map((annotator, index) => ({
    name: annotatorName(annotator),
    ...ANNOTATOR_STYLES[index % ANNOTATOR_STYLES.length],
    points: groups.find((group) => group[0].annotator === annotator).map(pointOf),
  }));
}

function showLabels(section, { marts }) {
  if (!marts.label_quality.length) return;
  const datasets = grouped(pooledQuality(marts.label_quality), "dataset");
  section.append(
    ...opening(
      "How good are the step labels?",
      "Last steps are left out. Their label is the correctness of the solution, which needs no estimate.",
    ),
    element("div", { class: "figures" }, ...datasets.flatMap((rows) => labelFigures(rows, marts))),
    qualityTable(marts.label_quality),
    ...agreementTable(marts.label_agreement),
  );
}

function labelFigures(quality, marts) {
  const { dataset } = quality[0];
  const of = marts.dataset_counts.length > 1 ? ` of ${dataset}` : "";
  const reference = quality.find((row) => row.reference)?.reference;
  const here = (rows) => rows.filter((row) => row.dataset === dataset);
  const position = { xName: "Step", xLabel: "position of the step in its solution", x: count };
  if (!reference) {
    return [
      lineFigure({
        title: `At which steps do the solutions${of} go wrong?`,
        note: "Share of steps labelled good, with 95\u00a0% Wilson intervals.",
        ...position,
        series: annotatorLines(quality, (row) => sharePoint(row.step_index, row.num_good, row.num_steps)),
      }),
      ...estimateFigures(here(marts.estimates_by_budget), of),
    ];
  }
  return [
    lineFigure({
      title: `Do labels${of} agree with the ${reference} at every step position?`,
      note: "Share of hard labels that agree, with 95\u00a0% Wilson intervals.",
      ...position,
      series: annotatorLines(quality.filter((row) => row.num_compared), (row) =>
        sharePoint(row.step_index, row.num_agreeing, row.num_compared),
      ),
    }),
    ...[
      partFigure(here(marts.label_quality_by_level), "level", "Level", `of each difficulty${of}`),
      partFigure(here(marts.label_quality_by_length), "solution_steps", "Steps", `of solutions${of} of each length`),
    ].filter(Boolean),
    ...grouped(here(marts.rollout_budgets), "completer").map((rows) => budgetFigure(rows, reference, of)),
    ...estimateFigures(here(marts.estimates_by_budget), of),
  ];
}

/** Return the figure of agreement with the reference by a column; null if there is one value alone. */
function partFigure(rows, column, name, what) {
  const compared = rows.filter((row) => row.num_compared);
  if (new Set(compared.map((row) => row[column])).size < 2) return null;
  return barFigure({
    title: `Do labels ${what} agree with the reference?`,
    note: "Share of hard labels that agree, with 95\u00a0% Wilson intervals.",
    xName: name, xLabel: name === "Level" ? "level of the problem" : "steps of the solution", x: String,
    series: annotatorLines(compared, (row) => sharePoint(row[column], row.num_agreeing, row.num_compared)),
  });
}

const BUDGET = { xName: "N =", xLabel: "N, rollouts of a step", x: count };

function budgetFigure(rows, reference, of) {
  return lineFigure({
    title: `How good are labels${of} from fewer rollouts of the ${rows[0].completer}?`,
    note: `Labels from the first N rollouts, compared with the ${reference}. Hard: share that agree. Soft: one minus the mean absolute error.`,
    ...BUDGET,
    series: [
      {
        name: "hard", ...ANNOTATOR_STYLES[0],
        points: rows.map((row) => ({
          x: row.num_rollouts, y: row.hard_agreement,
          detail: `${count(row.num_false_good)} false good, ${count(row.num_false_wrong)} false wrong`,
        })),
      },
      {
        name: "soft", ...ANNOTATOR_STYLES[1], dash: "7 4",
        points: rows.map((row) => ({ x: row.num_rollouts, y: 1 - row.mean_soft_error })),
      },
    ],
  });
}

function estimateFigures(estimates, of) {
  return grouped(estimates, "completer").map((rows) =>
    lineFigure({
      title: `How does the estimate${of} of the ${rows[0].completer} change with N?`,
      note:
        `Hard: share of ${count(rows[0].num_prefixes)} distinct prefixes labelled good from the first N rollouts, with its ` +
        "95\u00a0% Wilson interval. Soft: mean soft label, with the mean interval of a prefix.",
      ...BUDGET,
      series: [
        {
          name: "hard", ...ANNOTATOR_STYLES[0],
          points: rows.map((row) => ({
            x: row.num_rollouts, y: row.share_good, low: row.share_good_low, high: row.share_good_high,
            detail: `${count(row.num_changed_later)} change with more rollouts`,
          })),
        },
        {
          name: "soft", ...ANNOTATOR_STYLES[1], dash: "7 4",
          points: rows.map((row) => ({
            x: row.num_rollouts, y: row.mean_soft, low: row.mean_soft_low, high: row.mean_soft_high,
          })),
        },
      ],
    }),
  );
}

function qualityTable(rows) {
  return table(
    "Labels by step position",
    [
      { head: "Dataset", text: true, cell: (row) => row.dataset },
      { head: "Annotator", text: true, cell: (row) => annotatorName(row.annotator) },
      { head: "Generator", text: true, cell: (row) => row.generator },
      { head: "Step", cell: (row) => count(row.step_index) },
      { head: "Steps", cell: (row) => count(row.num_steps) },
      { head: "Labelled good", cell: (row) => percent(row.share_good) },
      { head: "Mean soft label", cell: (row) => percent(row.mean_soft) },
      { head: "Agreement", cell: (row) => percent(row.agreement) },
      { head: "Wrong: precision", cell: (row) => percent(row.wrong_precision) },
      { head: "Wrong: recall", cell: (row) => percent(row.wrong_recall) },
    ],
    rows,
  );
}

function agreementTable(rows) {
  if (!rows.length) return [];
  return [
    table(
      "How often do annotators agree?",
      [
        { head: "Dataset", text: true, cell: (row) => row.dataset },
        { head: "First", text: true, cell: (row) => annotatorName(row.annotator) },
        { head: "Second", text: true, cell: (row) => annotatorName(row.other_annotator) },
        { head: "Steps", cell: (row) => count(row.num_steps) },
        { head: "Agreement", cell: (row) => percent(row.agreement) },
        { head: "Cohen's kappa", cell: (row) => significant(row.cohen_kappa) },
        { head: "Good by first only", cell: (row) => count(row.num_only_first_good) },
        { head: "Good by second only", cell: (row) => count(row.num_only_second_good) },
        { head: "Same first wrong step", cell: (row) => percent(row.first_error_agreement) },
      ],
      rows,
    ),
  ];
}
