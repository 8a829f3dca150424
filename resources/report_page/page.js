function showNothing(section, message) {
  section.append(element("p", { class: "note" }, message));
}

load().then(
  (content) => {
    showLead(content);
    showOverview(document.getElementById("overview"), content);
    showVerification(document.getElementById("verification"), content);
    showLabels(document.getElementById("labels"), content);
    showCost(document.getElementById("cost"), content);
    showGrading(document.getElementById("grading"), content);
    showStudies(document.getElementById("study"), content);
    showProblems(document.getElementById("solutions"), content);
    performance.mark("drawn");
    // The sections were still empty when the browser scrolled to the one in the address.
    const section = document.getElementById(location.hash.slice(1));
    requestAnimationFrame(() => requestAnimationFrame(() => section?.scrollIntoView({ behavior: "instant" })));
  },
  () => {
    document.getElementById("lead").textContent =
      "This browser cannot unpack the page's data: it needs DecompressionStream (any browser since 2023).";
  },
);
