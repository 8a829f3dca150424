const MARKS = {
  circle: (x, y) => `M${x - 4},${y}a4,4 0 1,0 8,0a4,4 0 1,0 -8,0`,
  square: (x, y) => `M${x - 3.5},${y - 3.5}h7v7h-7z`,
  diamond: (x, y) => `M${x},${y - 5}l5,5l-5,5l-5,-5z`,
  triangle: (x, y) => `M${x},${y - 4.8}l4.8,8.4h-9.6z`,
};

/** Return a small picture of a series' line and mark, so that colour is not the only difference. */
function swatch(series) {
  return shape(
    "svg",
    { class: "swatch", viewBox: "0 0 28 10", "aria-hidden": "true" },
    shape("path", { d: "M0,5h28", stroke: series.colour, "stroke-width": 2, "stroke-dasharray": series.dash }),
    shape("path", { d: MARKS[series.mark](14, 5), fill: series.colour }),
  );
}

/**
 * Return a figure of lines over x, with intervals, a legend that hides lines, and values on hover.
 *
 * options: title, note, wide, xName, xLabel, x, y and axisY (formats), log2, yDomain, yLimits, zero,
 * diagonal, hoverBands (intervals are drawn of the line under the pointer alone), and series of
 * {name, colour, dash, mark, points of {x, y, low, high, detail}}.
 */
function lineFigure(given) {
  const options = { y: percent, axisY: (share) => percent(share, 0), yLimits: [0, 1], leastSpan: 0.1, ...given };
  options.series = options.series.filter((series) => series.points.length);
  const hidden = new Set();
  const legend = element("div", { class: "legend" });
  const visible = () => options.series.filter((series) => !hidden.has(series.name));
  const draw = (width, figure) => drawLines(options, visible(), width, figure);
  const made = frame(options, draw, options.series.length > 1 ? legend : null);
  for (const series of options.series) {
    const button = pressed(swatch(series), () => {
      const isHidden = hidden.delete(series.name);
      if (!isHidden) hidden.add(series.name);
      button.setAttribute("aria-pressed", String(isHidden));
      made.redraw();
    }, { "aria-pressed": "true" });
    button.append(series.name);
    const show = (name) => made.figure.querySelectorAll(".band").forEach((band) => band.classList.toggle("shown", band.dataset.series === name));
    if (options.hoverBands) {
      for (const name of ["pointerenter", "focus"]) button.addEventListener(name, () => show(series.name));
      for (const name of ["pointerleave", "blur"]) button.addEventListener(name, () => show(null));
    }
    legend.append(button);
  }
  return made.figure;
}

function drawLines(options, visible, width, figure) {
  const longest = Math.max(0, ...visible.map((series) => series.name.length));
  const ends = new Set(options.series.map(({ points: line }) => line[line.length - 1].x));
  const direct = options.series.length > 1 && width > 420 && ends.size === 1;
  const margin = { top: 12, right: direct ? 16 + 7.4 * longest : 14, bottom: 46, left: 52 };
  const height = Math.round(Math.min(options.wide ? 430 : 300, Math.max(230, width * 0.62)));
  const all = visible.flatMap((series) => series.points);
  const xs = [...new Set(options.series.flatMap((series) => series.points.map((p) => p.x)))].sort((a, b) => a - b);
  const domain = options.yDomain ?? niceDomain(options.hoverBands ? all.map(({ y }) => ({ y })) : all, options.yLimits, options.leastSpan);
  const X = scale(options.xDomain ?? [xs[0], xs[xs.length - 1]], [margin.left, width - margin.right], options.log2 ? Math.log2 : undefined);
  const clipped = scale(domain, [height - margin.bottom, margin.top]);
  const Y = (value) => Math.max(margin.top - 8, Math.min(height - margin.bottom + 4, clipped(value)));
  const svg = chartFrame(options, width, height, margin, domain, clipped);
  const ticks = options.xTicks ?? (xs.length > 24 ? niceTicks(xs[0], xs[xs.length - 1], 6) : xs);
  let free = -Infinity;
  for (const value of ticks) {
    const text = options.x(value);
    if (X(value) - 4 * text.length < free) continue;
    free = X(value) + 4 * text.length + 10;
    svg.append(shape("text", { x: X(value), y: height - margin.bottom + 20, "text-anchor": "middle" }, text));
  }
  if (options.diagonal) svg.append(shape("path", { class: "cursor", d: `M${X(0)},${Y(0)}L${X(1)},${Y(1)}` }));
  for (const series of visible) svg.append(...bandOf(series, X, Y, options.hoverBands));
  for (const series of visible) {
    const many = series.points.length > 40;
    svg.append(
      shape("path", {
        d: `M${series.points.map((point) => `${X(point.x)},${Y(point.y)}`).join("L")}`, fill: "none",
        stroke: series.colour, "stroke-width": many ? 1.6 : 2.2, "stroke-linejoin": "round", "stroke-dasharray": series.dash,
      }),
      ...(many ? [] : series.points.map((point) =>
        shape("path", { d: MARKS[series.mark](X(point.x), Y(point.y)), fill: series.colour }),
      )),
    );
  }
  if (direct) {
    for (const { series, x, y } of labelPlaces(visible, X, Y, height - margin.bottom)) {
      const label = shape("text", { class: "direct", x: x + 10, y: y + 4 }, series.name);
      label.style.fill = series.colour;
      svg.append(label);
    }
  }
  addHover(svg, figure, options, visible, xs, X, Y, { width, height, margin });
  return svg;
}

/** Return the area of a line's intervals; a single point has a bar instead. */
function bandOf(series, X, Y, isHidden) {
  const band = series.points.filter((point) => !isUnknown(point.low));
  const attributes = { class: isHidden ? "band" : "band shown", "data-series": series.name };
  if (band.length === 1) {
    const [{ x, low, high }] = band;
    return [shape("path", { ...attributes, d: `M${X(x)},${Y(low)}V${Y(high)}`, stroke: series.colour, "stroke-width": 6 })];
  }
  if (!band.length) return [];
  const upper = band.map((point) => `${X(point.x)},${Y(point.high)}`);
  const lower = band.map((point) => `${X(point.x)},${Y(point.low)}`).reverse();
  return [shape("path", { ...attributes, d: `M${[...upper, ...lower].join("L")}Z`, fill: series.colour })];
}

/** Return the positions of the names at the ends of the lines, moved apart so that none overlap. */
function labelPlaces(visible, X, Y, floor) {
  const places = visible
    .map((series) => {
      const end = series.points[series.points.length - 1];
      return { series, x: X(end.x), y: Y(end.y) };
    })
    .sort((a, b) => a.y - b.y);
  const gap = 16;
  places.forEach((place, index) => {
    if (index) place.y = Math.max(place.y, places[index - 1].y + gap);
  });
  for (let index = places.length - 1; index >= 0; index--) {
    const limit = index === places.length - 1 ? floor : places[index + 1].y - gap;
    places[index].y = Math.min(places[index].y, limit);
  }
  return places;
}

function addHover(svg, figure, options, visible, xs, X, Y, { width, height, margin }) {
  const cursor = shape("path", { class: "cursor" });
  const tooltip = element("div", { class: "tooltip", role: "status" });
  const bands = (name) => {
    if (options.hoverBands) svg.querySelectorAll(".band").forEach((band) => band.classList.toggle("shown", band.dataset.series === name));
  };
  const leave = () => {
    cursor.removeAttribute("d");
    tooltip.remove();
    bands(null);
  };
  const move = (event) => {
    const box = svg.getBoundingClientRect();
    const [at, up] = [event.clientX - box.left, event.clientY - box.top];
    const nearest = xs.reduce((best, x) => (Math.abs(X(x) - at) < Math.abs(X(best) - at) ? x : best));
    cursor.setAttribute("d", `M${X(nearest)},${margin.top}V${height - margin.bottom}`);
    const here = visible.flatMap((series) =>
      series.points.filter((p) => p.x === nearest).map((point) => ({ series, point })),
    );
    if (!here.length) return leave();
    const distance = ({ point }) => Math.abs(Y(point.y) - up);
    const closest = here.reduce((best, one) => (distance(one) < distance(best) ? one : best));
    bands(closest.series.name);
    const rows = here
      .sort((a, b) => b.point.y - a.point.y)
      .map(({ series, point }) =>
        element(
          "div", {}, swatch(series), element("b", {}, options.y(point.y)), series.name,
          element("span", {}, [intervalText(point, options.y), point.detail].filter(Boolean).join(" · ")),
        ),
      );
    tooltip.replaceChildren(element("b", {}, `${options.xName} ${options.x(nearest)}`), ...rows);
    showTooltip(tooltip, figure, svg, X(nearest), height - margin.bottom);
  };
  svg.append(cursor, shape("rect", { x: 0, y: 0, width, height, fill: "transparent" }));
  svg.addEventListener("pointermove", move);
  svg.addEventListener("pointerdown", move);
  svg.addEventListener("pointerleave", leave);
}

/** Return the numbers of a figure as a table: a row for each x, a column for each line. */
function numbersTable(options) {
  const xs = [...new Set(options.series.flatMap((series) => series.points.map((point) => point.x)))].sort(ascending);
  const cellOf = (series) => (x) => {
    const point = series.points.find((candidate) => candidate.x === x);
    if (!point) return UNKNOWN;
    const interval = intervalText(point, options.y);
    return [options.y(point.y), interval && `(${interval})`, point.detail && `· ${point.detail}`].filter(Boolean).join(" ");
  };
  return table(
    options.title,
    [
      { head: options.xName.replace(/ =$/, ""), cell: options.x },
      ...options.series.map((series) => ({ head: series.name, cell: cellOf(series) })),
    ],
    xs,
  );
}
