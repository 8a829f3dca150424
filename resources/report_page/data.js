const sum = (rows, column) => rows.reduce((total, row) => total + (row[column] ?? 0), 0);

/** Return rows in groups by the values of some columns, in the order of the rows. */
function grouped(rows, ...columns) {
  const groups = new Map();
  for (const row of rows) {
    const key = JSON.stringify(columns.map((column) => row[column]));
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  return [...groups.values()];
}

/** Return the JSON value of a text that is compressed with gzip and coded in base64. */
function unpack(packed) {
  const coded = atob(packed);
  const bytes = new Uint8Array(coded.length);
  for (let at = 0; at < coded.length; at++) bytes[at] = coded.charCodeAt(at);
  const { readable, writable } = new DecompressionStream("gzip");
  const writer = writable.getWriter();
  writer.write(bytes);
  writer.close();
  return new Response(readable).json();
}

/** Return the page's content. The rollouts of a problem stay packed until `unpackRollouts` is called. */
async function load() {
  const content = await unpack(document.getElementById("data").textContent);
  const packed = document.getElementById("rollouts").textContent.split("\n");
  content.problems.forEach((problem, at) => {
    let unpacked = null;
    problem.unpackRollouts = () => (unpacked ??= unpack(packed[at]));
  });
  return content;
}

/** Return the 95\u00a0% Wilson interval of a share. */
function wilson(successes, trials) {
  const z2 = 1.959963984540054 ** 2;
  const share = successes / trials;
  const scale = 1 + z2 / trials;
  const centre = (share + z2 / (2 * trials)) / scale;
  const reach = Math.sqrt(z2 * ((share * (1 - share)) / trials + z2 / (4 * trials * trials))) / scale;
  return { low: Math.max(0, Math.min(centre - reach, share)), high: Math.min(1, Math.max(centre + reach, share)) };
}

const ANNOTATOR_NAMES = { monte_carlo: "Monte Carlo", oracle: "oracle", human: "human" };
const TRUTHS = ["human", "oracle"];

const annotatorName = (annotator) => ANNOTATOR_NAMES[annotator] ?? annotator.replaceAll("_", " ");

/** Return the annotators among some names, those that estimate before the human and the oracle. */
function inOrder(annotators) {
  const rank = (name) => [TRUTHS.includes(name), name !== "monte_carlo"].map(Number).join("");
  return [...new Set(annotators)].sort((a, b) => (rank(a) + a < rank(b) + b ? -1 : 1));
}

/** Return the rows of the mart label_quality with one row for all generators of a position. */
function pooledQuality(rows) {
  return grouped(rows, "dataset", "annotator", "step_index").map((parts) => {
    const sums = Object.fromEntries(
      Object.keys(parts[0]).filter((column) => column.startsWith("num_")).map((column) => [column, sum(parts, column)]),
    );
    const { dataset, annotator, step_index } = parts[0];
    const reference = parts.find((row) => row.reference)?.reference ?? null;
    return { dataset, annotator, step_index, reference, ...sums };
  });
}
