// Point at a line's name to see it alone. The page is complete without this.
for (const entry of document.querySelectorAll(".legend:not(.still) [data-series]")) {
  const figure = entry.closest("figure");
  const number = Number(entry.dataset.series);
  const own = (path) =>
    path.classList.contains("c" + (number % 8)) &&
    (path.classList.contains("unsure") || path.classList.contains("d" + (Math.floor(number / 8) % 4)));
  const show = (alone) => {
    for (const path of figure.querySelectorAll("svg.chart path.line")) {
      path.classList.toggle("faded", alone && !own(path));
    }
  };
  entry.addEventListener("mouseenter", () => show(true));
  entry.addEventListener("mouseleave", () => show(false));
}
