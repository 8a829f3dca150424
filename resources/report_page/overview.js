function showLead({ marts }) {
  const lead = document.getElementById("lead");
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
  const tiles = [
    [count(sum(counts, "num_problems")), "problems"],
    [count(sum(counts, "num_draws")), `solutions drawn, ${count(sum(counts, "num_solutions"))} of them distinct`],
    [count(sum(counts, "num_steps")), "steps"],
    [count(sum(counts, "num_rollouts")), `rollouts from ${count(sum(counts, "num_prefixes"))} distinct prefixes`],
    [count(sum(counts, "num_labels")), "step labels of all annotators"],
    unmerged ? [percent(merged / unmerged), "of rollouts saved because solutions share prefixes"] : null,
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
