/** Compare numbers, or texts with numbers in them, for a sort in ascending order. */
const ascending = (a, b) => (typeof a === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));

/** Return the ticks of an axis between two values: about `most` round numbers. */
function niceTicks(bottom, top, most) {
  const rough = (top - bottom) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough - 1e-12);
  const first = Math.ceil(bottom / step - 1e-9);
  const ticks = [];
  for (let at = first; at * step <= top + 1e-9 * step; at++) ticks.push(Number((at * step).toPrecision(12)));
  return ticks;
}

/** Return the ends of the y axis for some points, inside `limits`, with a little room. */
function niceDomain(points, limits = [-Infinity, Infinity], leastSpan = 0) {
  const lows = points.map((point) => point.low ?? point.y);
  const highs = points.map((point) => point.high ?? point.y);
  let [bottom, top] = [Math.min(...lows), Math.max(...highs)];
  if (!points.length) [bottom, top] = [0, 1];
  const missing = Math.max(0, (leastSpan || Math.abs(top) || 1) * (leastSpan ? 1 : top === bottom ? 1 : 0) - (top - bottom));
  [bottom, top] = [bottom - missing / 2, top + missing / 2];
  const room = 0.06 * (top - bottom);
  const step = niceTicks(bottom - room, top + room, 5);
  const unit = step.length > 1 ? step[1] - step[0] : top - bottom;
  const ends = [Math.floor((bottom - room) / unit) * unit, Math.ceil((top + room) / unit) * unit];
  return [Math.max(limits[0], ends[0]), Math.min(limits[1], ends[1])];
}

/** Return the function from values to pixels between two values and two pixels. */
function scale([from, to], [start, end], place = (value) => value) {
  const span = place(to) - place(from);
  return (value) => (span ? start + ((place(value) - place(from)) / span) * (end - start) : (start + end) / 2);
}

/** Return a figure with a title, a note, a plot that is drawn for its width, and its numbers, once they are asked for. */
function frame(options, draw, legend = null) {
  const numbers = element("details", { class: "numbers" }, element("summary", {}, "Numbers"));
  numbers.addEventListener("toggle", () => numbers.append(numbersTable(options)), { once: true });
  const plot = element("div", { class: "plot" });
  const figure = element(
    "figure",
    options.wide ? { class: "wide" } : {},
    element("h3", {}, options.title),
    options.note ? element("p", { class: "note" }, options.note) : null,
    legend,
    plot,
    numbers,
  );
  // The observer knows the width. To ask the plot for it would lay out the page once a figure.
  let width = 0;
  const redraw = () => width && plot.replaceChildren(draw(width, figure));
  const resized = ([entry]) => {
    width = entry.contentRect.width;
    requestAnimationFrame(redraw);
  };
  new ResizeObserver(resized).observe(plot);
  return { figure, redraw };
}

/** Return an empty chart with its y axis; `Y` maps values to pixels. */
function chartFrame(options, width, height, margin, [bottom, top], Y) {
  const svg = shape("svg", {
    class: "chart", viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": options.title,
  });
  for (const tick of niceTicks(bottom, top, 5)) {
    svg.append(
      shape("path", { class: tick === 0 && options.zero ? "zero" : "grid", d: `M${margin.left},${Y(tick)}H${width - margin.right}` }),
      shape("text", { x: margin.left - 8, y: Y(tick) + 4, "text-anchor": "end" }, options.axisY(tick)),
    );
  }
  svg.append(
    shape("path", { class: "axis", d: `M${margin.left},${height - margin.bottom}H${width - margin.right}` }),
    shape("text", { x: margin.left + (width - margin.left - margin.right) / 2, y: height - 6, "text-anchor": "middle" }, options.xLabel),
  );
  return svg;
}

/** Show a tooltip inside a figure, beside a place in pixels of its chart. */
function showTooltip(tooltip, figure, svg, x, y) {
  figure.append(tooltip);
  const [outer, inner] = [figure, svg].map((node) => node.getBoundingClientRect());
  const right = inner.left - outer.left + x + 14;
  const fits = right + tooltip.offsetWidth + 8 <= figure.clientWidth;
  const left = fits ? right : inner.left - outer.left + x - tooltip.offsetWidth - 14;
  tooltip.style.left = `${Math.max(8, Math.min(left, figure.clientWidth - tooltip.offsetWidth - 8))}px`;
  tooltip.style.top = `${Math.max(4, inner.top - outer.top + y - tooltip.offsetHeight - 10)}px`;
}

const intervalText = (point, format) =>
  isUnknown(point.low) ? "" : `${format(point.low)} to ${format(point.high)}`;
