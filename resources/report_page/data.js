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

const receivers = new Map();

/** Take the packed data of a file: each data file is a script that calls this. */
function receive(name, build, packed) {
  receivers.get(name)?.(build, packed);
  receivers.delete(name);
}

/** Return the packed data of a file beside the page. */
function loadFile(name, build) {
  return new Promise((resolve, reject) => {
    const script = element("script", { src: `report_files/${name}.js` });
    receivers.set(name, (ofBuild, packed) => {
      script.remove();
      if (ofBuild === build) resolve(packed);
      else reject(new Error("The folder report_files belongs to another report: reload this page, or write the report again."));
    });
    script.addEventListener("error", () =>
      reject(new Error(`report_files/${name}.js is missing: keep the folder report_files beside this page, or write the report again.`)),
    );
    document.head.append(script);
  });
}

/** Return the page's content. Each problem unpacks its texts and rollouts when they are needed. */
async function load() {
  const content = await unpack(document.getElementById("data").textContent);
  const { problems: perPiece, build, inPage } = content.pieces;
  const lines = document.getElementById("pieces").textContent.split("\n").map((line) => line.split(" "));
  const inside = new Map(lines.map(([name, ...packed]) => [name, packed]));
  const loaded = new Map();
  const piece = (name) => {
    if (!loaded.has(name)) loaded.set(name, inPage ? Promise.resolve(inside.get(name)) : loadFile(name, build));
    return loaded.get(name);
  };
  const unpacked = new Map();
  const once = (key, make) => {
    if (!unpacked.has(key)) unpacked.set(key, make());
    return unpacked.get(key);
  };
  const textsOf = (at) =>
    once(`texts-${at}`, async () => {
      const texts = await unpack((await piece(`texts-${at}`))[0]);
      texts.forEach((one, offset) => (content.problems[at * perPiece + offset].texts = one));
      return texts;
    });
  content.problems.forEach((problem, index) => {
    const at = Math.floor(index / perPiece);
    problem.index = index;
    problem.loadTexts = async () => problem.texts ?? (await textsOf(at))[index % perPiece];
    problem.loadRollouts = () =>
      once(`rollouts-${index}`, async () => unpack((await piece(`rollouts-${at}`))[index % perPiece]));
  });
  content.loadAllTexts = async (progress) => {
    const numPieces = Math.ceil(content.problems.length / perPiece);
    for (let at = 0; at < numPieces; at++) {
      await textsOf(at);
      progress(Math.min(content.problems.length, (at + 1) * perPiece));
    }
  };
  return content;
}

/** Return the 95\u00a0% Wilson interval of a share. */
function wilson(successes, trials) {
  if (!trials) return { low: null, high: null };
  const z2 = 1.959963984540054 ** 2;
  const share = successes / trials;
  const scaled = 1 + z2 / trials;
  const centre = (share + z2 / (2 * trials)) / scaled;
  const reach = Math.sqrt(z2 * ((share * (1 - share)) / trials + z2 / (4 * trials * trials))) / scaled;
  return { low: Math.max(0, Math.min(centre - reach, share)), high: Math.min(1, Math.max(centre + reach, share)) };
}

/** Return the point of a share: its value, interval and number of trials. */
function sharePoint(x, successes, trials, noun = "step") {
  return { x, y: successes / trials, ...wilson(successes, trials), detail: counted(trials, noun) };
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
