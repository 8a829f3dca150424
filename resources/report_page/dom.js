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

const percent = (share, digits = 1) =>
  share === null || share === undefined ? "–" : `${(100 * share).toFixed(digits)}\u00a0%`;
const count = (number) => (number === null || number === undefined ? "–" : number.toLocaleString("en"));
const significant = (number) =>
  number === null || number === undefined
    ? "–"
    : number.toLocaleString("en", { maximumSignificantDigits: 3 });

/** Return a table in a box that scrolls sideways; columns of {head, text, cell(row)}. */
function table(caption, columns, rows) {
  const kind = (column) => (column.text ? { class: "text" } : {});
  return element(
    "div", { class: "scroll", tabindex: "0" },
    element(
      "table", {},
      element("caption", {}, element("span", {}, caption)),
      element("thead", {}, element("tr", {}, ...columns.map((c) => element("th", kind(c), c.head)))),
      element(
        "tbody", {},
        ...rows.map((row) =>
          element("tr", {}, ...columns.map((c) => element("td", kind(c), c.cell(row)))),
        ),
      ),
    ),
  );
}
