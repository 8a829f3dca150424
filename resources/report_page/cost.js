function showCost(section, { marts }) {
  if (!marts.sampling_costs.length) return;
  const figures = grouped(marts.quality_by_cost, "dataset").flatMap((rows) => valueFigures(rows, marts));
  section.append(
    ...opening(
      "What does a label cost, and what is it worth?",
      "The label of a last step costs no rollouts. Solutions that share a prefix share its rollouts. Seconds are the " +
        "running time of the engine.",
    ),
    element("div", { class: "figures" }, ...figures),
    table(
      "Step labels",
      [
        { head: "Dataset", text: true, cell: (row) => row.dataset },
        { head: "Completer", text: true, cell: (row) => row.model },
        { head: "Labels", cell: (row) => count(row.num_labels) },
        { head: "Rollouts", cell: (row) => count(row.num_rollouts) },
        { head: "Saved by merging", cell: (row) => withShare(row.num_merged, row.share_merged) },
        { head: "Saved by stopping", cell: (row) => withShare(row.num_spared, row.share_spared) },
        { head: "Rollouts / label", cell: (row) => significant(row.rollouts_per_label) },
        { head: "Tokens / label", cell: (row) => significant(row.tokens_per_label) },
        { head: "Seconds / 1,000 labels", cell: (row) => significant(isUnknown(row.seconds_per_label) ? null : 1000 * row.seconds_per_label) },
        { head: "Tokens / solution", cell: (row) => significant(row.tokens_per_solution) },
      ],
      marts.annotation_cost,
    ),
    ...annotatorCosts(marts.annotator_costs),
    table(
      "All sampling",
      [
        { head: "Dataset", text: true, cell: (row) => row.dataset },
        { head: "Stage", text: true, cell: (row) => row.stage },
        { head: "Model", text: true, cell: (row) => row.model },
        { head: "Completions", cell: (row) => count(row.num_requests) },
        { head: "Tokens", cell: (row) => count(row.completion_tokens) },
        ...thoughtColumns(marts.sampling_costs),
        { head: "Prompt tokens from cache", cell: (row) => percent(row.share_cached) },
        { head: "Seconds", cell: (row) => significant(row.seconds) },
        { head: "Tokens / s", cell: (row) => count(isUnknown(row.tokens_per_second) ? null : Math.round(row.tokens_per_second)) },
      ],
      marts.sampling_costs,
    ),
  );
}

const withShare = (number, share) => (isUnknown(number) ? UNKNOWN : isUnknown(share) ? count(number) : `${count(number)} (${percent(share)})`);

/** Return the figures of agreement with the reference by tokens and by seconds of a label. */
function valueFigures(rows, marts) {
  const of = marts.dataset_counts.length > 1 ? ` of ${rows[0].dataset}` : "";
  const seconds = (value) => `${significant(1000 * value)}`;
  return [
    ["tokens_per_label", "tokens", "completion tokens per label", significant],
    ["seconds_per_label", "seconds", "engine seconds per 1,000 labels", seconds],
  ]
    .filter(([column]) => rows.some((row) => row[column] > 0))
    .map(([column, name, xLabel, x]) =>
      lineFigure({
        title: `What does accuracy of labels${of} cost in ${name}?`,
        note:
          "Share of hard labels that agree with the reference, with 95 % Wilson intervals. A mark is an annotator; a line " +
          "is labels from the first N rollouts of a step.",
        xName: name === "tokens" ? "Tokens per label" : "Seconds per 1,000 labels", xLabel, x, xTicks: ticksOf(rows, column),
        leastSpan: 0.02, series: valueSeries(rows, column),
      }),
    );
}

function ticksOf(rows, column) {
  const costs = rows.map((row) => row[column]).filter((cost) => !isUnknown(cost));
  return niceTicks(Math.min(...costs), Math.max(...costs), 5);
}

function valueSeries(rows, column) {
  const known = rows.filter((row) => !isUnknown(row[column]));
  return grouped(known, "labeller", "is_budget").map((part, index) => ({
    name: part[0].is_budget ? `first N of ${part[0].labeller}` : annotatorName(part[0].labeller),
    ...CURVE_STYLES[index % CURVE_STYLES.length],
    points: part
      .map((row) => {
        const point = sharePoint(row[column], row.num_agreeing, row.num_compared);
        return row.is_budget ? { ...point, detail: `N = ${row.num_rollouts}, ${point.detail}` } : point;
      })
      .sort((a, b) => a.x - b.x),
  }));
}

function thoughtColumns(rows) {
  if (!rows.some((row) => row.thought_tokens)) return [];
  return [
    { head: "of thoughts", cell: (row) => count(row.thought_tokens) },
    { head: "of answers", cell: (row) => count(row.answer_tokens) },
  ];
}

function annotatorCosts(rows) {
  if (!rows.length) return [];
  return [
    table(
      "Rollouts that shared prefixes and early stopping save, by annotator",
      [
        { head: "Dataset", text: true, cell: (row) => row.dataset },
        { head: "Annotator", text: true, cell: (row) => annotatorName(row.annotator) },
        { head: "Labels", cell: (row) => count(row.num_labels) },
        { head: "Rollouts", cell: (row) => count(row.num_rollouts) },
        { head: "Saved by merging", cell: (row) => withShare(row.num_merged, row.share_merged) },
        { head: "Saved by stopping", cell: (row) => withShare(row.num_stopped, row.share_stopped) },
        { head: "Rollouts / label", cell: (row) => significant(row.rollouts_per_label) },
        { head: "Tokens / label", cell: (row) => significant(row.tokens_per_label) },
      ],
      rows,
    ),
  ];
}

function showGrading(section, { marts }) {
  if (!marts.grading_reasons.length) return;
  section.append(
    ...opening("How did completions end, and how were their answers graded?"),
    table(
      "Completions",
      [
        { head: "Dataset", text: true, cell: (row) => row.dataset },
        { head: "Stage", text: true, cell: (row) => row.stage },
        { head: "Model", text: true, cell: (row) => row.model },
        { head: "Completions", cell: (row) => count(row.num_completions) },
        { head: "Cut", cell: (row) => percent(row.share_truncated) },
        { head: "Cut in a loop", cell: (row) => count(row.num_looping) },
        { head: "Failed", cell: (row) => count(row.num_failed) },
        { head: "No answer", cell: (row) => percent(row.share_unanswered) },
        { head: "Repeated", cell: (row) => percent(row.share_repeated) },
        { head: "Mean tokens", cell: (row) => significant(row.mean_tokens) },
      ],
      marts.completion_endings,
    ),
    table(
      "Verdicts",
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
