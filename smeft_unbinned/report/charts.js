// what every figure is made of; one scope with page.js, which comes after it
const D = JSON.parse(document.getElementById("data").textContent);
const UNIT = "TeV⁻²", { abs, ceil, cos, floor, log10, max, min, sqrt } = Math;

// elements: text is always set as text, never as markup
function fill(node, attributes, children = []) {
	for (const [k, v] of Object.entries(attributes || {})) {
		if (k.startsWith("on")) node.addEventListener(k.slice(2), v);
		else if (k === "tip") node.tip = v;
		else if (v === true) node.setAttribute(k, "");
		else if (v !== false && v != null) node.setAttribute(k, v);
	}
	for (const c of children.flat(9)) if (c != null) node.append(c);
	return node;
}
const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
const line = (x1, y1, x2, y2, more) => s("line", { x1, y1, x2, y2, ...more });
const rect = (x, y, width, height, more) => s("rect", { x, y, width: max(0, width), height: max(0, height), ...more });
const write = (x, y, text, anchor, more) => s("text", { x, y, "text-anchor": anchor, ...more }, text);
const press = (t, onclick, more) => h("button", { type: "button", onclick, ...more }, t);
const icon = (width, height, ...children) => s("svg", { width, height, "aria-hidden": "true" }, children);
const stroked = (stroke, dash) => icon(26, 8, line(0, 4, 26, 4, { stroke, "stroke-width": 2.5, "stroke-dasharray": dash }));
const check = (text, change, ...more) => h("label", { class: "key" }, h("input", { type: "checkbox", checked: true, onchange: e => change(e.target.checked) }), more, text);
const local = (e, node) => new DOMPoint(e.clientX, e.clientY).matrixTransform(node.getScreenCTM().inverse());
const raised = k => String(k).replace(/./g, c => c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]);
function number(x, d = 3) {
	if (x == null) return "none";
	const size = abs(x), sign = t => t.replace("-", "−");
	if (!size || (size < 1e5 && size >= 1e-4)) return sign(String(Number(x.toPrecision(d))));
	const [m, k] = x.toExponential(d - 1).split("e");
	return sign(`${Number(m)}×10${raised(+k)}`.replace(/^(-?)1×/, "$1"));
}
const percent = x => `${number(100 * x, 4)} %`;
const span = ([a, b]) => `[${a == null ? "−∞" : number(a)}, ${b == null ? "∞" : number(b)}]`;
const cut = (text, n) => text.length > n ? `${text.slice(0, n - 1)}…` : text;
const longest = list => max(...list.map(t => t.length));
const distinct = list => [...new Set(list)];
const turn = (set, x, yes) => set[yes ? "add" : "delete"](x);

// what is shown: fits and coefficients, common to all figures
const every = [...D.fits, ...D.paired];
const { labels } = D, fits = new Set(labels), charts = [];
let names = new Set(D.order);
const colour = label => `var(--s${(labels.indexOf(label) + 1) % 7})`;
const on = x => fits.has(x.fit ?? x.label);
const redraw = () => charts.forEach(draw => draw());
const failed = f => f.failed.length && !Object.keys(f.rows).length;

// scales: value to coordinate u and back; zooming changes the range of u
function scale(kind, lo, hi, unit = 1) {
	const [f, inverse] = {
		linear: [x => x, u => u],
		log: [x => log10(x), u => 10 ** u],
		symlog: [x => Math.asinh(x / unit / 2), u => 2 * unit * Math.sinh(u)],
	}[kind];
	return { kind, f, inverse, unit, a: f(lo), b: f(hi) };
}
const listed = (rows, a = rows.length, b = 0) => ({ ...scale("linear", a, b), rows });
function nice(lo, hi, n) {
	const raw = (hi - lo) / n, p = 10 ** floor(log10(raw)), found = [];
	const step = p * [1, 2, 5, 10].find(m => m * p >= raw * 0.999);
	for (let k = ceil(lo / step - 1e-9); k * step <= hi + 1e-9 * step; k++) found.push(Number((k * step).toPrecision(10)));
	return found;
}
function ticks(c, n) {
	const lo = c.inverse(c.a), hi = c.inverse(c.b), found = [];
	if (!(hi > lo)) return [lo];
	const powers = (from, to, sign) => {
		const i = ceil(log10(from) - 1e-9), j = floor(log10(to) + 1e-9);
		for (let k = i; k <= j; k++) found.push(sign * 10 ** k);
	};
	if (c.kind === "log") powers(lo, hi, 1);
	if (c.kind === "symlog") {
		if (lo <= 0 && hi >= 0) found.push(0);
		if (hi > c.unit) powers(max(c.unit, lo), hi, 1);
		if (lo < -c.unit) powers(max(c.unit, -hi), -lo, -1);
	}
	return found.length > 2 ? found.sort((x, y) => (y && abs(x) < abs(y)) || !y ? 1 : -1) : nice(lo, hi, n);
}
function extent(values, pad = 0.06) {
	let lo = Infinity, hi = -Infinity;
	for (const v of values) if (v != null) { lo = min(lo, v); hi = max(hi, v); }
	if (lo > hi) return [-1, 1];
	const margin = (hi - lo || abs(hi) || 1) * pad;
	return [lo - margin, hi + margin];
}
const reach = (kind, values, ...pad) => kind === "log" ? [min(...values) / 1.5, max(...values) * 1.5] : extent(values, ...pad);

// a frame: axes and a clipped plane; zoom by drag, buttons and keys
// o.x, o.y: scales, with `rows` for names in place of ticks; o.fixed: no zoom in y
const wide = host => max(320, Math.round(host.clientWidth || 900));
function put(host, ...nodes) {
	if (!host.drawn) host.append(host.drawn = h("div"));
	host.drawn.replaceChildren(...nodes);
}
const message = host => put(host, h("p", { class: "notes" }, "Choose fits and coefficients above."));
let serial = 0;
function frame(host, o) {
	const { x, y, fixed, label } = o, width = wide(host), top = o.top ?? 12, bottom = o.bottom ?? 42, left = o.left;
	const W = width - left - (o.right ?? 14), H = o.height - top - bottom, id = `clip${serial++}`, home = [x.a, x.b, y.a, y.b];
	const svg = s("svg", { viewBox: `0 0 ${width} ${o.height}`, role: "img", "aria-label": label });
	const axes = s("g"), plane = s("g", { "clip-path": `url(#${id})` }), brush = rect(0, 0, 0, 0, { class: "brush" });
	svg.append(s("defs", {}, s("clipPath", { id }, rect(left, top, W, H))), axes, plane);
	const clamp = (lo, hi, v) => max(lo, min(hi, v));
	const U = u => left + W * (u - x.a) / (x.b - x.a), V = v => top + H * (1 - (v - y.a) / (y.b - y.a));
	const X = v => clamp(-1e4, 1e4, U(x.f(v))), Y = v => clamp(-1e4, 1e4, V(y.f(v)));
	function named(scaling, size, place) {
		const cell = size / abs(scaling.b - scaling.a), lo = min(scaling.a, scaling.b), hi = max(scaling.a, scaling.b);
		if (cell > 7) scaling.rows.forEach((t, k) => { if (k + 0.5 >= lo && k + 0.5 <= hi) axes.append(place(t, k + 0.5, min(12, cell + 2))); });
	}
	function paint() {
		axes.replaceChildren(rect(left, top, W, H, { class: "frame" }));
		const used = [];
		if (x.rows) named(x, W, (t, k, size) => write(0, 0, cut(t, 24), "end", { transform: `translate(${U(k) + 4} ${top + H + 8}) rotate(-60)`, "font-size": size - 1 }));
		else for (const t of ticks(x, max(3, W / 90))) {
			if (used.some(u => abs(u - X(t)) < 34)) continue;
			used.push(X(t));
			axes.append(line(X(t), top, X(t), top + H, { class: "grid" }), write(X(t), top + H + 16, number(t, 6), "middle"));
			if (H > 600) axes.append(write(X(t), top - 5, number(t, 6), "middle", { class: "dim" }));
		}
		if (y.rows) named(y, H, (t, k, size) => write(left - 7, V(k) + 4, cut(t, floor(left / 6.6)), "end", { "font-size": size }));
		else for (const t of ticks(y, max(3, H / 55))) axes.append(line(left, Y(t), left + W, Y(t), { class: "grid" }), write(left - 7, Y(t) + 4, number(t, 6), "end"));
		if (o.xlabel) axes.append(write(left + W / 2, top + H + bottom - 6, o.xlabel, "middle", { class: "dim" }));
		if (o.ylabel) axes.append(write(0, 0, o.ylabel, "middle", { transform: `translate(13 ${top + H / 2}) rotate(-90)`, class: "dim" }));
		plane.replaceChildren();
		o.draw(plane, X, Y, { left, W });
	}
	const set = (...range) => { [x.a, x.b, y.a, y.b] = range; paint(); };
	const about = (a, b, f) => [a, b].map(v => (a + b) / 2 + f * (v - (a + b) / 2));
	const zoom = f => set(...about(x.a, x.b, f), ...about(y.a, y.b, fixed ? 1 : f));
	function move(dx, dy) {
		const p = dx * (x.b - x.a) / 5, q = dy * (y.b - y.a) / 5;
		set(x.a + p, x.b + p, y.a + q, y.b + q);
	}
	let from = null;
	function at(e) {
		const p = local(e, svg);
		return [clamp(left, left + W, p.x), clamp(top, top + H, p.y), p];
	}
	function box(to) {
		const b = { x: min(from[0], to[0]), width: abs(from[0] - to[0]), y: top, height: H };
		if (!fixed) [b.y, b.height] = [min(from[1], to[1]), abs(from[1] - to[1])];
		return { ...b, big: b.width > 6 && b.height > 6 };
	}
	const stop = () => { from = null; brush.remove(); };
	fill(svg, {
		ondblclick: () => keys[0](), onpointercancel: stop,
		onpointerdown: e => { const p = at(e); if (e.button === 0 && p[0] === p[2].x && p[1] === p[2].y) from = p; },
		onpointermove: e => {
			if (!from) return;
			const b = box(at(e));
			if (b.big && !brush.parentNode) { svg.setPointerCapture(e.pointerId); svg.append(brush); }
			fill(brush, b);
		},
		onpointerup: e => {
			if (!from) return;
			const b = box(at(e)), ux = v => x.a + (v - left) / W * (x.b - x.a), uy = v => y.a + (1 - (v - top) / H) * (y.b - y.a);
			stop();
			if (b.big) set(ux(b.x), ux(b.x + b.width), ...(fixed ? [y.a, y.b] : [uy(b.y + b.height), uy(b.y)]));
		},
	});
	const keys = { "+": () => zoom(0.7), "-": () => zoom(1 / 0.7), 0: () => set(...home), ArrowLeft: () => move(-1, 0), ArrowRight: () => move(1, 0) };
	if (!fixed) Object.assign(keys, { ArrowUp: () => move(0, 1), ArrowDown: () => move(0, -1) });
	const onkeydown = e => { if (keys[e.key]) { keys[e.key](); e.preventDefault(); } };
	const button = (t, what, key) => press(t, keys[key], { "aria-label": `${what}: ${label}` });
	paint();
	put(host, h("div", { class: "zoom" }, button("+", "Zoom in", "+"), button("−", "Zoom out", "-"), button("All", "Show all", "0")),
		h("div", { class: "plot", tabindex: 0, role: "group", "aria-label": `${label}: plus and minus zoom, arrows move, 0 shows all`, onkeydown }, svg));
}

// the hover box
const tip = document.getElementById("tip");
addEventListener("pointermove", e => {
	let node = e.target;
	while (node && !node.tip) node = node.parentNode;
	tip.hidden = !node;
	if (!node) return;
	tip.textContent = typeof node.tip === "function" ? node.tip(e) : node.tip;
	const r = tip.getBoundingClientRect();
	tip.style.left = `${max(4, min(e.clientX + 14, innerWidth - r.width - 8))}px`;
	tip.style.top = `${e.clientY + r.height + 22 > innerHeight ? e.clientY - r.height - 10 : e.clientY + 16}px`;
});
addEventListener("scroll", () => { tip.hidden = true; }, true);

// choices and keys above a figure
const tools = (host, ...nodes) => host.append(h("div", { class: "tools" }, nodes));
function choice(label, options, value, change) {
	const select = h("select", { onchange: () => change(select.value) }, options.map(([v, t]) => h("option", { value: v, selected: v === value }, t ?? v)));
	return h("label", {}, label, " ", select);
}
function chosen(host, entries) {
	let at = 0;
	if (entries.length > 1) tools(host, choice("Show", entries.map((e, k) => [k, e.label ?? e.fit]), 0, v => { at = +v; host.draw(); }));
	return () => entries[at];
}
function key(host) {
	const node = h("p", { class: "tools" });
	host.append(node);
	return entries => node.replaceChildren(...entries.map(([t, stroke, dash]) => h("span", {}, stroked(stroke, dash), ` ${t}`)));
}
