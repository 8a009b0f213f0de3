"use strict";
const began = performance.now();
const data = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const state = { view: 0, tab: "heads", layer: data.layer, head: data.head, off: new Set(), row: -1, side: "rows", query: 0 };
const ROW = 26;

function buffer(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text).buffer;
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let place = 0; place < raw.length; place++) bytes[place] = raw.charCodeAt(place);
  return bytes.buffer;
}
function numbers(text, bits) { return bits === 16 ? new Int16Array(buffer(text)) : new Int8Array(buffer(text)); }
for (const view of data.views) {
  view.w = view.bits === 16 ? new Uint16Array(buffer(view.weights)) : new Uint8Array(buffer(view.weights));
  view.most = view.bits === 16 ? 65535 : 255;
}
function decoded(view) {
  if (view.q || !view.queries) return Boolean(view.q);
  view.q = numbers(view.queries, view.vector_bits);
  view.k = numbers(view.keys, view.vector_bits);
  return true;
}
const now = () => data.views[state.view];
function weight(view, layer, head, i, j) {
  return view.w[((layer * view.heads + head) * view.rows.length + i) * view.columns.length + j] / view.most;
}
function vector(view, which, layer, head, place) {
  const part = which === "q" ? view.q : view.k, count = which === "q" ? view.rows.length : view.columns.length;
  const begin = ((layer * view.heads + head) * count + place) * view.width;
  const scale = (which === "q" ? view.query_scales : view.key_scales)[layer][head];
  return Array.from(part.subarray(begin, begin + view.width), value => value * scale);
}
const digits = value => (value === 0 ? "0" : value.toFixed(value < 0.1 && value > 0 ? 3 : 2));
const color = role => getComputedStyle(document.documentElement).getPropertyValue(`--${role}`).trim();
const headColor = head => color(`c${head % 6}`);

function make(tag, properties, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name in made) made[name] = value; else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}
function sharp(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  return pen;
}
function rgb(hex) { return [1, 3, 5].map(place => parseInt(hex.slice(place, place + 2), 16)); }

function picture(canvas, view, layer, head) {
  const [rows, columns] = [view.rows.length, view.columns.length], [r, g, b] = rgb(color("c0"));
  canvas.width = columns;
  canvas.height = rows;
  const pen = canvas.getContext("2d"), image = pen.createImageData(columns, rows);
  const begin = (layer * view.heads + head) * rows * columns;
  for (let place = 0; place < rows * columns; place++) {
    image.data.set([r, g, b, 255 * Math.sqrt(view.w[begin + place] / view.most)], 4 * place);
  }
  pen.putImageData(image, 0, 0);
}

// Head view: tokens in two columns, lines between them, a colour for each head.

function tokenButton(text, place, side) {
  const button = make("button", { type: "button", className: "token", title: text }, text === "" ? "∅" : text);
  const enter = () => { state.row = place; state.side = side; lines(); read(); };
  button.addEventListener("pointerenter", enter);
  button.addEventListener("focus", enter);
  button.addEventListener("keydown", event => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const other = step && button.parentElement.children[place + step];
    if (other) { event.preventDefault(); other.focus(); }
  });
  return button;
}
function headView() {
  const view = now();
  $("left").replaceChildren(...view.rows.map((text, place) => tokenButton(text, place, "rows")));
  $("right").replaceChildren(...view.columns.map((text, place) => tokenButton(text, place, "columns")));
  $("chips").replaceChildren(...Array.from({ length: view.heads }, (_, head) => {
    const chip = make("button", { type: "button", className: "chip" }, String(head));
    chip.setAttribute("aria-label", `head ${head}`);
    chip.setAttribute("aria-pressed", String(!state.off.has(head)));
    chip.style.setProperty("--chip", `var(--c${head % 6})`);
    chip.addEventListener("click", () => {
      state.off.has(head) ? state.off.delete(head) : state.off.add(head);
      chip.setAttribute("aria-pressed", String(!state.off.has(head)));
      lines();
      read();
    });
    return chip;
  }));
  lines();
  read();
}
function shownHeads() {
  return Array.from({ length: now().heads }, (_, head) => head).filter(head => !state.off.has(head));
}
function lines() {
  const view = now(), height = ROW * Math.max(view.rows.length, view.columns.length), width = $("lines").parentElement.clientWidth;
  const pen = sharp($("lines"), Math.max(60, width), height), most = $("lines").clientWidth;
  const heads = shownHeads(), chosen = state.row;
  for (const [order, head] of heads.entries()) {
    pen.strokeStyle = headColor(head);
    const shift = heads.length > 1 ? (order / (heads.length - 1) - 0.5) * 8 : 0;
    for (let i = 0; i < view.rows.length; i++) {
      if (chosen >= 0 && state.side === "rows" && i !== chosen) continue;
      for (let j = 0; j < view.columns.length; j++) {
        if (chosen >= 0 && state.side === "columns" && j !== chosen) continue;
        const w = weight(view, state.layer, head, i, j);
        if (w < 0.01) continue;
        pen.globalAlpha = Math.min(1, w * (chosen < 0 ? 0.8 : 1) + 0.03);
        pen.lineWidth = 1 + 2.5 * w;
        pen.beginPath();
        pen.moveTo(0, ROW * (i + 0.5) + shift);
        pen.lineTo(most, ROW * (j + 0.5) + shift);
        pen.stroke();
      }
    }
  }
  const own = state.side === "rows" ? $("left") : $("right"), far = state.side === "rows" ? $("right") : $("left");
  [...own.children].forEach((child, place) => child.classList.toggle("chosen", place === chosen));
  [...own.children].forEach(child => child.style.setProperty("--depth", "0%"));
  [...far.children].forEach((child, place) => {
    const values = chosen < 0 ? [0] : heads.map(head => state.side === "rows"
      ? weight(view, state.layer, head, chosen, place) : weight(view, state.layer, head, place, chosen));
    child.classList.remove("chosen");
    child.style.setProperty("--depth", `${Math.round(70 * Math.max(0, ...values))}%`);
  });
}
function read() {
  const view = now(), place = state.row, heads = shownHeads();
  if (place < 0) { $("heads-read").textContent = "Point at a token, or move to one with Tab and the arrow keys."; return; }
  const others = state.side === "rows" ? view.columns : view.rows;
  const own = (state.side === "rows" ? view.rows : view.columns)[place];
  const parts = heads.map(head => {
    const values = others.map((_, j) => state.side === "rows" ? weight(view, state.layer, head, place, j) : weight(view, state.layer, head, j, place));
    const top = values.map((w, j) => [w, j]).sort((a, b) => b[0] - a[0] || a[1] - b[1]).slice(0, 3).filter(([w]) => w >= 0.01);
    return `head ${head}: ${top.map(([w, j]) => `${others[j]} ${digits(w)}`).join(", ")}`;
  });
  const verb = state.side === "rows" ? "attends to" : "is attended by";
  $("heads-read").textContent = `${own} ${verb}\n${parts.join("\n")}`;
}

// Model view: a picture of each head; the chosen one as a matrix.

function modelView() {
  const view = now(), grid = $("grid");
  grid.style.setProperty("--heads", view.heads);
  const cells = [make("span", {}, "")];
  for (let head = 0; head < view.heads; head++) cells.push(make("span", { className: "label" }, `head ${head}`));
  for (let layer = 0; layer < view.layers; layer++) {
    cells.push(make("span", { className: "label" }, `layer ${layer}`));
    for (let head = 0; head < view.heads; head++) {
      const canvas = make("canvas", {}), button = make("button", { type: "button", className: "thumb" }, canvas);
      button.setAttribute("aria-label", `layer ${layer}, head ${head}`);
      button.dataset.place = `${layer},${head}`;
      picture(canvas, view, layer, head);
      button.addEventListener("click", () => choose(layer, head));
      button.addEventListener("keydown", event => {
        const [down, across] = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key] || [0, 0];
        const other = (down || across) && grid.querySelector(`[data-place="${layer + down},${head + across}"]`);
        if (other) { event.preventDefault(); other.focus(); }
      });
      cells.push(button);
    }
  }
  grid.replaceChildren(...cells);
  choose(state.layer, Math.min(state.head, view.heads - 1));
}
function choose(layer, head) {
  [state.layer, state.head] = [layer, head];
  $("layer").value = String(layer);
  $("head").value = String(head);
  for (const button of $("grid").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.place === `${layer},${head}`));
  }
  matrix();
}
const cursor = { i: 0, j: 0 };
function cellSize() {
  const view = now();
  return Math.max(7, Math.min(44, Math.floor(640 / Math.max(view.rows.length, view.columns.length))));
}
function clipped(pen, text, room) {
  if (pen.measureText(text).width <= room) return text;
  let kept = [...text];
  while (kept.length && pen.measureText(`${kept.join("")}…`).width > room) kept.pop();
  return `${kept.join("")}…`;
}
function margins(pen) {
  const view = now();
  pen.font = `${Math.max(9, Math.min(16, cellSize() - 2))}px system-ui, sans-serif`;
  const widest = texts => Math.min(130, Math.max(...texts.map(text => pen.measureText(text).width))) + 8;
  return [widest(view.rows), widest(view.columns)];
}
function matrix() {
  const view = now(), canvas = $("matrix"), size = cellSize();
  const [left, top] = margins(canvas.getContext("2d"));
  const pen = sharp(canvas, left + size * view.columns.length + 2, top + size * view.rows.length + 2);
  margins(pen);
  cursor.i = Math.min(cursor.i, view.rows.length - 1);
  cursor.j = Math.min(cursor.j, view.columns.length - 1);
  const ink = color("ink"), blue = color("c0"), paper = color("paper");
  pen.fillStyle = ink;
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  view.rows.forEach((text, i) => pen.fillText(clipped(pen, text, left - 6), left - 6, top + size * (i + 0.5)));
  view.columns.forEach((text, j) => {
    pen.save();
    pen.translate(left + size * (j + 0.5), top - 6);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "left";
    pen.fillText(clipped(pen, text, top - 6), 0, 0);
    pen.restore();
  });
  pen.textAlign = "center";
  for (let i = 0; i < view.rows.length; i++) for (let j = 0; j < view.columns.length; j++) {
    const w = weight(view, state.layer, state.head, i, j), x = left + size * j, y = top + size * i;
    if (w > 0) { pen.globalAlpha = w; pen.fillStyle = blue; pen.fillRect(x, y, size - 0.5, size - 0.5); pen.globalAlpha = 1; }
    if (size >= 30 && w > 0) {
      pen.font = `${size * 0.36}px system-ui, sans-serif`;
      pen.fillStyle = w > 0.65 ? paper : ink;
      pen.fillText(w.toFixed(2).replace(/^0/, ""), x + size / 2, y + size / 2);
    }
  }
  pen.strokeStyle = color("c1");
  pen.lineWidth = 2;
  pen.strokeRect(left + size * cursor.j, top + size * cursor.i, size, size);
  const w = weight(view, state.layer, state.head, cursor.i, cursor.j);
  $("model-read").textContent = `layer ${state.layer}, head ${state.head}: ${view.rows[cursor.i]} → ${view.columns[cursor.j]}: ${digits(w)}`;
}
$("matrix").addEventListener("pointermove", event => {
  const box = $("matrix").getBoundingClientRect(), size = cellSize(), [left, top] = margins($("matrix").getContext("2d"));
  const [i, j] = [Math.floor((event.clientY - box.top - top) / size), Math.floor((event.clientX - box.left - left) / size)];
  if (i >= 0 && j >= 0 && i < now().rows.length && j < now().columns.length) { cursor.i = i; cursor.j = j; matrix(); }
});
$("matrix").addEventListener("keydown", event => {
  const [down, across] = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key] || [0, 0];
  if (!down && !across) return;
  event.preventDefault();
  cursor.i = Math.max(0, Math.min(now().rows.length - 1, cursor.i + down));
  cursor.j = Math.max(0, Math.min(now().columns.length - 1, cursor.j + across));
  matrix();
});

// Query and key view: why a token attends where it does.

function strip(values, most) {
  const canvas = make("canvas", { className: "strip" });
  canvas.width = values.length;
  canvas.height = 1;
  const pen = canvas.getContext("2d"), image = pen.createImageData(values.length, 1);
  const [positive, negative] = [rgb(color("c0")), rgb(color("c1"))];
  values.forEach((value, place) => {
    image.data.set([...(value < 0 ? negative : positive), 255 * Math.min(1, Math.abs(value) / (most || 1))], 4 * place);
  });
  pen.putImageData(image, 0, 0);
  return canvas;
}
const largest = lists => Math.max(1e-12, ...lists.map(list => Math.max(...list.map(Math.abs))));
function vectorView() {
  const view = now();
  const there = decoded(view); // what the other views do not need is decoded when it is first looked at
  $("vectors-none").hidden = there;
  $("vectors-all").hidden = !there;
  if (!there) return;
  $("query").replaceChildren(...view.rows.map((text, place) => make("option", { value: String(place) }, `${place}: ${text}`)));
  state.query = Math.min(state.query, view.rows.length - 1);
  $("query").value = String(state.query);
  const query = vector(view, "q", state.layer, state.head, state.query);
  const keys = view.columns.map((_, place) => vector(view, "k", state.layer, state.head, place));
  const products = keys.map(key => key.map((value, place) => value * query[place]));
  const [mostKey, mostProduct] = [largest(keys), largest(products)];
  $("query-strip").replaceChildren(strip(query, largest([query])));
  $("keys").replaceChildren(...view.columns.map((text, place) => {
    const w = weight(view, state.layer, state.head, state.query, place), dot = products[place].reduce((a, b) => a + b, 0);
    const bar = make("span", { className: "bar" });
    bar.style.width = `${100 * w}px`;
    const hidden = w === 0;
    return make("tr", { className: hidden ? "masked" : "" },
      make("th", { scope: "row" }, text), make("td", {}, strip(keys[place], mostKey)),
      make("td", {}, strip(products[place], mostProduct)), make("td", { className: "n" }, hidden ? "masked" : dot.toFixed(2)),
      make("td", {}, bar, ` ${digits(w)}`));
  }));
}
$("query").addEventListener("change", () => { state.query = Number($("query").value); vectorView(); });

// What all views share.

const VIEWS = { heads: headView, model: modelView, vectors: vectorView };
function show() {
  const begin = performance.now();
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const chosen = tab.dataset.tab === state.tab;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    $(tab.dataset.tab).hidden = !chosen;
  }
  $("head-label").hidden = state.tab === "heads";
  VIEWS[state.tab]();
  document.documentElement.dataset.drawn = (performance.now() - begin).toFixed(1);
}
function fill() {
  const view = now(), options = count => Array.from({ length: count }, (_, n) => make("option", { value: String(n) }, String(n)));
  $("layer").replaceChildren(...options(view.layers));
  $("head").replaceChildren(...options(view.heads));
  state.layer = Math.min(state.layer, view.layers - 1);
  state.head = Math.min(state.head, view.heads - 1);
  $("layer").value = String(state.layer);
  $("head").value = String(state.head);
  state.row = -1;
}
$("view").replaceChildren(...data.views.map((view, place) => make("option", { value: String(place) }, view.name)));
$("view-label").hidden = data.views.length < 2;
$("view").addEventListener("change", () => { state.view = Number($("view").value); fill(); show(); });
$("layer").addEventListener("change", () => { state.layer = Number($("layer").value); show(); });
$("head").addEventListener("change", () => { state.head = Number($("head").value); show(); });
const tabs = [...document.querySelectorAll("[role=tab]")];
for (const [place, tab] of tabs.entries()) {
  tab.addEventListener("click", () => { state.tab = tab.dataset.tab; show(); });
  tab.addEventListener("keydown", event => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const other = tabs[(place + step + tabs.length) % tabs.length];
    other.focus();
    other.click();
  });
}
$("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  show();
});
$("between").addEventListener("pointerleave", () => { state.row = -1; lines(); read(); });
window.addEventListener("resize", () => { if (state.tab === "heads") lines(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
fill();
show();
document.documentElement.dataset.drawn = (performance.now() - began).toFixed(1);
