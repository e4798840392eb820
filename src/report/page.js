"use strict";
// The page is whole without this script: it adds values under the pointer and the keyboard to the
// charts, toggles to the gallery, and opens what is folded before the page is printed.

const SVG = "http://www.w3.org/2000/svg";

const numbers = (text) => text.split(",").map((part) => (part === "" ? NaN : Number(part)));

function readLine(element) {
  const x = numbers(element.dataset.x), y = numbers(element.dataset.y);
  const values = new Map();
  x.forEach((at, i) => { if (Number.isFinite(y[i])) values.set(at, y[i]); });
  return { name: element.dataset.name, values };
}

function textOf(chart, at) {
  const parts = chart.lines.filter((line) => line.values.has(at))
    .map((line) => `${line.name}: ${line.values.get(at)}`);
  return [`${chart.axis} ${Number(at.toFixed(2))}`, ...parts];
}

function showValue(chart, index) {
  chart.index = Math.max(0, Math.min(chart.places.length - 1, index));
  const at = chart.places[chart.index];
  const span = chart.max - chart.min;
  const x = chart.left + (span > 0 ? (at - chart.min) / span : 0.5) * (chart.right - chart.left);
  chart.rule.setAttribute("x1", x);
  chart.rule.setAttribute("x2", x);
  chart.rule.style.display = "";
  const lines = textOf(chart, at);
  chart.tip.replaceChildren(...lines.map((line) => {
    const row = document.createElement("div");
    row.textContent = line;
    return row;
  }));
  chart.tip.hidden = false;
  const share = x / chart.width;
  chart.tip.style.left = share < 0.5 ? `${100 * share + 3}%` : "auto";
  chart.tip.style.right = share < 0.5 ? "auto" : `${100 * (1 - share) + 3}%`;
  chart.plot.setAttribute("aria-valuenow", chart.index + 1);
  chart.plot.setAttribute("aria-valuetext", lines.join("; "));
}

function hideValue(chart) {
  chart.tip.hidden = true;
  chart.rule.style.display = "none";
}

function nearest(chart, event) {
  const box = chart.svg.getBoundingClientRect();
  const x = (event.clientX - box.left) / box.width * chart.width;
  const at = chart.min + (x - chart.left) / (chart.right - chart.left) * (chart.max - chart.min);
  let found = 0;
  chart.places.forEach((place, i) => {
    if (Math.abs(place - at) < Math.abs(chart.places[found] - at)) found = i;
  });
  return found;
}

const KEYS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -1e9, End: 1e9 };

function startChart(plot) {
  const svg = plot.querySelector("svg");
  const lines = [...svg.querySelectorAll("[data-y]")].map(readLine);
  const places = [...new Set(lines.flatMap((line) => [...line.values.keys()]))].sort((a, b) => a - b);
  if (places.length === 0) return;
  const rule = document.createElementNS(SVG, "line");
  rule.setAttribute("class", "rule");
  rule.setAttribute("y1", svg.dataset.top);
  rule.setAttribute("y2", svg.dataset.bottom);
  rule.style.display = "none";
  svg.append(rule);
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  plot.append(tip);
  const chart = {
    plot, svg, lines, places, rule, tip, index: places.length - 1, axis: svg.dataset.axis,
    min: Number(svg.dataset.min), max: Number(svg.dataset.max), left: Number(svg.dataset.left),
    right: Number(svg.dataset.right), width: svg.viewBox.baseVal.width,
  };
  plot.tabIndex = 0;
  plot.setAttribute("role", "slider");
  plot.setAttribute("aria-valuemin", 1);
  plot.setAttribute("aria-valuemax", places.length);
  plot.setAttribute("aria-valuenow", places.length);
  plot.setAttribute("aria-valuetext", textOf(chart, places[chart.index]).join("; "));
  plot.addEventListener("pointermove", (event) => showValue(chart, nearest(chart, event)));
  plot.addEventListener("pointerleave", () => { if (document.activeElement !== plot) hideValue(chart); });
  plot.addEventListener("focus", () => showValue(chart, chart.index));
  plot.addEventListener("blur", () => hideValue(chart));
  plot.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hideValue(chart);
    if (!(event.key in KEYS) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    showValue(chart, chart.index + KEYS[event.key]);
  });
}

function startGallery(gallery) {
  const bar = gallery.querySelector(".bar");
  const buttons = [...bar.querySelectorAll("button:not(:disabled)")];
  const count = () => {
    const shown = buttons.filter((button) => button.getAttribute("aria-pressed") === "true").length;
    gallery.style.setProperty("--shown", Math.max(1, shown));
  };
  buttons.forEach((button) => button.addEventListener("click", () => {
    const isShown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isShown));
    gallery.classList.toggle(`hide-${button.dataset.layer}`, !isShown);
    count();
  }));
  count();
  bar.hidden = false;
}

document.querySelectorAll(".plot").forEach(startChart);
document.querySelectorAll(".gallery").forEach(startGallery);

let opened = [];
window.addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  opened.forEach((element) => { element.open = true; });
});
window.addEventListener("afterprint", () => {
  opened.forEach((element) => { element.open = false; });
  opened = [];
});
