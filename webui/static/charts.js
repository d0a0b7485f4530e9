// Charts by Plotly, in the page's colours: <div data-chart="/address.json" data-topics="training:3">.

import { onChange, touches } from "./live.js";

const PALETTES = {
  light: ["#5b55d6", "#d0569a", "#17794a", "#b7791f", "#2a5fb8", "#b3261e"],
  dark: ["#938ff5", "#f087bd", "#6fd39d", "#f0c26a", "#8fbaf8", "#ff9d94"],
};
const drawn = new Map();
let library = null;

function plotly() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("plotly.js", import.meta.url).href;
    script.onload = () => resolve(window.Plotly);
    script.onerror = reject;
    document.head.append(script);
  });
  return library;
}

function layoutOf(chart, theme) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { gridcolor: colour("--line"), linecolor: colour("--line-strong"), zeroline: false, tickfont: { size: 11 }, automargin: true, fixedrange: true };
  return {
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--ink-2") },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", colorway: PALETTES[theme],
    margin: { l: 52, r: 14, t: 8, b: 42 }, hovermode: chart.bars ? "closest" : "x unified", bargap: 0.06,
    hoverlabel: { bgcolor: colour("--surface"), bordercolor: colour("--line-strong"), font: { color: colour("--ink") } },
    showlegend: chart.series.length > 1, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 11.5 } },
    xaxis: { ...axis, rangemode: chart.x_from_zero ? "tozero" : "normal", title: { text: chart.x_title, font: { size: 11.5 }, standoff: 8 }, ...(chart.x_ticks ? { tickvals: chart.x_ticks.values, ticktext: chart.x_ticks.texts } : {}) },
    yaxis: { ...axis, title: { text: chart.y_title, font: { size: 11.5 }, standoff: 6 }, type: chart.y_log ? "log" : "linear", rangemode: chart.bars ? "tozero" : "normal" },
  };
}

function tracesOf(chart) {
  return chart.series.map((series) => chart.bars
    ? { type: "bar", x: series.x, y: series.y, name: series.name, hovertemplate: series.hover ?? "%{x}: %{y:,}<extra></extra>", customdata: series.labels }
    : { type: "scatter", mode: series.x.length < 40 ? "lines+markers" : "lines", x: series.x, y: series.y, name: series.name, line: { width: 2, dash: series.dash ?? "solid" }, marker: { size: 5 }, yaxis: "y", hovertemplate: "%{y:.4~g}" });
}

async function draw(node) {
  const theme = document.documentElement.dataset.bsTheme;
  const [Plotly, answer] = await Promise.all([plotly(), fetch(node.dataset.chart, { cache: "no-cache" })]);
  if (!answer.ok) return;
  const text = await answer.text();
  const before = drawn.get(node);
  if (before && before.text === text && before.theme === theme) return;
  drawn.set(node, { text, theme });
  const chart = JSON.parse(text);
  const empty = node.parentElement.querySelector("[data-chart-empty]");
  const some = chart.series.some((series) => series.x.length);
  if (empty) empty.hidden = some;
  node.hidden = !some;
  const card = node.closest("[data-chart-card]");
  if (card) card.hidden = !some;
  if (some) await Plotly.react(node, tracesOf(chart), layoutOf(chart, theme), { responsive: true, displayModeBar: false });
}

export function start() {
  const nodes = [...document.querySelectorAll("[data-chart]")];
  const timers = new Map();
  const soon = (node) => {
    if (timers.has(node)) return;
    timers.set(node, setTimeout(() => { timers.delete(node); if (!document.hidden) draw(node).catch(() => {}); }, 300));
  };
  const sight = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { sight.unobserve(entry.target); entry.target.dataset.seen = ""; draw(entry.target).catch(() => {}); }
  }, { rootMargin: "200px" });
  // A card that is hidden until there is something to show never comes into sight: it waits for its topics.
  nodes.forEach((node) => { if (node.closest("[hidden]")) node.dataset.seen = ""; else sight.observe(node); });
  onChange((topics) => nodes.filter((node) => "seen" in node.dataset && node.dataset.topics && touches(topics, node.dataset.topics.split(" "))).forEach(soon));
  document.addEventListener("cadenza:theme", () => nodes.filter((node) => "seen" in node.dataset).forEach((node) => draw(node).catch(() => {})));
}
