/** What the address holds of the section of solutions, with the values that it leaves out. */
const DEFAULTS = { problem: "", solution: "", step: "", of: "all", show: "all", by: "", colour: "soft", sort: "stored", find: "" };

/** Return the choices in the page's address; null if it names a section, or nothing. */
function readAddress() {
  const hash = location.hash.slice(1);
  if (!hash.includes("=")) return null;
  const read = new URLSearchParams(hash);
  return Object.fromEntries(Object.entries(DEFAULTS).map(([name, value]) => [name, read.get(name) ?? value]));
}

/** Return the address of some choices. */
function addressOf(choices) {
  const differing = Object.entries(DEFAULTS).filter(([name, value]) => (choices[name] || value) !== value);
  const query = new URLSearchParams(differing.map(([name]) => [name, choices[name]]));
  return `#${query.size ? query : "solutions"}`;
}

/** Write choices into the address. `isNew`: the browser's back button returns to the earlier ones. */
function writeAddress(choices, isNew) {
  const address = addressOf(choices);
  if (address === location.hash) return;
  history[isNew ? "pushState" : "replaceState"](null, "", address);
}
