const CURVE_STYLES = [
  { colour: "var(--prm)", dash: null, mark: "circle" },
  { colour: "var(--orm)", dash: null, mark: "square" },
  { colour: "var(--sc)", dash: null, mark: "triangle" },
  { colour: "var(--violet)", dash: null, mark: "diamond" },
  { colour: "var(--prm)", dash: "7 4", mark: "square" },
  { colour: "var(--orm)", dash: "7 4", mark: "circle" },
  { colour: "var(--sc)", dash: "7 4", mark: "diamond" },
  { colour: "var(--violet)", dash: "7 4", mark: "triangle" },
];

/** Show the curves that training wrote: a figure a metric, a line a model. */
function showTraining(section, { curves }) {
  if (!curves.length) return;
  const models = [...new Set(curves.map(({ model }) => model))];
  const figures = grouped(curves, "metric").map((ofMetric) =>
    lineFigure({
      title: `${ofMetric[0].metric[0].toUpperCase()}${ofMetric[0].metric.slice(1)}`,
      note: ofMetric.length > 1 ? "The number of steps differs between models." : null,
      xName: "Step", xLabel: "training step (of PPO: iteration)", x: count, y: significant, axisY: significant,
      yLimits: [ofMetric.some(({ points: values }) => values.some(([, y]) => y < 0)) ? -Infinity : 0, Infinity], leastSpan: 0,
      series: ofMetric.map(({ model, points: values }) => ({
        name: model.replaceAll("_", " "), ...CURVE_STYLES[models.indexOf(model) % CURVE_STYLES.length],
        points: values.map(([x, y]) => ({ x, y })),
      })),
    }),
  );
  section.append(
    ...opening("How did the models train?", "The same curves, and more of them, are in models/NAME/runs for TensorBoard."),
    element("div", { class: "figures" }, ...figures),
  );
}
