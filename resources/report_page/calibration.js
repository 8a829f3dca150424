const TENTHS = Array.from({ length: 10 }, (_, tenth) => tenth);
const tenthName = (tenth) => `${tenth / 10}`;

/** Show whether soft labels and PRM scores are probabilities, and where labels are wrong. */
function showCalibration(section, { marts }) {
  const datasets = [...new Set(marts.soft_label_counts.map((row) => row.dataset))];
  const figures = datasets.flatMap((dataset) => {
    const of = datasets.length > 1 ? ` of ${dataset}` : "";
    const here = (rows) => rows.filter((row) => row.dataset === dataset);
    return [
      reliabilityFigure(here(marts.calibration_bins), of),
      softFigure(here(marts.soft_label_counts), of),
      pilotFigure(here(marts.pilot_calibration), of),
      ...scoreFigures(here(marts.score_calibration), of),
      ...["position", "length", "level"].map((part) =>
        comparedFigure(here(marts.score_agreement).filter((row) => row.part === part), part, of),
      ),
    ];
  });
  const shown = figures.filter(Boolean);
  if (!shown.length) return;
  section.append(
    ...opening(
      "Are soft labels and PRM scores probabilities?",
      "A soft label that is calibrated at 0.8 is right on 80\u00a0% of its steps. Last steps are left out. The PRM is " +
        "compared on problems that were held out from its training.",
    ),
    element("div", { class: "figures" }, ...shown),
  );
}

const SHARES = {
  yDomain: [0, 1], xDomain: [0, 1], xTicks: [0, 0.25, 0.5, 0.75, 1], diagonal: true, xName: "Mean soft label",
  x: (share) => share.toLocaleString("en", { maximumFractionDigits: 2 }),
};

function reliabilityFigure(bins, of) {
  if (!bins.length) return null;
  return lineFigure({
    ...SHARES,
    title: `How often is a step${of} right, by its soft label?`,
    note:
      `Share of steps that the ${bins[0].reference} labels right, by tenth of the soft label, with 95\u00a0% Wilson ` +
      "intervals. The dotted line is a calibrated label.",
    xLabel: "mean soft label of the tenth",
    hoverBands: new Set(bins.map((row) => row.annotator)).size > 2,
    series: annotatorLines(bins, (row) => sharePoint(row.mean_soft, Math.round(row.share_truly_good * row.num_steps), row.num_steps)),
  });
}

function softFigure(rows, of) {
  if (!rows.length) return null;
  return barFigure({
    title: `Which soft labels do steps${of} get?`,
    note: "Share of an annotator's steps in each tenth of the soft label, with 95\u00a0% Wilson intervals; 1 is in the last tenth.",
    xName: "Soft label from", xLabel: "soft label, tenths from", x: tenthName, xs: TENTHS,
    series: annotatorLines(rows, (row) => {
      const total = sum(rows.filter((one) => one.annotator === row.annotator), "num_steps");
      const point = sharePoint(row.tenth, row.num_steps, total);
      return { ...point, detail: `${count(row.num_steps)} of ${counted(total, "step")}` };
    }),
  });
}

function pilotFigure(bins, of) {
  if (!bins.length) return null;
  return lineFigure({
    ...SHARES,
    title: `Do soft labels${of} fit rollouts of the pilot?`,
    note:
      "The pilot drew equally many rollouts of each prefix of its problems, which no annotator chose. The line is the mean " +
      "share of right ones, by tenth of the soft label.",
    xLabel: "mean soft label of the tenth",
    series: annotatorLines(bins, (row) => ({
      x: row.mean_soft, y: row.share_of_rollouts_correct,
      detail: `${counted(row.num_steps, "step")}, ${percent(row.share_reached, 0)} with any right rollout`,
    })),
  });
}

/** Return the figures of the truth and of labels by the score of each reward model. */
function scoreFigures(bins, of) {
  return grouped(bins, "reward_model").map((ofModel) => {
    const point = (row, name, number) => ({
      x: row.mean_score, y: row[name], low: row[`${name}_low`], high: row[`${name}_high`], detail: counted(number, "step"),
    });
    const annotators = grouped(ofModel, "annotator");
    const compared = annotators[0].filter((row) => row.num_compared);
    return lineFigure({
      ...SHARES,
      title: `How often is a step${of} right, by its PRM score?`,
      note: "Share of held-out steps that are right, and that annotators label right, by tenth of the score, with 95\u00a0% Wilson intervals.",
      xName: "Mean score", xLabel: "mean PRM score of the tenth", hoverBands: annotators.length > 1,
      series: [
        { name: "truth", ...CURVE_STYLES[2], points: compared.map((row) => point(row, "share_truly_good", row.num_compared)) },
        ...annotators.map((rows, index) => ({
          name: annotatorName(rows[0].annotator), ...CURVE_STYLES[index % 2],
          points: rows.map((row) => point(row, "share_good", row.num_steps)),
        })),
      ],
    });
  });
}

const PARTS = { position: ["Step", "position of the step"], length: ["Steps", "steps of the solution"], level: ["Level", "level of the problem"] };

/** Return the figure of how often PRM and label agree, and are right, by a part of the steps. */
function comparedFigure(rows, part, of) {
  if (!rows.length) return null;
  const [annotator] = inOrder(rows.map((row) => row.annotator));
  const here = rows.filter((row) => row.annotator === annotator);
  const values = (share, trials) => here
    .filter((row) => row[trials] && !isUnknown(row[share]))
    .map((row) => sharePoint(row.part_value, Math.round(row[share] * row[trials]), row[trials]));
  return barFigure({
    title: `Do PRM and ${annotatorName(annotator)} agree${of}, by ${PARTS[part][1]}?`,
    note: "Share of held-out steps, with 95\u00a0% Wilson intervals. The PRM calls a step right from a score of 0.5.",
    xName: PARTS[part][0], xLabel: PARTS[part][1], x: String,
    series: [
      { name: "both agree", ...CURVE_STYLES[3], points: values("agreement", "num_steps") },
      { name: "PRM is right", ...CURVE_STYLES[0], points: values("share_score_right", "num_compared") },
      { name: "label is right", ...CURVE_STYLES[1], points: values("share_label_right", "num_compared") },
    ],
  });
}
