"use strict";
const find = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const { labels, points } = JSON.parse(find("#data").textContent);

// The size of the pictures.
find("#size").addEventListener("input", (event) => {
  for (const name of ["--edge", "--cell"]) document.documentElement.style.setProperty(name, `${event.target.value}px`);
});

// The table: by a column, up, then down; what is empty, or no number among numbers, is last both ways.
const collator = new Intl.Collator("en", { numeric: true });
const valueOf = (cell) => (cell.dataset.number === undefined ? cell.textContent : cell.dataset.number);

function compare(a, b, numeric, sign) {
  const [noA, noB] = [a, b].map((value) => value === "" || (numeric && Number.isNaN(Number(value))));
  if (noA || noB) return noA - noB;
  return sign * (numeric ? Number(a) - Number(b) : collator.compare(a, b));
}

function sortBy(header) {
  const column = header.cellIndex, body = find(".sortable tbody"), numeric = header.classList.contains("number");
  const sign = header.ariaSort === "ascending" ? -1 : 1;
  for (const each of all(".sortable th")) each.ariaSort = "none";
  header.ariaSort = sign > 0 ? "ascending" : "descending";
  const rows = [...body.rows].map((row) => [valueOf(row.cells[column]), row]);
  rows.sort(([a], [b]) => compare(a, b, numeric, sign));
  body.append(...rows.map(([, row]) => row));
}
for (const header of all(".sortable th")) find("button", header).addEventListener("click", () => sortBy(header));

// A closer look: the result over the content picture, cut where the slider is.
const closer = find("#closer"), cut = find("#cut"), stage = find(".stage");
const figures = all("figure.run");
let looked = 0;

function slide(percent) {
  cut.value = percent;
  stage.style.setProperty("--cut", percent);
}

function look(place) {
  looked = (place + figures.length) % figures.length;
  const figure = figures[looked], run = figure.dataset.run;
  const result = find("img", figure), content = find(`img[data-sha256="${CSS.escape(figure.dataset.content)}"]`);
  find("#closer-title").textContent = labels[run];
  for (const [image, source] of [[find("#result"), result], [find("#content"), content]]) {
    image.hidden = !source;
    image.src = source ? source.src : "";
    image.alt = source ? source.alt : "";
  }
  if (result) stage.style.setProperty("--ratio", result.getAttribute("width") / result.getAttribute("height"));
  stage.hidden = !result;
  stage.classList.toggle("alone", !content);
  find(".cut").hidden = !(result && content);
  slide(0);
  const names = all(".sortable th").map((header) => header.textContent);
  const cells = all("td", find(`.sortable tr[data-run="${run}"]`));
  find("#facts").replaceChildren(...cells.filter((cell) => cell.textContent).map((cell) => {
    const pair = document.createElement("div"), name = document.createElement("dt"), value = document.createElement("dd");
    name.textContent = names[cell.cellIndex];
    value.textContent = cell.textContent;
    pair.append(name, value);
    return pair;
  }));
  if (!closer.open) closer.showModal();
}

figures.forEach((figure, place) => find(".zoom", figure).addEventListener("click", () => look(place)));
find("#before").addEventListener("click", () => look(looked - 1));
find("#after").addEventListener("click", () => look(looked + 1));
find("#close").addEventListener("click", () => closer.close());
closer.addEventListener("click", (event) => event.target === closer && closer.close());
cut.addEventListener("input", () => slide(cut.value));
stage.addEventListener("pointermove", (event) => {
  if (event.pointerType !== "mouse" && !event.pressure) return;
  const { left, width } = stage.firstElementChild.getBoundingClientRect();
  slide(Math.round(100 * Math.min(1, Math.max(0, (event.clientX - left) / width))));
});

// Curves: the point nearest to the pointer, to the digits of the history.
const curves = find("#curves");
const emphasize = (on) => {
  curves.classList.toggle("dimmed", Boolean(on));
  for (const path of all("path", curves)) path.classList.toggle("on", Boolean(on && on(path)));
};

function placesOf(path, name) {
  const { evaluations, losses } = points[path.dataset.run];
  const kept = evaluations.map((evaluation, k) => [evaluation, losses[name][k]]).filter(([, loss]) => loss > 0);
  return [...path.getAttribute("d").matchAll(/[ML]([\d.]+) ([\d.]+)/g)].map(([, x, y], k) => [+x, +y, ...kept[k]]);
}

function follow(svg) {
  const name = svg.dataset.name, mark = find("circle", svg);
  let places;
  svg.addEventListener("pointermove", (event) => {
    places ??= all("path", svg).flatMap((path) => placesOf(path, name).map((place) => [path.dataset.run, ...place]));
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let best = Infinity, nearest = null;
    for (const place of places) {
      const distance = (place[1] - x) ** 2 + (place[2] - y) ** 2;
      if (distance < best) [best, nearest] = [distance, place];
    }
    if (!nearest) return;
    const [run, cx, cy, evaluation, loss] = nearest;
    mark.setAttribute("cx", cx);
    mark.setAttribute("cy", cy);
    mark.setAttribute("visibility", "visible");
    emphasize((path) => path.dataset.run === run);
    find("#reading").textContent = `${labels[run]}: ${name} ${loss.toLocaleString("en", { maximumSignificantDigits: 6 })} after ${evaluation} evaluations`;
  });
  svg.addEventListener("pointerleave", () => {
    mark.setAttribute("visibility", "hidden");
    emphasize(null);
    find("#reading").textContent = "";
  });
}
if (curves) {
  all("svg", curves).forEach(follow);
  for (const button of all(".legend button")) {
    const show = () => emphasize((path) => path.dataset.ink === button.dataset.ink);
    for (const [event, action] of [["pointerenter", show], ["focus", show], ["pointerleave", () => emphasize(null)], ["blur", () => emphasize(null)]]) {
      button.addEventListener(event, action);
    }
  }
}
