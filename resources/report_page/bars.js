/**
 * Return a figure of bars with intervals, side by side where there are several series.
 *
 * options as of `lineFigure`; series of {name, colour, mark, points of {x, y, low, high, detail}}.
 * Each x is a group of bars.
 */
function barFigure(given) {
  const options = { y: percent, axisY: (share) => percent(share, 0), ...given };
  options.series = options.series.filter((series) => series.points.length);
  const legend = element(
    "div", { class: "legend" },
    ...options.series.map((series) => element("span", { class: "name" }, swatch(series), series.name)),
  );
  const draw = (width, figure) => drawBars(options, width, figure);
  return frame(options, draw, options.series.length > 1 ? legend : null).figure;
}

function drawBars(options, width, figure) {
  const margin = { top: 14, right: 14, bottom: 46, left: 52 };
  const height = Math.round(Math.min(300, Math.max(230, width * 0.62)));
  const points = options.series.flatMap((series) => series.points);
  const top = Math.min(1, niceDomain(points, [0, 1], 0.1)[1]);
  const Y = scale([0, top], [height - margin.bottom, margin.top]);
  const svg = chartFrame(options, width, height, margin, [0, top], Y);
  const xs = options.xs ?? [...new Set(points.map((point) => point.x))].sort(ascending);
  const room = (width - margin.left - margin.right) / xs.length;
  const thick = Math.min(40, (0.8 * room) / options.series.length);
  const tooltip = element("div", { class: "tooltip", role: "status" });
  const every = Math.ceil((xs.length * 34) / (width - margin.left - margin.right));
  xs.forEach((x, group) => {
    const centre = margin.left + (group + 0.5) * room;
    if (group % every === 0) {
      svg.append(shape("text", { x: centre, y: height - margin.bottom + 20, "text-anchor": "middle" }, options.x(x)));
    }
    options.series.forEach((series, at) => {
      const point = series.points.find((one) => one.x === x);
      if (!point) return;
      const middle = centre + (at - (options.series.length - 1) / 2) * thick;
      svg.append(shape("rect", {
        x: middle - thick / 2 + 1, y: Y(point.y), width: Math.max(1, thick - 2), height: Math.max(0, height - margin.bottom - Y(point.y)),
        fill: series.colour, rx: 2, class: "bar-of",
      }));
      if (!isUnknown(point.low)) {
        svg.append(shape("path", { class: "whisker", d: `M${middle},${Y(point.low)}V${Y(point.high)}` }));
      }
    });
  });
  svg.append(shape("rect", { x: 0, y: 0, width, height, fill: "transparent" }));
  const move = (event) => {
    const group = Math.floor((event.clientX - svg.getBoundingClientRect().left - margin.left) / room);
    const x = xs[Math.max(0, Math.min(xs.length - 1, group))];
    const rows = options.series.flatMap((series) =>
      series.points.filter((point) => point.x === x).map((point) =>
        element(
          "div", {}, swatch(series), element("b", {}, options.y(point.y)), options.series.length > 1 ? series.name : null,
          element("span", {}, [intervalText(point, options.y), point.detail].filter(Boolean).join(" · ")),
        ),
      ),
    );
    tooltip.replaceChildren(element("b", {}, `${options.xName} ${options.x(x)}`), ...rows);
    showTooltip(tooltip, figure, svg, margin.left + (xs.indexOf(x) + 0.5) * room, height - margin.bottom);
  };
  svg.addEventListener("pointermove", move);
  svg.addEventListener("pointerdown", move);
  svg.addEventListener("pointerleave", () => tooltip.remove());
  return svg;
}
