const METHODS = {
  "pass@N": { colour: "var(--bound)", dash: "2 4", mark: "circle" },
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
  if (!marts.verification_results.length) return;
  section.append(
    ...opening(
      "Does a process reward model choose better than a vote?",
      "A method chooses one of N candidates, and the problem is solved if that candidate is right. SC is the majority " +
        "vote. ORM and PRM choose the highest score. SC+ORM and SC+PRM weight the votes by the score (paper, eq. 5). " +
        "pass@N is the share of problems with any right candidate: no method can solve more.",
    ),
    ...marts.unscored_steps.filter((row) => row.num_unscored_steps).map(unscoredNote),
  );
  const figures = grouped(marts.verification_results, "dataset", "generator").flatMap((results) => [
    differenceFigure(results), accuracyFigure(results),
  ]);
  section.append(element("div", { class: "figures" }, ...figures.filter(Boolean)));
}

const CANDIDATES = { log2: true, xName: "N =", xLabel: "N, candidates per problem (log scale)", x: count };

function lines(results, pointOf) {
  return Object.entries(METHODS).map(([name, style]) => ({
    name, ...style,
    points: results
      .filter((row) => row.method === name)
      .sort((a, b) => a.num_candidates - b.num_candidates)
      .map(pointOf)
      .filter((point) => !isUnknown(point.y)),
  }));
}

/** Return the figure of gains over SC; null for evaluations of an earlier version, which lack them. */
function differenceFigure(results) {
  const gains = results.filter((row) => row.method !== "SC" && !isUnknown(row.gain_over_self_consistency_low));
  if (!gains.length) return null;
  const unit = (share) => `${points(share)} points`;
  return lineFigure({
    title: `What does each method gain over the vote (SC) on ${results[0].dataset}, candidates of ${results[0].generator}?`,
    note:
      `Percentage points of ${count(results[0].num_problems)} test problems that are solved more or fewer than by SC with as ` +
      "many candidates. Point at a line for its 95\u00a0% interval, which is paired over problems.",
    wide: true, hoverBands: true, zero: true, leastSpan: 0.02, yLimits: [-1, 1], y: unit, axisY: points,
    ...CANDIDATES,
    series: lines(gains, (row) => ({
      x: row.num_candidates, y: row.gain_over_self_consistency, detail: `solves ${percent(row.accuracy)}`,
      low: row.gain_over_self_consistency_low, high: row.gain_over_self_consistency_high,
    })),
  });
}

function accuracyFigure(results) {
  return lineFigure({
    title: `How many problems of ${results[0].dataset} does each method solve?`,
    note: "Share of test problems solved. Point at a line for its 95\u00a0% bootstrap interval over problems.",
    wide: true, hoverBands: true,
    ...CANDIDATES,
    series: lines(results, (row) => ({
      x: row.num_candidates, y: row.accuracy, low: row.accuracy_low, high: row.accuracy_high,
    })),
  });
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
