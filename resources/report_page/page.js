const SECTIONS = {
  overview: showOverview,
  generators: showGenerators,
  verification: showVerification,
  labels: showLabels,
  calibration: showCalibration,
  cost: showCost,
  training: showTraining,
  grading: showGrading,
  study: showStudies,
};

/** Draw a section; one without data is left out, and so is its link. */
function drawSection(name, draw, content) {
  const section = document.getElementById(name);
  const drawn = draw(section, content);
  if (!section.childElementCount) section.remove();
  else if (section.dataset.name) {
    document.querySelector("nav").append(element("a", { href: `#${name}` }, section.dataset.name));
  }
  return drawn;
}

load().then(
  async (content) => {
    showFacts(document.getElementById("facts"), content);
    showLead(document.getElementById("lead"), content);
    for (const [name, draw] of Object.entries(SECTIONS)) drawSection(name, draw, content);
    const review = drawSection("solutions", showProblems, content);
    const linked = location.hash.slice(1);
    await review?.open();
    performance.mark("drawn");
    if (linked.includes("=")) return;
    // The sections were still empty when the browser scrolled to the one in the address.
    const section = document.getElementById(linked);
    requestAnimationFrame(() => requestAnimationFrame(() => section?.scrollIntoView({ behavior: "instant" })));
  },
  () => {
    document.getElementById("lead").textContent =
      "This browser cannot unpack the page's data: it needs DecompressionStream (any browser since 2023).";
  },
);
