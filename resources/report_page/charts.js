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
    shape("path", {
      d: "M0,5h28", stroke: series.colour, "stroke-width": 2, "stroke-dasharray": series.dash,
    }),
    shape("path", { d: MARKS[series.mark](14, 5), fill: series.colour }),
  );
}

/**
 * Draw lines over x into a figure, with intervals, a legend that hides lines, and values on hover.
 *
 * options: title, note, wide, xLabel, yLabel, x and y (formats), log2, yDomain, diagonal, and
 * series of {name, colour, dash, mark, points of {x, y, low, high, detail}}.
 */
function lineFigure(options) {
  const hidden = new Set();
  const plot = element("div", { class: "plot" });
  const legend = element("div", { class: "legend" });
  const figure = element(
    "figure",
    options.wide ? { class: "wide" } : {},
    element("h3", {}, options.title),
    element("p", { class: "note" }, options.note),
    legend,
    plot,
    element("details", { class: "numbers" }, element("summary", {}, "Numbers"), numbersTable(options)),
  );
  const draw = () => {
    const visible = options.series.filter((series) => !hidden.has(series.name));
    if (plot.clientWidth) plot.replaceChildren(drawLines(options, visible, plot.clientWidth, figure));
  };
  if (options.series.length > 1) {
    for (const series of options.series) {
      const button = element(
        "button", { type: "button", "aria-pressed": "true" }, swatch(series), series.name,
      );
      button.addEventListener("click", () => {
        const isHidden = hidden.delete(series.name);
        if (!isHidden) hidden.add(series.name);
        button.setAttribute("aria-pressed", String(isHidden));
        draw();
      });
      legend.append(button);
    }
  }
  new ResizeObserver(draw).observe(plot);
  return figure;
}

function drawLines(options, visible, width, figure) {
  const longest = Math.max(0, ...visible.map((series) => series.name.length));
  const direct = options.series.length > 1;
  const margin = { top: 12, right: direct ? 16 + 7.4 * longest : 14, bottom: 46, left: 48 };
  const height = Math.round(Math.min(options.wide ? 430 : 300, Math.max(230, width * 0.62)));
  const points = visible.flatMap((series) => series.points);
  const xs = [...new Set(options.series.flatMap((series) => series.points.map((p) => p.x)))];
  xs.sort((a, b) => a - b);
  const [bottom, top] = options.yDomain ?? niceDomain(points);
  const place = options.log2 ? Math.log2 : (value) => value;
  const [first, last] = options.xDomain ?? [xs[0], xs[xs.length - 1]];
  const span = place(last) - place(first);
  const inner = width - margin.left - margin.right;
  const X = (value) => margin.left + (span ? (place(value) - place(first)) / span : 0.5) * inner;
  const Y = (value) =>
    height - margin.bottom - ((value - bottom) / (top - bottom)) * (height - margin.top - margin.bottom);

  const svg = shape("svg", {
    class: "chart", viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": options.title,
  });
  const step = (top - bottom) / 0.1 > 6.5 ? 0.2 : (top - bottom) / 0.05 > 6.5 ? 0.1 : 0.05;
  for (let tick = Math.ceil(bottom / step - 1e-9) * step; tick <= top + 1e-9; tick += step) {
    svg.append(
      shape("path", { class: "grid", d: `M${margin.left},${Y(tick)}H${width - margin.right}` }),
      shape("text", { x: margin.left - 8, y: Y(tick) + 4, "text-anchor": "end" }, percent(tick, 0)),
    );
  }
  const ticks = options.xTicks ?? xs;
  const every = Math.ceil(ticks.length / Math.max(2, Math.floor(inner / 38)));
  ticks.forEach((value, index) => {
    if (index % every) return;
    svg.append(
      shape("text", { x: X(value), y: height - margin.bottom + 20, "text-anchor": "middle" }, options.x(value)),
    );
  });
  svg.append(
    shape("path", { class: "axis", d: `M${margin.left},${Y(bottom)}H${width - margin.right}` }),
    shape("text", { x: margin.left + inner / 2, y: height - 6, "text-anchor": "middle" }, options.xLabel),
  );
  if (options.diagonal) {
    svg.append(shape("path", { class: "cursor", d: `M${X(0)},${Y(0)}L${X(1)},${Y(1)}` }));
  }
  for (const series of visible) {
    const band = series.points.filter((point) => point.low !== undefined && point.low !== null);
    if (band.length > 1) {
      const upper = band.map((point) => `${X(point.x)},${Y(point.high)}`);
      const lower = band.map((point) => `${X(point.x)},${Y(point.low)}`).reverse();
      svg.append(
        shape("path", { d: `M${[...upper, ...lower].join("L")}Z`, fill: series.colour, opacity: 0.08 }),
      );
    }
  }
  for (const series of visible) {
    const path = series.points.map((point) => `${X(point.x)},${Y(point.y)}`).join("L");
    svg.append(
      shape("path", {
        d: `M${path}`, fill: "none", stroke: series.colour, "stroke-width": 2.2,
        "stroke-linejoin": "round", "stroke-dasharray": series.dash,
      }),
      ...series.points.map((point) =>
        shape("path", { d: MARKS[series.mark](X(point.x), Y(point.y)), fill: series.colour }),
      ),
    );
  }
  if (direct) {
    for (const { series, x, y } of labelPlaces(visible, X, Y, height - margin.bottom)) {
      const label = shape("text", { class: "direct", x: x + 10, y: y + 4 }, series.name);
      label.style.fill = series.colour;
      svg.append(label);
    }
  }
  addHover(svg, figure, options, visible, xs, X, { width, height, margin });
  return svg;
}

function niceDomain(points) {
  const lows = points.map((point) => point.low ?? point.y);
  const highs = points.map((point) => point.high ?? point.y);
  const bottom = Math.max(0, Math.floor(Math.min(1, ...lows) * 10 - 0.2) / 10);
  const top = Math.min(1, Math.ceil(Math.max(0, ...highs) * 10 + 0.2) / 10);
  return top - bottom < 0.2 ? [Math.max(0, top - 0.2), Math.max(0.2, top)] : [bottom, top];
}

/** Return the positions of the names at the ends of the lines, moved apart so that none overlap. */
function labelPlaces(visible, X, Y, floor) {
  const places = visible
    .filter((series) => series.points.length)
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

function addHover(svg, figure, options, visible, xs, X, { width, height, margin }) {
  const cursor = shape("path", { class: "cursor" });
  const tooltip = element("div", { class: "tooltip", role: "status" });
  const leave = () => {
    cursor.removeAttribute("d");
    tooltip.remove();
  };
  const move = (event) => {
    const at = event.clientX - svg.getBoundingClientRect().left;
    const nearest = xs.reduce((best, x) => (Math.abs(X(x) - at) < Math.abs(X(best) - at) ? x : best));
    cursor.setAttribute("d", `M${X(nearest)},${margin.top}V${height - margin.bottom}`);
    const rows = visible
      .flatMap((series) =>
        series.points.filter((p) => p.x === nearest).map((point) => ({ series, point })),
      )
      .sort((a, b) => b.point.y - a.point.y)
      .map(({ series, point }) => {
        const interval =
          point.low === undefined || point.low === null
            ? ""
            : `${percent(point.low)} to ${percent(point.high)}`;
        return element(
          "div", {}, swatch(series), element("b", {}, percent(point.y)), series.name,
          element("span", {}, [interval, point.detail].filter(Boolean).join(" · ")),
        );
      });
    tooltip.replaceChildren(element("b", {}, `${options.xName} ${options.x(nearest)}`), ...rows);
    figure.append(tooltip);
    const inset = svg.getBoundingClientRect().left - figure.getBoundingClientRect().left;
    const left = Math.min(inset + X(nearest) + 14, figure.clientWidth - tooltip.offsetWidth - 8);
    tooltip.style.left = `${Math.max(8, left)}px`;
    const offset = svg.getBoundingClientRect().top - figure.getBoundingClientRect().top;
    tooltip.style.top = `${offset + height - margin.bottom - tooltip.offsetHeight - 10}px`;
  };
  svg.append(cursor, shape("rect", { x: 0, y: 0, width, height, fill: "transparent" }));
  svg.addEventListener("pointermove", move);
  svg.addEventListener("pointerdown", move);
  svg.addEventListener("pointerleave", leave);
}

/** Return the numbers of a figure as a table: a row for each x, a column for each line. */
function numbersTable(options) {
  const xs = [...new Set(options.series.flatMap((series) => series.points.map((point) => point.x)))];
  xs.sort((a, b) => a - b);
  const cellOf = (series) => (x) => {
    const point = series.points.find((candidate) => candidate.x === x);
    if (!point) return "";
    const interval = point.low === undefined || point.low === null ? "" : ` (${percent(point.low)} to ${percent(point.high)})`;
    return `${percent(point.y)}${interval}${point.detail ? `, ${point.detail}` : ""}`;
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
