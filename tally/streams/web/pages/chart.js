// Lines over time, by uPlot. It is fetched once a chart is seen, so that no page waits for it.

import { count } from "./format.js";

const HEIGHT = 208;
const WHOLE = [1, 100, 1e4, 1e6, 1e8].flatMap((power) => [1, 2, 5, 10, 20, 50].map((one) => one * power));
const SHARES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5];
const drawn = new Set();
let library = null;

/**
 * Paint lines into an element: `data` is {labels: [{axis, full}], lines: [{name, tone, values}], whole, say, band}. From
 * `whole` on lines are dashed, `say` makes text of a value, and `band` fills what lies between two lines, by number.
 */
export async function paintChart(element, data) {
  element.tallyChart = data;
  library ??= import("./uplot.js").then((module) => module.default);
  let UPlot;
  try {
    UPlot = await library;
  } catch {
    library = null;
    element.textContent = "The chart could not be loaded. Its numbers are behind “show numbers”.";
    return;
  }
  if (element.tallyChart === data) draw(UPlot, element);
}

/** A number of an axis, which has room for seven letters. */
const shortly = (number) => (number < 1e6 ? count(number) : short.format(number));
const short = new Intl.NumberFormat("en", { notation: "compact" });

const tones = (element) => getComputedStyle(element);
const kind = ({ lines }) => lines.map(({ name }) => name).join();

function draw(UPlot, element) {
  const { plot, made } = element.tallyPlot ?? {};
  const data = element.tallyChart;
  if (plot && made === kind(data)) {
    plot.setData(points(data));
    tell(element, null);
    return;
  }
  plot?.destroy();
  element.replaceChildren();
  const place = element.appendChild(document.createElement("div"));
  element.appendChild(document.createElement("p")).className = "readout";
  element.tallyPlot = { plot: new UPlot(options(element, data), points(data), place), made: kind(data) };
  tell(element, null);
  if (!drawn.has(element)) {
    drawn.add(element);
    new ResizeObserver(() => element.tallyPlot.plot.setSize({ width: element.clientWidth, height: HEIGHT })).observe(element);
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const element of drawn) {
    if (!element.isConnected) drawn.delete(element);
    else if (element.tallyPlot) {
      element.tallyPlot.made = null;
      paintChart(element, { ...element.tallyChart });
    }
  }
});

/** Each line twice: what is whole, and what has not ended yet. */
function points({ labels, lines, whole }) {
  const places = labels.map((_, index) => index);
  const upTo = lines.map(({ values }) => values.map((value, index) => (index < whole ? value : null)));
  const rest = lines.map(({ values }) => values.map((value, index) => (index >= whole - 1 ? value : null)));
  return [places, ...upTo, ...rest];
}

function options(element, { lines, say, band }) {
  const style = tones(element);
  const tone = (name) => style.getPropertyValue(`--${name}`).trim();
  const line = (one, index, dash) => ({
    label: one.name,
    stroke: tone(one.tone),
    width: one.tone === "grey" ? 1 : 2,
    fill: index === 0 && !dash && !band ? `${tone(one.tone)}1c` : undefined,
    dash,
    points: { show: (plot) => plot.data[0].length < 3, size: 6 },
  });
  const axis = { stroke: tone("soft"), font: "12px system-ui, sans-serif", gap: 8, ticks: { show: false, size: 0 } };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, drag: { setScale: false, x: false }, points: { show: false } },
    padding: [10, 24, 0, 0],
    bands: band ? [{ series: band.map((place) => place + 1), fill: `${tone("grey")}2a` }] : [],
    scales: { x: { time: false, range: (plot, min, max) => (min === max ? [min - 1, max + 1] : [min, max]) }, y: { range: (plot, min, max) => [0, say === count ? Math.max(1, max * 1.06) : Math.min(1, Math.max(0.05, max * 1.06))] } },
    axes: [
      { ...axis, size: 30, grid: { show: false }, space: 90, incrs: [1, 2, 3, 4, 6, 12, 24, 48, 96, 168, 336, 720, 1440], values: (plot, places) => places.map((place) => element.tallyChart.labels[place]?.axis ?? "") },
      { ...axis, size: 62, grid: { stroke: tone("line"), width: 1 }, incrs: say === count ? WHOLE : SHARES, values: (plot, values) => values.map(say === count ? shortly : say) },
    ],
    series: [{}, ...lines.map((one, index) => line(one, index)), ...lines.map((one, index) => line(one, index, [3, 4]))],
    hooks: { setCursor: [(plot) => tell(element, plot.cursor.idx)] },
  };
}

/** Say the numbers under the pointer, or the last ones. */
function tell(element, index) {
  const { labels, lines, whole, say } = element.tallyChart;
  const place = index ?? labels.length - 1;
  const said = lines.flatMap(({ name, values }) => (values[place] === null ? [] : `${say(values[place])} ${name}`)).join(" · ");
  const text = labels.length ? `${labels[place].full}${place >= whole ? ", so far" : ""} · ${said}` : "";
  const readout = element.lastElementChild;
  if (readout.textContent !== text) readout.textContent = text;
}
