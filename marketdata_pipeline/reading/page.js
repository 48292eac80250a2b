"use strict";
(() => {
const DAY = 864e5;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const SPANS = [["1D", 1], ["5D", 7], ["1M", 30.5], ["6M", 183], ["1Y", 365.25], ["5Y", 1826], ["all", Infinity]];
const LEAST = 8;       // bars that are shown at the closest
const DENSE = 2.4;     // pixels a bar, below which candles become a line with its high and low
const $ = (id) => document.getElementById(id);
const clamp = (x, low, high) => Math.max(low, Math.min(high, x));
const make = (tag, text, parent, cls) => {
  const one = document.createElement(tag);
  if (text !== undefined) one.textContent = text;
  if (cls) one.className = cls;
  if (parent) parent.append(one);
  return one;
};

// ---- the data: columns as they were stored, labels as steps of `unit` microseconds
const all = JSON.parse($("data").textContent).map((one) => {
  let at = 0;
  const time = one.t.map((step) => (at += step) * one.unit / 1000);
  return { ...one, time, n: time.length, daily: !one.intraday };
});
if (!all.length) return;
document.querySelector(".chart").hidden = false;

const columns = (s, adjusted) => {
  const kept = s[adjusted ? "adjustedColumns" : "rawColumns"];
  if (kept) return kept;
  const ratio = new Float64Array(s.n).fill(1);
  if (adjusted) for (const e of s.events) if (e.ratio) for (let i = 0; i < e.at; i++) ratio[i] *= e.ratio;
  const made = {};
  for (const k of "ohlc") made[k] = Float64Array.from(s[k], (x, i) => x / ratio[i]);
  made.v = Float64Array.from(s.v, (x, i) => x * ratio[i]);
  made.hasVolume = made.v.some((x) => x > 0);
  return (s[adjusted ? "adjustedColumns" : "rawColumns"] = made);
};

// ---- spelling
const two = (x) => String(x).padStart(2, "0");
const spellDate = (ms, intraday) => {
  const d = new Date(ms);
  const day = `${d.getUTCDate()} ${MONTHS[d.getUTCMonth()]} ${d.getUTCFullYear()}`;
  return intraday ? `${day} ${two(d.getUTCHours())}:${two(d.getUTCMinutes())} UTC` : day;
};
// As many digits as three of four recent closes need: a stray fourth one is no reason for all to have it.
const digitsOf = (s) => s.digits ??= (() => {
  const need = s.c.slice(-250).map((x) => Number(/e-(\d+)$/.exec(x)?.[1] ?? (String(x).split(".")[1] ?? "").length)).sort((x, y) => x - y);
  return clamp(need[Math.floor(need.length * 0.75)] ?? 2, 2, 10);
})();
const spell = (x, digits) => x.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const short = (x) => {
  for (const [size, unit] of [[1e12, " T"], [1e9, " B"], [1e6, " M"], [1e3, " k"]])
    if (x >= size) return (x / size).toPrecision(3) + unit;
  return String(+x.toPrecision(4));
};

// ---- what is shown
const state = { s: all[0], from: 0, to: 0, hover: null, y: null, adjusted: true, log: false };
const chart = $("chart"), strip = $("strip");
let wanted = 0;
const draw = () => { wanted ||= requestAnimationFrame(() => { wanted = 0; drawChart(); drawStrip(); readout(); }); };
const view = (from, to) => {
  const n = state.s.n, width = clamp(to - from, Math.min(LEAST, n), n);
  state.from = clamp(from, 0, n - width);
  state.to = state.from + width;
  draw();
};
const zoom = (factor, at) => view(at - (at - state.from) * factor, at + (state.to - at) * factor);
const rowOf = (s, ms) => {
  let low = 0, high = s.n;
  while (low < high) { const mid = (low + high) >> 1; if (s.time[mid] < ms) low = mid + 1; else high = mid; }
  return low;
};
const span = (days) => {
  const s = state.s, from = days === Infinity ? 0 : rowOf(s, s.time[s.n - 1] - days * DAY + 1);
  view(from, s.n);
};
const choose = (s) => {
  const old = state.s, from = old.time[Math.floor(state.from)], to = old.time[Math.ceil(state.to) - 1];
  const keep = old !== s && old.timeframe === s.timeframe && state.to && s.n && from >= s.time[0] && to <= s.time[s.n - 1];
  state.s = s;
  state.hover = null;
  if (keep) view(rowOf(s, from), rowOf(s, to) + 1);
  else view(s.n - Math.max(60, Math.round(chart.clientWidth / 7)), s.n);
  history.replaceState(null, "", "#" + encodeURIComponent(s.key));
  controls();
};

// ---- controls
const segment = (parent, label, on, pressed) => {
  const one = make("button", label, parent);
  one.type = "button";
  one.setAttribute("aria-pressed", pressed);
  one.onclick = on;
  return one;
};
const sparkline = (s) => {
  const c = columns(s, true).c.slice(-90), low = Math.min(...c), reach = Math.max(...c) - low || 1;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS(svg.namespaceURI, "path");
  svg.setAttribute("viewBox", "0 0 64 30");
  path.setAttribute("d", Array.from(c, (x, i) => `${i ? "L" : "M"}${(i / Math.max(1, c.length - 1) * 64).toFixed(1)} ${(28 - (x - low) / reach * 26).toFixed(1)}`).join(""));
  svg.append(path);
  return svg;
};
const instruments = [...new Set(all.map((s) => s.instrument))];
const bestOf = (name) => {
  const own = all.filter((s) => s.instrument === name);
  return own.find((s) => s.timeframe === state.s.timeframe) || own.find((s) => s.timeframe === "1d") || own[0];
};
for (const name of instruments) {
  const own = all.filter((s) => s.instrument === name), s = own.find((one) => one.timeframe === "1d") || own[0];
  const one = segment($("instruments"), undefined, () => choose(bestOf(name)), false);
  one.dataset.name = name;
  make("b", name, one);
  const c = columns(s, true).c, last = c[s.n - 1];
  make("span", s.n ? `${spell(last, Math.min(digitsOf(s), 4))} ${s.currency}` : "no bars", one);
  if (s.n > 1) one.append(sparkline(s));
}
const controls = () => {
  const s = state.s;
  $("name").textContent = s.instrument;
  make("small", `${s.timeframe}${s.currency ? ", " + s.currency : ""}`, $("name"));
  for (const one of $("instruments").children) one.setAttribute("aria-pressed", one.dataset.name === s.instrument);
  $("timeframes").replaceChildren();
  for (const other of all.filter((one) => one.instrument === s.instrument))
    segment($("timeframes"), other.timeframe, () => choose(other), other === s);
  $("spans").replaceChildren();
  const bar = s.n > 1 ? (s.time[s.n - 1] - s.time[0]) / (s.n - 1) : DAY, reach = bar * s.n / DAY;
  for (const [label, days] of SPANS)
    if (days === Infinity || (days * DAY >= LEAST * bar && days < reach)) segment($("spans"), label, () => span(days), false);
  $("adjusted").setAttribute("aria-pressed", state.adjusted);
  $("raw").setAttribute("aria-pressed", !state.adjusted);
  $("log").setAttribute("aria-pressed", state.log);
  chart.setAttribute("aria-label", s.n
    ? `${s.key}: ${s.n} bars, ${spellDate(s.time[0], s.intraday)} to ${spellDate(s.time[s.n - 1], s.intraday)}`
    : `${s.key}: no bars`);
  draw();
};
const adjust = (yes) => { state.adjusted = yes; controls(); };
$("adjusted").onclick = () => adjust(true);
$("raw").onclick = () => adjust(false);
$("log").onclick = () => { state.log = !state.log; controls(); };

// ---- drawing
const colours = () => {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue("--" + name).trim();
};
const prepared = (canvas) => {
  const dpr = window.devicePixelRatio || 1, W = canvas.clientWidth, H = canvas.clientHeight;
  if (canvas.width !== Math.round(W * dpr) || canvas.height !== Math.round(H * dpr)) {
    canvas.width = Math.round(W * dpr);
    canvas.height = Math.round(H * dpr);
  }
  const g = canvas.getContext("2d");
  g.setTransform(dpr, 0, 0, dpr, 0, 0);
  g.clearRect(0, 0, W, H);
  g.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  g.textBaseline = "middle";
  return [g, W, H];
};
const niceTicks = (low, high, most, log) => {
  if (log && high / low > 4) {
    const ticks = [];
    for (let p = Math.floor(Math.log10(low)); p <= Math.log10(high); p++)
      for (const m of high / low > 60 ? [1, 3] : [1, 2, 5]) if (m * 10 ** p >= low && m * 10 ** p <= high) ticks.push(m * 10 ** p);
    if (ticks.length > 1) return ticks;
  }
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((m) => m * power >= rough * 0.999999) * power, ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) ticks.push(i * step);
  return ticks;
};
const tickDigits = (ticks) => {
  let least = Infinity;
  for (let i = 1; i < ticks.length; i++) least = Math.min(least, ticks[i] - ticks[i - 1]);
  return Number.isFinite(least) ? clamp(Math.ceil(-Math.log10(least) - 1e-9), 0, 10) : 2;
};
const dateTicks = (s, a, b, most) => {
  const spellDay = (d) => `${d.getUTCDate()} ${MONTHS[d.getUTCMonth()]}`;
  const minutes = (n) => [(ms) => Math.floor(ms / (n * 6e4)), (d) => `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`];
  const months = (n) => [(ms, d) => Math.floor((d.getUTCFullYear() * 12 + d.getUTCMonth()) / n), (d) => n >= 12 || d.getUTCMonth() === 0 ? String(d.getUTCFullYear()) : MONTHS[d.getUTCMonth()]];
  const periods = [...(s.intraday ? [minutes(5), minutes(15), minutes(60), minutes(240)] : []),
    [(ms) => Math.floor(ms / DAY), spellDay], [(ms) => Math.floor((ms + 3 * DAY) / (7 * DAY)), spellDay],
    ...[1, 3, 12, 24, 60, 120].map(months)];
  for (const [key, label] of periods) {
    const marks = [];
    let old = null;
    for (let i = Math.max(0, a - 1); i < b && marks.length <= most; i++) {
      const d = new Date(s.time[i]), now = key(s.time[i], d);
      if (old !== null && now !== old && i >= a) marks.push([i, label(d)]);
      old = now;
    }
    if (marks.length <= most) return marks;
  }
  return [];
};

let plot = null;   // what the pointer needs to know of the last drawing
const drawChart = () => {
  const [g, W, H] = prepared(chart), colour = colours(), s = state.s;
  if (!s.n) {
    g.fillStyle = colour("quiet");
    g.textAlign = "center";
    g.fillText("no bars are stored of this series", W / 2, H / 2);
    plot = null;
    return;
  }
  const col = columns(s, state.adjusted);
  const a = Math.floor(state.from), b = Math.min(s.n, Math.ceil(state.to));
  let low = Infinity, high = -Infinity, most = 0;
  for (let i = a; i < b; i++) {
    if (col.l[i] < low) low = col.l[i];
    if (col.h[i] > high) high = col.h[i];
    if (col.v[i] > most) most = col.v[i];
  }
  const f = state.log ? Math.log : (x) => x, back = state.log ? Math.exp : (x) => x;
  let lowF = f(low), highF = f(high);
  const pad = (highF - lowF) * 0.06 || Math.abs(highF) * 0.01 || 1;
  lowF -= pad; highF += pad;
  const ticks = niceTicks(state.log ? back(lowF) : lowF, back(highF), Math.max(2, Math.round(H / 62)), state.log);
  const digits = tickDigits(ticks), labels = ticks.map((x) => spell(x, digits));
  const axis = Math.max(46, ...labels.map((x) => g.measureText(x).width), g.measureText(spell(high, digitsOf(s))).width) + 14;
  const x1 = W - axis, y0 = 20, bottom = H - 24, volume = col.hasVolume ? Math.round((bottom - y0) * 0.18) : 0;
  const y1 = bottom - volume - (volume ? 10 : 0);
  const step = x1 / (state.to - state.from);
  const X = (i) => (i + 0.5 - state.from) * step, Y = (p) => y1 - (f(p) - lowF) / (highF - lowF) * (y1 - y0);
  plot = { x1, y0, y1, bottom, step, price: (y) => back(lowF + (y1 - y) / (y1 - y0) * (highF - lowF)) };

  // grid and axes
  g.lineWidth = 1;
  g.strokeStyle = colour("grid");
  g.fillStyle = colour("quiet");
  g.textAlign = "left";
  ticks.forEach((p, i) => {
    const y = Math.round(Y(p)) + 0.5;
    g.beginPath(); g.moveTo(0, y); g.lineTo(x1, y); g.stroke();
    g.fillText(labels[i], x1 + 8, y);
  });
  g.textAlign = "center";
  let free = -Infinity;
  for (const [i, text] of dateTicks(s, a, b, Math.max(2, Math.floor(x1 / 70)))) {
    const x = Math.round(X(i)) + 0.5, half = g.measureText(text).width / 2;
    g.beginPath(); g.moveTo(x, y0); g.lineTo(x, bottom); g.stroke();
    if (x - half > free && x + half < W) { g.fillText(text, Math.max(half, x), H - 11); free = x + half + 12; }
  }

  g.save();
  g.beginPath(); g.rect(0, 0, x1, H); g.clip();
  // volume
  const room = Math.min(21, Math.floor(step * 0.72)), width = Math.max(1, room - (room % 2 ? 0 : 1));   // odd: the wick is in the middle
  if (volume && most > 0) {
    g.fillStyle = colour("volume");
    for (let i = a; i < b; i++) {
      const tall = col.v[i] / most * volume;
      g.fillRect(Math.round(X(i) - width / 2), bottom - tall, step < DENSE ? Math.max(step, 0.5) : width, tall);
    }
  }
  // prices
  if (step < DENSE) {
    g.beginPath();
    for (let i = a; i < b; i++) g.lineTo(X(i), Y(col.h[i]));
    for (let i = b - 1; i >= a; i--) g.lineTo(X(i), Y(col.l[i]));
    g.closePath();
    g.globalAlpha = 0.22; g.fillStyle = colour("up"); g.fill(); g.globalAlpha = 1;
    g.beginPath();
    for (let i = a; i < b; i++) g.lineTo(X(i), Y(col.c[i]));
    g.strokeStyle = colour("up"); g.lineWidth = 1.3; g.lineJoin = "round"; g.stroke();
  } else {
    const up = colour("up"), down = colour("down");
    for (let i = a; i < b; i++) {
      const x = Math.round(X(i) - width / 2), top = Y(Math.max(col.o[i], col.c[i])), low = Y(Math.min(col.o[i], col.c[i]));
      g.fillStyle = col.c[i] >= col.o[i] ? up : down;
      g.fillRect(x + (width - 1) / 2, Y(col.h[i]), 1, Math.max(1, Y(col.l[i]) - Y(col.h[i])));
      if (width > 1) g.fillRect(x, top, width, Math.max(1, low - top));
    }
  }
  events(g, s, a, b, X, y0, bottom, step, colour);
  g.restore();
  last(g, s, col, Y, x1, y0, y1, colour);
  crosshair(g, s, X, x1, W, H, colour);
};
const events = (g, s, a, b, X, y0, bottom, step, colour) => {
  for (const e of s.events) {
    if (e.at < a || e.at >= b) continue;
    const x = Math.round(X(e.at) - step / 2) + 0.5;
    if (e.ratio) {
      g.strokeStyle = colour("quiet");
      g.setLineDash([2, 3]);
      g.beginPath(); g.moveTo(x, y0); g.lineTo(x, bottom); g.stroke();
      g.setLineDash([]);
      const text = e.text, half = g.measureText(text).width / 2 + 7, mid = clamp(x, half + 1, plot.x1 - half - 1);
      g.fillStyle = colour("card"); g.strokeStyle = colour("quiet");
      g.beginPath(); g.roundRect(mid - half, 1.5, 2 * half, 18, 9); g.fill(); g.stroke();
      g.fillStyle = colour("ink"); g.textAlign = "center";
      g.fillText(text, mid, 11);
    } else if (step > 3) {
      g.fillStyle = colour("quiet");
      g.beginPath(); g.arc(X(e.at), bottom - 3, 2.5, 0, 7); g.fill();
    }
  }
};
const tag = (g, text, x, y, fill, ink) => {
  g.fillStyle = fill;
  g.beginPath(); g.roundRect(x, y - 9, g.measureText(text).width + 12, 18, 3); g.fill();
  g.fillStyle = ink; g.textAlign = "left";
  g.fillText(text, x + 6, y + 0.5);
};
const last = (g, s, col, Y, x1, y0, y1, colour) => {
  const close = col.c[s.n - 1], y = Y(close);
  if (y < y0 || y > y1 || state.to < s.n - 0.01) return;
  tag(g, spell(close, digitsOf(s)), x1 + 2, y, colour(close >= col.o[s.n - 1] ? "up" : "down"), colour("card"));
};
const crosshair = (g, s, X, x1, W, H, colour) => {
  if (state.hover === null || state.hover < state.from - 1 || state.hover >= state.to) return;
  const x = Math.round(X(state.hover)) + 0.5, { y0, y1, bottom } = plot;
  g.strokeStyle = colour("quiet");
  g.setLineDash([3, 3]);
  g.beginPath(); g.moveTo(x, y0); g.lineTo(x, bottom);
  const inside = state.y !== null && state.y >= y0 && state.y <= y1;
  if (inside) { g.moveTo(0, Math.round(state.y) + 0.5); g.lineTo(x1, Math.round(state.y) + 0.5); }
  g.stroke();
  g.setLineDash([]);
  const text = spellDate(s.time[state.hover], s.intraday), wide = g.measureText(text).width + 12;
  tag(g, text, clamp(x - wide / 2, 0, x1 - wide), H - 11, colour("press"), colour("pressed-ink"));
  if (inside) tag(g, spell(plot.price(state.y), digitsOf(s)), x1 + 2, state.y, colour("press"), colour("pressed-ink"));
};
const drawStrip = () => {
  const [g, W, H] = prepared(strip), colour = colours(), s = state.s;
  if (!s.n) return;
  const c = columns(s, state.adjusted).c, f = state.log ? Math.log : (x) => x;
  let low = Infinity, high = -Infinity;
  for (const x of c) { if (x < low) low = x; if (x > high) high = x; }
  const Y = (p) => H - 4 - (f(p) - f(low)) / (f(high) - f(low) || 1) * (H - 8), X = (i) => i / s.n * W;
  g.fillStyle = colour("paper"); g.fillRect(0, 0, W, H);
  g.beginPath();
  for (let i = 0; i < s.n; i++) g.lineTo(X(i + 0.5), Y(c[i]));
  g.strokeStyle = colour("quiet"); g.lineWidth = 1; g.stroke();
  const left = X(state.from), right = X(state.to);
  g.fillStyle = colour("up"); g.globalAlpha = 0.14; g.fillRect(left, 0, right - left, H); g.globalAlpha = 1;
  g.fillRect(left, 0, 2, H); g.fillRect(right - 2, 0, 2, H);
};
const readout = () => {
  const s = state.s, line = $("readout");
  line.replaceChildren();
  if (!s.n) return;
  const i = state.hover ?? Math.min(s.n, Math.ceil(state.to)) - 1, col = columns(s, state.adjusted), digits = digitsOf(s);
  make("b", (s.timeframe === "1wk" ? "week of " : "") + spellDate(s.time[i], s.intraday), line);
  for (const k of "ohlc") {
    const part = make("span", undefined, line);
    make("i", k.toUpperCase(), part);
    part.append(spell(col[k][i], digits));
  }
  if (col.hasVolume) { const part = make("span", undefined, line); make("i", "V", part); part.append(short(col.v[i])); }
  if (i) {
    const change = (col.c[i] / col.c[i - 1] - 1) * 100;
    make("span", `${change >= 0 ? "+" : "\u2212"}${Math.abs(change).toFixed(2)} %`, line, change >= 0 ? "up" : "down");
  }
  for (const e of s.events) if (e.at === i) make("span", `${e.kind} ${e.text}`, line);
};

// ---- pointer, wheel, keys
const barAt = (x) => state.from + x / plot.step;
const hover = (x, y) => {
  state.hover = x > plot.x1 ? null : clamp(Math.floor(barAt(x)), Math.floor(state.from), Math.ceil(state.to) - 1);
  state.y = y;
};
const pointers = new Map();
let grip = null;
chart.addEventListener("pointerdown", (e) => {
  if (!plot) return;
  chart.setPointerCapture(e.pointerId);
  pointers.set(e.pointerId, e.offsetX);
  grip = { from: state.from, to: state.to, xs: [...pointers.values()] };
});
chart.addEventListener("pointermove", (e) => {
  if (!plot) return;
  if (!pointers.has(e.pointerId)) { hover(e.offsetX, e.offsetY); draw(); return; }
  pointers.set(e.pointerId, e.offsetX);
  const xs = [...pointers.values()], width = grip.to - grip.from, bars = (x) => grip.from + x / plot.x1 * width;
  if (xs.length > 1) {
    const factor = Math.abs(grip.xs[0] - grip.xs[1]) / Math.max(10, Math.abs(xs[0] - xs[1]));
    const at = bars((grip.xs[0] + grip.xs[1]) / 2);
    view(at - (at - grip.from) * factor, at + (grip.to - at) * factor);
  } else if (Math.abs(xs[0] - grip.xs[0]) > 2) {
    chart.classList.add("dragging");
    state.hover = null;
    const by = (grip.xs[0] - xs[0]) / plot.x1 * width;
    view(grip.from + by, grip.to + by);
  }
});
const release = (e) => {
  if (!pointers.delete(e.pointerId)) return;
  chart.classList.remove("dragging");
  grip = { from: state.from, to: state.to, xs: [...pointers.values()] };
  if (plot && e.type === "pointerup") { hover(e.offsetX, e.offsetY); draw(); }
};
chart.addEventListener("pointerup", release);
chart.addEventListener("pointercancel", release);
chart.addEventListener("pointerleave", () => { state.hover = null; draw(); });
chart.addEventListener("dblclick", () => view(0, state.s.n));
chart.addEventListener("wheel", (e) => {
  if (!plot) return;
  e.preventDefault();
  const size = e.deltaMode ? 16 : 1, sideways = e.shiftKey ? e.deltaY : e.deltaX;
  if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
    const by = sideways * size / plot.step;
    view(state.from + by, state.to + by);
  } else zoom(Math.exp(clamp(e.deltaY * size, -200, 200) * 0.0016), barAt(Math.min(e.offsetX, plot.x1)));
  hover(e.offsetX, e.offsetY);
}, { passive: false });

let held = null;
strip.addEventListener("pointerdown", (e) => {
  const s = state.s, W = strip.clientWidth, left = state.from / s.n * W, right = state.to / s.n * W, x = e.offsetX;
  if (!s.n) return;
  strip.setPointerCapture(e.pointerId);
  const edge = Math.abs(x - left) < 7 ? "from" : Math.abs(x - right) < 7 ? "to" : null;
  if (!edge && (x < left || x > right)) { const half = (state.to - state.from) / 2; view(x / W * s.n - half, x / W * s.n + half); }
  held = { x, edge, from: state.from, to: state.to };
});
strip.addEventListener("pointermove", (e) => {
  if (!held) return;
  const by = (e.offsetX - held.x) / strip.clientWidth * state.s.n;
  if (held.edge === "from") view(Math.min(held.from + by, held.to - LEAST), held.to);
  else if (held.edge === "to") view(held.from, Math.max(held.to + by, held.from + LEAST));
  else view(held.from + by, held.to + by);
});
for (const type of ["pointerup", "pointercancel"]) strip.addEventListener(type, () => { held = null; });

const walk = (by) => {
  const s = state.s;
  state.hover = clamp((state.hover ?? Math.ceil(state.to) - 1) + by, 0, s.n - 1);
  state.y = null;
  const width = state.to - state.from;
  if (state.hover < state.from) view(state.hover, state.hover + width);
  else if (state.hover >= state.to - 1) view(state.hover + 1 - width, state.hover + 1);
  draw();
  readout();
  $("spoken").textContent = $("readout").innerText.replace(/\s+/g, " ");
};
const neighbour = (by) => {
  const at = instruments.indexOf(state.s.instrument);
  choose(bestOf(instruments[(at + by + instruments.length) % instruments.length]));
};
const middle = () => state.hover ?? (state.from + state.to) / 2;
const KEYS = {
  ArrowLeft: (e) => walk(e.shiftKey ? -10 : -1), ArrowRight: (e) => walk(e.shiftKey ? 10 : 1),
  ArrowUp: () => neighbour(-1), ArrowDown: () => neighbour(1),
  "+": () => zoom(0.7, middle()), "=": () => zoom(0.7, middle()), "-": () => zoom(1 / 0.7, middle()),
  Home: () => walk(-state.s.n), End: () => walk(state.s.n),
  l: () => $("log").click(), a: () => adjust(!state.adjusted), Escape: () => { state.hover = null; view(0, state.s.n); },
};
document.addEventListener("keydown", (e) => {
  const known = KEYS[e.key], anywhere = /^[la]$/.test(e.key), empty = !state.s.n && !/^(Arrow(Up|Down)|[la])$/.test(e.key);
  if (!known || e.ctrlKey || e.metaKey || e.altKey || empty || !(anywhere || document.activeElement === chart)) return;
  e.preventDefault();
  known(e);
});

// ---- start
const named = () => all.find((s) => [s.key, encodeURIComponent(s.key)].includes(location.hash.slice(1)));
window.addEventListener("hashchange", () => { const s = named(); if (s && s !== state.s) { choose(s); scrollTo({ top: 0 }); } });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
new ResizeObserver(draw).observe(chart);
choose(named() || all[0]);
})();
