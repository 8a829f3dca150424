/** Show the results of benchmarks; remove the section if there are none. */
function showStudies(section, { studies }) {
  if (!studies.length) {
    section.remove();
    document.querySelector('nav a[href="#study"]').remove();
    return;
  }
  const measured = (number, unit) =>
    number === null ? "" : `${number.toLocaleString("en", { maximumSignificantDigits: 4 })}\u00a0${unit}`;
  section.append(
    element("h2", {}, "What did the benchmarks measure?"),
    element("p", { class: "note" }, "Results of benchmarks from the folder study, which is next to this page."),
    ...studies.map(({ name, command, results }) =>
      table(
        `${name.replaceAll("_", " ")}: ${command}`,
        [
          { head: "Measure", text: true, cell: (row) => row.name },
          { head: "Value", cell: (row) => measured(row.value, row.unit) },
          { head: "Baseline", cell: (row) => measured(row.baseline, row.unit) },
          { head: "Target", cell: (row) => measured(row.target, row.unit) },
          { head: "Met", text: true, cell: (row) => (row.met === null ? "" : row.met ? "yes" : "no") },
        ],
        results,
      ),
    ),
  );
}
