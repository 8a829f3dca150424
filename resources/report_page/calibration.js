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
    ];
  });
  const shown = figures.filter(Boolean);
  if (!shown.length) return;
  section.append(
    ...opening(
      "Is a soft label a probability?",
      "A soft label that is calibrated at 0.8 is right on 80\u00a0% of its steps. Last steps are left out.",
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
