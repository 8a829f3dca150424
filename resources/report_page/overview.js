function showFacts(list, { facts }) {
  list.append(...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

function showLead(lead, { marts }) {
  const judged = grouped(marts.verification_results, "dataset", "generator");
  const sentences = [];
  const [annotator] = inOrder(marts.label_quality.filter((row) => row.num_compared).map((row) => row.annotator));
  if (annotator) {
    const rows = marts.label_quality.filter((row) => row.annotator === annotator);
    const compared = sum(rows, "num_compared");
    const from = annotator === "monte_carlo" ? "rollouts" : `the annotator ${annotatorName(annotator)}`;
    sentences.push(
      `Hard labels from ${from} agree with the ${rows.find((row) => row.reference).reference} on ` +
        `${percent(sum(rows, "num_agreeing") / compared)} of ${count(compared)} steps.`,
    );
  }
  for (const results of judged) {
    const { largest, at, single, problems } = bestOfN(results);
    const ways = [["the process reward model", "PRM"], ["the outcome reward model", "ORM"], ["a majority vote", "SC"]]
      .filter(([, method]) => at(method) !== undefined)
      .map(([name, method]) => `${name} ${percent(at(method))}`);
    if (!ways.length || single === undefined) continue;
    sentences.push(
      `Among ${count(problems)} test problems${judged.length > 1 ? ` of ${results[0].dataset} (${results[0].generator})` : ""}, ` +
        `one sample solves ${percent(single)}. Choosing one of ${count(largest)} candidates solves: ${ways.join(", ")}.`,
    );
  }
  const solutions = sum(marts.dataset_counts, "num_solutions");
  if (!sentences.length && solutions) {
    const right = sum(marts.dataset_counts, "num_correct_solutions");
    sentences.push(`${percent(right / solutions)} of ${count(solutions)} distinct solutions are right.`);
    const labels = grouped(marts.label_quality, "annotator").map((rows) => {
      const steps = sum(rows, "num_steps");
      return `${annotatorName(rows[0].annotator)} labels ${percent(sum(rows, "num_good") / steps)} of ${count(steps)} steps right.`;
    });
    sentences.push(...(labels.length ? labels : ["No step has a label yet."]));
  }
  lead.textContent = sentences.join(" ") || "Nothing was sampled yet.";
}

function showOverview(section, { marts }) {
  const counts = marts.dataset_counts;
  const merged = sum(marts.annotation_cost, "num_merged");
  const unmerged = merged + sum(marts.annotation_cost, "num_rollouts");
  const number = (column) => sum(counts, column);
  const tiles = [
    [number("num_problems"), "problems"],
    [number("num_draws"), `solutions drawn, ${count(number("num_solutions"))} of them distinct`],
    [number("num_steps"), "steps"],
    [number("num_rollouts"), `rollouts from ${count(number("num_prefixes"))} distinct prefixes`],
    [number("num_labels"), "step labels of all annotators"],
    [number("num_candidates"), "candidates of test problems"],
  ]
    .filter(([value]) => value)
    .map(([value, name]) => [count(value), name]);
  if (unmerged) tiles.push([percent(merged / unmerged), "of rollouts saved because solutions share prefixes"]);
  if (!tiles.length) return;
  section.append(
    element(
      "div", { class: "tiles" },
      ...tiles.map(([value, name]) =>
        element("div", { class: "tile" }, element("b", {}, value), element("span", {}, name)),
      ),
    ),
  );
}

/** Show how often each generator is right. Verification and labels, where there are any, say more. */
function showGenerators(section, { marts }) {
  if (marts.verification_results.length || marts.label_quality.length) return;
  const drawn = marts.grading_reasons.filter((row) => ["solutions", "candidates"].includes(row.stage));
  const rows = grouped(drawn, "dataset", "stage", "model").map((reasons) => {
    const { dataset, stage, model } = reasons[0];
    const isHere = (row) => row.dataset === dataset && row.stage === stage && row.model === model;
    const answers = sum(reasons, "num_answers");
    const right = sum(reasons.filter((row) => row.is_correct), "num_answers");
    return { dataset, stage, model, answers, right, ...wilson(right, answers), endings: marts.completion_endings.find(isHere) };
  });
  if (!rows.length) return;
  rows.sort((a, b) => b.right / b.answers - a.right / a.answers);
  section.append(
    ...opening(
      "How often is each generator right?",
      "Share of its solutions with the gold answer. A solution that reached the limit of tokens is cut.",
    ),
    table(
      "Accuracy by generator",
      [
        { head: "Dataset", text: true, cell: (row) => row.dataset },
        { head: "Generator", text: true, cell: (row) => row.model },
        { head: "Drawn as", text: true, cell: (row) => row.stage },
        { head: "Solutions", cell: (row) => count(row.answers) },
        { head: "Right", cell: (row) => count(row.right) },
        { head: "Accuracy", cell: (row) => percent(row.right / row.answers) },
        { head: "95\u00a0% interval", cell: (row) => intervalText(row, percent) || UNKNOWN },
        { head: "Cut", cell: (row) => count(row.endings?.num_truncated) },
        { head: "Share cut", cell: (row) => percent(row.endings?.share_truncated) },
        { head: "No answer", cell: (row) => percent(row.endings?.share_unanswered) },
      ],
      rows,
    ),
  );
}
