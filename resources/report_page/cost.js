function showCost(section, { marts }) {
  section.append(element("h2", {}, "What does a label cost?"));
  if (!marts.sampling_costs.length) return showNothing(section, "Nothing was sampled here.");
  section.append(
    element(
      "p", { class: "note" },
      "The label of a last step costs no rollouts. Solutions that share a prefix share its rollouts. Seconds are the " +
        "running time of the engine.",
    ),
    table(
      "Step labels",
      [
        { head: "Dataset", text: true, cell: (row) => row.dataset },
        { head: "Completer", text: true, cell: (row) => row.model },
        { head: "Labels", cell: (row) => count(row.num_labels) },
        { head: "Rollouts", cell: (row) => count(row.num_rollouts) },
        { head: "Saved by merging", cell: (row) => `${count(row.num_merged)} (${percent(row.share_merged)})` },
        { head: "Saved by stopping", cell: (row) => `${count(row.num_spared)} (${percent(row.share_spared)})` },
        { head: "Rollouts / label", cell: (row) => significant(row.rollouts_per_label) },
        { head: "Tokens / label", cell: (row) => significant(row.tokens_per_label) },
        { head: "Seconds / 1,000 labels", cell: (row) => significant(row.seconds_per_label === null ? null : 1000 * row.seconds_per_label) },
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
        { head: "Tokens / s", cell: (row) => count(Math.round(row.tokens_per_second ?? 0)) },
      ],
      marts.sampling_costs,
    ),
  );
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
        { head: "Saved by merging", cell: (row) => `${count(row.num_merged)} (${percent(row.share_merged)})` },
        { head: "Saved by stopping", cell: (row) => `${count(row.num_stopped)} (${percent(row.share_stopped)})` },
        { head: "Rollouts / label", cell: (row) => significant(row.rollouts_per_label) },
        { head: "Tokens / label", cell: (row) => significant(row.tokens_per_label) },
      ],
      rows,
    ),
  ];
}

function showGrading(section, { marts }) {
  section.append(element("h2", {}, "How did completions end, and how were their answers graded?"));
  if (!marts.grading_reasons.length) return showNothing(section, "No answer was graded yet.");
  section.append(
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
