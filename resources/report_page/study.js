/** Show the results of benchmarks. */
function showStudies(section, { studies }) {
  if (!studies.length) return;
  const measured = (number, unit) =>
    isUnknown(number) ? UNKNOWN : `${number.toLocaleString("en", { maximumSignificantDigits: 4 })}\u00a0${unit}`;
  section.append(
    ...opening("What did the benchmarks measure?", "Results of benchmarks from the folder study, which is next to this page."),
    ...studies.map(({ name, command, results }) =>
      table(
        `${name.replaceAll("_", " ")}: ${command}`,
        [
          { head: "Measure", text: true, cell: (row) => row.name },
          { head: "Value", cell: (row) => measured(row.value, row.unit) },
          { head: "Baseline", cell: (row) => measured(row.baseline, row.unit) },
          { head: "Target", cell: (row) => measured(row.target, row.unit) },
          { head: "Met", text: true, cell: (row) => (isUnknown(row.met) ? UNKNOWN : row.met ? "yes" : "no") },
        ],
        results,
      ),
    ),
  );
}
