"use strict";

/** Return an HTML element; text is set as text, never as markup. */
function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Return an SVG element. */
function shape(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Return a button of some text or elements that calls a function. */
function pressed(content, call, attributes = {}) {
  const button = element("button", { type: "button", ...attributes }, content);
  button.addEventListener("click", call);
  return button;
}

const UNKNOWN = "-";
const isUnknown = (value) => value === null || value === undefined || Number.isNaN(value);

const percent = (share, digits = 1) => (isUnknown(share) ? UNKNOWN : `${(100 * share).toFixed(digits)}\u00a0%`);
const points = (share) =>
  isUnknown(share) ? UNKNOWN : `${share > 0 ? "+" : share < 0 ? "\u2212" : ""}${Math.abs(100 * share).toFixed(1)}`;
// A formatter that is made once takes a tenth of the time of `toLocaleString`.
const [WHOLE, SIGNIFICANT] = [{}, { maximumSignificantDigits: 3 }].map((options) => new Intl.NumberFormat("en", options));
const count = (number) => (isUnknown(number) ? UNKNOWN : WHOLE.format(number));
const significant = (number) => (isUnknown(number) ? UNKNOWN : SIGNIFICANT.format(number));

/** Return a count with its noun: "1 step", "2 steps". */
const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

const FOLDED_ROWS = 12;

/**
 * Return a table that scrolls sideways and is stacked on a phone; columns of {head, text, cell(row)}.
 *
 * A column without a known value is left out. One that has the same value in all rows is written
 * below the caption instead.
 */
function table(caption, columns, rows) {
  const known = columns
    .map((column) => ({ ...column, cells: rows.map(column.cell) }))
    .filter(({ cells }) => cells.some((cell) => cell !== UNKNOWN));
  const isSame = ({ cells }) => rows.length > 1 && cells.every((cell) => cell === cells[0]);
  const differing = known.filter((column) => !isSame(column));
  const same = known.filter(isSame).map(({ head, cells }) => `${head}: ${cells[0]}`);
  const shown = differing.length ? differing : known;
  const kind = (column, cell) => {
    const names = [column.text ? "text" : null, cell === UNKNOWN ? "unknown" : null].filter(Boolean);
    return names.length ? { class: names.join(" ") } : {};
  };
  const body = element("tbody");
  const rowAt = (_, at) =>
    element(
      "tr", {},
      ...shown.map((c) => element("td", { ...kind(c, c.cells[at]), "data-head": c.head }, element("span", { dir: "auto" }, c.cells[at]))),
    );
  const isLong = rows.length > FOLDED_ROWS + 3;
  body.append(...rows.slice(0, isLong ? FOLDED_ROWS : rows.length).map(rowAt));
  const box = element(
    "div", { class: "scroll" },
    element(
      "div", { class: "sideways", tabindex: "0", role: "region", "aria-label": caption },
      element(
        "table", {},
        element(
          "caption", {}, element("span", {}, caption),
          differing.length && same.length ? element("small", {}, `In all rows: ${same.join(", ")}`) : null,
        ),
        element("thead", {}, element("tr", {}, ...shown.map((c) => element("th", { ...kind(c), scope: "col" }, c.head)))),
        body,
      ),
    ),
  );
  if (isLong) {
    const all = pressed(`Show all ${count(rows.length)} rows`, () => {
      body.append(...rows.map(rowAt).slice(FOLDED_ROWS));
      all.remove();
    }, { class: "plain more" });
    box.append(all);
  }
  return box;
}

/** Return the heading and the note that open a section. */
function opening(heading, note) {
  return [element("h2", {}, heading), note ? element("p", { class: "note" }, note) : null].filter(Boolean);
}
