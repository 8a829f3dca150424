const METHODS = {
  oracle: { colour: "var(--oracle)", dash: "2 4", mark: "circle" },
  PRM: { colour: "var(--prm)", dash: null, mark: "circle" },
  "SC+PRM": { colour: "var(--prm)", dash: "7 4", mark: "diamond" },
  ORM: { colour: "var(--orm)", dash: null, mark: "square" },
  "SC+ORM": { colour: "var(--orm)", dash: "7 4", mark: "triangle" },
  SC: { colour: "var(--sc)", dash: null, mark: "triangle" },
};

/** Return the accuracies of one dataset and generator at the largest N, by method. */
function bestOfN(results) {
  const largest = Math.max(...results.map((row) => row.num_candidates));
  const at = (method) => results.find((r) => r.method === method && r.num_candidates === largest)?.accuracy;
  const single = results.find((row) => row.method === "pass@1")?.accuracy;
  return { largest, at, single, problems: results[0].num_problems };
}

function showVerification(section, { marts }) {
  section.append(
    element("h2", {}, "Does a process reward model choose better than a vote?"),
    element(
      "p", { class: "note" },
      "A method chooses one of N candidates, and the problem is solved if that candidate is right. SC is the majority " +
        "vote. ORM and PRM choose the highest score. SC+ORM and SC+PRM weight the votes by the score (paper, eq. 5). " +
        "The oracle chooses a right candidate if there is one, so no method can be better.",
    ),
  );
  if (!marts.verification_results.length) return showNothing(section, "No evaluations yet.");
  section.append(...marts.unscored_steps.filter((row) => row.num_unscored_steps).map(unscoredNote));
  const figures = grouped(marts.verification_results, "dataset", "generator").map((results) =>
    lineFigure({
      title: `How many problems of ${results[0].dataset} does choosing one of N candidates of ${results[0].generator} solve?`,
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

/** Return the warning that a reward model did not read all steps. */
function unscoredNote(row) {
  const model = row.reward_model.replaceAll("_", " ");
  return element(
    "p", { class: "note" },
    `${count(row.num_unscored_steps)} of ${count(row.num_steps)} steps of candidates of ${row.generator} ` +
      `(${row.dataset}) are past the window of the ${model} and unscored. ` +
      `The ${count(row.num_unscored_candidates)} candidates that hold them rank last.`,
  );
}
