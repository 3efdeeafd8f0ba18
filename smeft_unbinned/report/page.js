// intervals: a row per coefficient, in it a line per fit
const levels = r => Object.keys(r.intervals).sort((a, b) => b - a);
const outer = r => r?.intervals[levels(r)[0]];
function intervals(host, part, title) {
	const of = f => f[part] || {}, main = part === "rows";
	const all = main ? D.order : distinct(D.fits.flatMap(f => Object.keys(of(f))));
	const half = (f, n) => {
		const r = f && of(f)[n], p = outer(r);
		return p && p[0][0] != null && p.at(-1)[1] != null ? (p.at(-1)[1] - p[0][0]) / 2 : r?.error;
	};
	let order = "given";
	const modes = [["linear"], ["symlog", "signed logarithm"], ["relative", "relative to the first fit"], ["size", "half-width, logarithm"]];
	const halves = D.fits.flatMap(f => all.map(n => half(f, n))).filter(v => v > 0).sort((a, b) => a - b);
	let mode = halves.length && halves.at(-1) > 30 * halves[0] ? "symlog" : "linear";
	tools(host, choice("Scale", modes, mode, v => { mode = v; draw(); }),
		choice("Order", [["given", "as in the fit"], ["width", "by half-width"], ["pull", "by distance from zero"]], order, v => { order = v; draw(); }));
	function draw() {
		const own = D.fits.filter(f => on(f) && Object.keys(of(f)).length), first = own[0], list = all.filter(n => !main || names.has(n));
		if (!own.length || !list.length) return message(host);
		const pull = n => max(...own.map(f => { const r = of(f)[n]; return r?.error ? abs(r.best / r.error) : 0; }));
		if (order === "width") list.sort((a, b) => (half(first, a) ?? Infinity) - (half(first, b) ?? Infinity));
		if (order === "pull") list.sort((a, b) => pull(b) - pull(a));
		const size = mode === "size", factor = n => mode === "relative" ? 1 / (half(first, n) || 1) : 1;
		const ends = own.flatMap(f => list.flatMap(n => {
			const r = of(f)[n];
			return !r ? [] : size ? [half(f, n)] : [r.best, ...(outer(r) ?? []).flat()].map(v => v == null ? v : v * factor(n));
		})).filter(v => v != null && (!size || v > 0));
		const unit = halves.length ? 10 ** floor(log10(halves[floor(halves.length / 5)])) : 1;
		const kind = size ? "log" : mode === "symlog" ? mode : "linear", x = scale(kind, ...reach(kind, size ? ends : [...ends, 0], 0.03), unit);
		const row = max(16, 7 * own.length + 9), left = min(220, 18 + 7 * longest(list));
		frame(host, {
			height: list.length * row + 66, left, top: 22, bottom: 44, x, y: listed(list), fixed: true, label: title,
			xlabel: mode === "relative" ? `half-widths of ${first.label}` : (size ? "half-width " : "") + (main ? UNIT : ""),
			draw(g, X, Y, { W }) {
				if (!size) g.append(line(X(0), 0, X(0), 1e5, { class: "zero" }));
				list.forEach((n, k) => {
					const group = s("g", {}, rect(left, Y(k), W, row, { class: "band" })), lines = [n], missing = {};
					own.forEach((f, i) => {
						const r = of(f)[n], place = Y(k) + row / 2 + (i - (own.length - 1) / 2) * 7;
						if (!r) {
							const t = f.failed.includes(n) ? "failed" : "absent";
							(missing[t] ??= [place + 3]).push(f.label);
							return lines.push(`${f.label}: ${t}`);
						}
						const known = levels(r);
						lines.push(`${f.label}: ${number(r.best)} ± ${number(r.error, 2)}`, ...[...known].reverse().map(l => `    ${percent(l)}: ${r.intervals[l].map(span).join(" and ")}`));
						known.forEach((l, j) => {
							const stroke = { stroke: colour(f.label), "stroke-width": j && j === known.length - 1 ? 4.5 : 1.6 };
							for (const [a, b] of r.intervals[l]) {
								if (!size) group.append(line(X((a ?? -1e30) * factor(n)), place, X((b ?? 1e30) * factor(n)), place, stroke));
								else if (b > a) group.append(line(left, place, X((b - a) / 2), place, stroke));
							}
						});
						if (!size) group.append(line(X(r.best * factor(n)), place - 4, X(r.best * factor(n)), place + 4, { class: "best" }));
					});
					for (const [t, [y, ...list]] of Object.entries(missing)) group.append(write(left + W - 6, y, `${t} in ${list.join(", ")}`, "end", { class: `told ${t}` }));
					D.fits.filter(f => main && on(f) && failed(f)).forEach(f => lines.push(`${f.label}: failed`));
					group.tip = lines.join("\n");
					g.append(group);
				});
			},
		});
	}
	charts.push(draw);
}

// curves in a plane
function curves(host, o) {
	const { series, marks = [], clouds = [], lines = [], across = "linear", kind = "linear" } = o, seen = [...series.filter(c => !c.hide), ...marks.map(m => ({ x: [m.x], y: [m.y] }))];
	if (!series.length) return message(host);
	frame(host, {
		...o, left: 72, x: scale(across, ...(o.domain ?? reach(across, seen.flatMap(c => c.x)))), y: scale(kind, ...(o.range ?? extent(seen.flatMap(c => c.y)))),
		draw(g, X, Y, { left, W }) {
			const spot = (x, y) => `${X(x).toFixed(1)} ${Y(y).toFixed(1)}`;
			for (const c of clouds) g.append(s("path", { d: c.points.map(p => `M${spot(...p)}h0`).join(""), stroke: c.stroke, class: "cloud" }));
			for (const [v, t] of lines) g.append(line(left, Y(v), left + W, Y(v), { class: "zero", "stroke-dasharray": "2 4" }), write(left + W - 6, Y(v) - 4, t, "end", { class: "dim" }));
			for (const c of series) {
				let d = "", pen = "M";
				c.x.forEach((x, k) => {
					if (c.y[k] == null) return pen = "M";
					d += `${pen && pen + spot(x, c.y[k])}L${spot(x, c.y[k])}`;
					pen = "";
				});
				const nearest = e => {
					const p = local(e, g), away = c.x.map((x, k) => c.y[k] == null ? Infinity : Math.hypot(X(x) - p.x, Y(c.y[k]) - p.y)), k = away.indexOf(min(...away));
					return `${c.label}\n${o.xlabel}: ${number(c.x[k], 4)}\n${o.ylabel}: ${number(c.y[k], 4)}`;
				};
				g.append(s("path", { d, class: "curve", stroke: c.stroke, "stroke-width": c.thick ?? 2, "stroke-dasharray": c.dash, "stroke-opacity": c.faint && 0.35 }), s("path", { d, class: "hit", tip: nearest }));
			}
			for (const m of marks) g.append(s("path", { d: `M${X(m.x) - 6} ${Y(m.y)}h12m-6 -6v12`, class: "mark", stroke: m.stroke }), s("circle", { cx: X(m.x), cy: Y(m.y), r: 8, class: "hit", tip: m.tip }));
		},
	});
}
const two = (a, b) => ({ xlabel: `${a}, ${UNIT}`, ylabel: `${b}, ${UNIT}`, height: 560 });
function profiles(host) {
	const list = distinct([...D.scans.map(c => c.name), ...D.order.filter(n => D.fits.some(f => f.histograms?.[n]))]);
	let name = list[0];
	tools(host, choice("Coefficient", list.map(n => [n]), name, v => { name = v; draw(); }));
	const keys = key(host), upper = h("div"), lower = h("div");
	host.append(upper, lower);
	function draw() {
		const own = D.scans.filter(c => c.name === name && on(c)), sampled = D.fits.filter(f => on(f) && f.histograms?.[name]), xlabel = `${name}, ${UNIT}`;
		const delta = "−2 Δ log L";
		keys([...own.map(c => [c.label, colour(c.fit), c.dash]), ...sampled.map(f => [`${f.label}, posterior`, colour(f.label)])]);
		upper.hidden = !own.length;
		lower.hidden = own.length && !sampled.length;
		if (own.length) curves(upper, {
			label: `Profile of ${name}`, xlabel, ylabel: delta, height: 360, range: [-0.2, min(9, max(...own.flatMap(c => c.y)) + 0.5)],
			lines: [[0.989, "68 %"], [3.841, "95 %"]], series: own.map(c => ({ ...c, stroke: colour(c.fit) })),
		});
		if (!lower.hidden) curves(lower, {
			label: `Posterior of ${name}`, xlabel, ylabel: "density, TeV²", height: 300,
			series: sampled.map(f => { const [lo, w, y] = f.histograms[name]; return { label: f.label, stroke: colour(f.label), x: y.flatMap((_, k) => [lo + k * w, lo + (k + 1) * w]), y: y.flatMap(v => [v, v]) }; }),
		});
	}
	charts.push(draw);
}

// two coefficients
let show = () => {};
function plane(host) {
	const list = distinct([...D.order.filter(n => every.some(f => f.names?.includes(n))), ...D.contours.flatMap(c => [c.a, c.b])]);
	let [a, b] = D.pairs[0] ?? list;
	const first = choice("Across", list.map(n => [n]), a, v => { a = v; draw(); }), second = choice("Up", list.map(n => [n]), b, v => { b = v; draw(); });
	show = (p, q) => { [a, b] = [p, q]; first.lastChild.value = a; second.lastChild.value = b; draw(); };
	tools(host, first, second, D.pairs.length > 1 ? choice("Contours of", D.pairs.map((p, k) => [k, p.join(", ")]), 0, v => show(...D.pairs[v])) : null);
	const keys = key(host);
	function draw() {
		const series = [], marks = [{ x: 0, y: 0, stroke: "var(--dim)", tip: "SM" }], clouds = [], seen = [];
		for (const c of D.contours) if (on(c) && [a, b].every(n => n === c.a || n === c.b)) {
			const [x, y] = c.a === a ? [c.x, c.y] : [c.y, c.x];
			series.push({ label: `${c.fit}, ${percent(c.level)}`, x, y, stroke: colour(c.fit), thick: c.level > 0.8 ? 1.6 : 2.6 });
			if (!seen.some(e => e[0] === c.fit)) seen.push([c.fit, colour(c.fit)]);
		}
		for (const f of every) {
			if (on(f) && [a, b].every(n => f.failed.includes(n))) seen.push([`${f.label}: failed`, "var(--fail)", "1 6"]);
			const r = f.rows[a], q = f.rows[b], i = f.names?.indexOf(a), j = f.names?.indexOf(b), stroke = colour(f.label), x = [], y = [];
			if (!on(f) || a === b || !(i >= 0 && j >= 0)) continue;
			const rho = f.correlation[max(i, j)][min(i, j)], z = sqrt(-2 * Math.log(0.05));
			for (let t = 0; t < 6.3; t += Math.PI / 60) {
				x.push(r.best + z * r.error * cos(t));
				y.push(q.best + z * q.error * (rho * cos(t) + sqrt(max(0, 1 - rho * rho)) * Math.sin(t)));
			}
			const said = `${f.label}, covariance`;
			series.push({ label: `${said}, 95 %`, x, y, stroke, dash: "6 4", thick: 1.4, hide: seen.some(e => e[0] === f.label) });
			seen.push([said, stroke, "6 4"]);
			if (f.samples) clouds.push({ stroke, points: f.samples.map(p => [f.centre[i] + p[i] * f.step[i], f.centre[j] + p[j] * f.step[j]]) });
			marks.push({ x: r.best, y: q.best, stroke, tip: `${f.label}\n${a}: ${number(r.best)}\n${b}: ${number(q.best)}` });
		}
		keys([...seen, ["SM", "var(--dim)"]]);
		curves(host, { series, marks, clouds, label: `${a} and ${b}`, ...two(a, b) });
	}
	charts.push(draw);
}

// tables as colours
const shade = v => ({ fill: v < 0 ? "var(--minus)" : "var(--plus)", "fill-opacity": min(1, abs(v)) });
function heat(host, o) {
	if (!o.rows.length || !o.columns.length) return message(host);
	const left = min(190, 20 + 7 * longest(o.rows)), bottom = 26 + min(145, 6.2 * longest(o.columns));
	const space = wide(host) - left - 14, cell = min(34, space / o.columns.length), tall = max(12, min(cell, 22));
	frame(host, {
		...o, height: 14 + tall * o.rows.length + bottom, left, bottom, right: 14 + space - cell * o.columns.length,
		x: listed(o.columns, 0, o.columns.length), y: listed(o.rows),
		draw(g, X, Y) {
			o.rows.forEach((_, i) => o.columns.forEach((_, j) => {
				const v = o.value(i, j);
				if (v != null) g.append(rect(X(j), Y(i), X(j + 1) - X(j) - 0.6, Y(i + 1) - Y(i) - 0.6, { ...shade(v), tip: o.tip(i, j, v), onclick: () => o.click?.(i, j) }));
			}));
		},
	});
}
function legend(host, low, high) {
	host.append(h("p", { class: "hint" }, `${low} `, icon(84, 13, [-1, -0.6, -0.2, 0.2, 0.6, 1].map((v, k) => rect(14 * k, 1, 13, 11, shade(v)))), ` ${high}`));
}
const kept = list => list.map((_, k) => k).filter(k => names.has(list[k]));
function correlations(host) {
	const fit = chosen(host, D.fits.filter(f => f.correlation));
	legend(host, "−1", "+1");
	host.draw = () => {
		const f = fit(), own = kept(f.names), list = own.map(k => f.names[k]);
		heat(host, {
			rows: list, columns: list, label: `Correlations, ${f.label}`, value: (i, j) => f.correlation[max(own[i], own[j])][min(own[i], own[j])],
			tip: (i, j, v) => `${list[i]} and ${list[j]}\n${number(v)}`, click: (i, j) => { if (i !== j) show(list[i], list[j]); },
		});
	};
}
function fisher(host) {
	const table = chosen(host, D.fisher);
	legend(host, "−100 %", "100 %");
	host.draw = () => {
		const t = table(), own = kept(t.names), list = own.map(k => t.names[k]), columns = t.measurements.map((_, k) => k).filter(k => own.some(i => abs(t.shares[i][k]) >= 0.01));
		heat(host, {
			rows: list, columns: columns.map(k => t.measurements[k]), label: `Fisher information, ${t.fit}`, value: (i, j) => t.shares[own[i]][columns[j]],
			tip: (i, j, v) => `${list[i]} from ${t.measurements[columns[j]]}: ${number(100 * v)} %\nerror alone ${number(t.individual[own[i]])}, with all free ${number(t.marginal[own[i]])} ${UNIT}`,
		});
	};
}

// dots in rows: principal components, chi2
function dots(host, o) {
	const known = r => r.marks.map(m => m.x).filter(v => v != null), row = 17, list = o.rows.map(r => r.label), left = min(360, 20 + 6.6 * min(52, longest(list))), values = o.rows.flatMap(known);
	frame(host, {
		...o, height: o.rows.length * row + 70, left, top: 22, bottom: 44, x: scale(o.kind, ...reach(o.kind, o.kind === "log" ? values : [...values, 0], 0.04)), y: listed(list), fixed: true,
		draw(g, X, Y, { W }) {
			if (o.at) g.append(line(X(o.at), 0, X(o.at), 1e5, { class: "zero" }));
			o.rows.forEach((r, k) => {
				const y = Y(k) + row / 2, group = s("g", { tip: r.tip }, rect(left, Y(k), W, row, { class: "band" })), xs = known(r);
				if (xs.length) group.append(line(X(min(...xs)), y, X(max(...xs)), y, { class: "frame" }));
				else group.append(write(left + 6, y + 4, "not constrained", "start", { class: "dim" }));
				for (const m of r.marks) if (m.x != null) group.append(s("circle", { cx: X(m.x), cy: y, r: 4.5, stroke: m.stroke, "stroke-width": 1.6, fill: m.open ? "var(--bg)" : m.stroke }));
				g.append(group);
			});
		},
	});
}
function components(host) {
	const table = chosen(host, D.fisher);
	host.draw = () => {
		const t = table(), stroke = colour(t.fit);
		dots(host, { kind: "log", label: `Principal components, ${t.fit}`, xlabel: `expected error, ${UNIT}`, rows: t.components.map(c => ({ ...c, marks: [{ x: c.error, stroke }] })) });
	};
}
function chi2(host) {
	host.draw = () => {
		const tables = D.chi2.filter(on);
		if (!tables.length) return message(host);
		dots(host, {
			kind: "linear", at: 1, label: "chi2 per point", xlabel: "chi2 per point",
			rows: distinct(tables.flatMap(t => t.names)).map(n => {
				const marks = [], lines = [n];
				for (const t of tables) {
					const k = t.names.indexOf(n), sm = t.sm?.[k];
					lines.push(`${t.fit}: ${t.tips[k] ?? "absent"}`);
					if (sm != null) marks.unshift({ x: sm / t.points[k], stroke: "var(--dim)", open: true });
					if (k >= 0) marks.push({ x: t.value[k] / t.points[k], stroke: colour(t.fit), open: t.at === "SM" });
				}
				return { label: n, marks, tip: lines.join("\n") };
			}),
		});
	};
}
const painted = c => ({ ...c, stroke: `var(--s${c.kind})` });
function training(host) {
	const entry = chosen(host, D.training), keys = key(host);
	host.draw = () => {
		const t = entry(), series = t.series.map(c => painted({ ...c, x: t.epochs }));
		keys(series.filter(c => c.thick > 2).map(c => [c.label, c.stroke]));
		curves(host, { series, height: 400, label: `Training of ${t.label}`, xlabel: "epoch", ylabel: t.said, kind: t.scale, range: t.range });
	};
}
function comparison(host) {
	const entry = chosen(host, D.comparison), upper = h("div"), lower = h("div");
	host.append(upper);
	const keys = key(host);
	host.append(lower);
	host.draw = () => {
		const c = entry(), said = `width over that of ${c.reference}`, series = c.curves.map(painted);
		dots(upper, { kind: "linear", at: 1, label: `Widths, ${c.label}`, xlabel: said, rows: c.rows.map(r => ({ ...r, marks: [painted({ x: r.x, kind: 1 })] })) });
		lower.hidden = !series.length;
		keys(series.map(u => [u.label, u.stroke]));
		if (!lower.hidden) curves(lower, { series, height: 360, across: "log", label: `Saturation, ${c.label}`, xlabel: "number of bins", ylabel: said });
	};
}
function compared(host) {
	const entry = chosen(host, D.compared), boxes = new Map(), plot = h("div"), note = h("p", { class: "hint" });
	let shown = new Set(D.shown);
	for (const c of D.compared.flatMap(e => e.series).map(painted)) boxes.set(c.label, check(c.label, yes => { turn(shown, c.label, yes); host.draw(); }, stroked(c.stroke, c.dash)));
	tools(host, Object.entries(D.groups).map(([t, list]) => press(t, () => { shown = new Set(list); host.draw(); })));
	tools(host, [...boxes.values()]);
	host.append(plot, note);
	host.draw = () => {
		const { series, a, b, ...more } = entry();
		boxes.forEach((box, v) => { box.hidden = !series.some(c => c.label === v); box.firstChild.checked = shown.has(v); });
		note.textContent = more.note;
		curves(plot, { ...more, ...two(a, b), series: series.filter(c => shown.has(c.label)).map(painted) });
	};
}

// the controls
function controls(bar) {
	for (const l of labels) bar.append(check(D.fits.some(f => f.label === l && failed(f)) ? `${l} (failed)` : l, yes => { turn(fits, l, yes); redraw(); }, icon(18, 6, rect(0, 0, 18, 6, { fill: colour(l) }))));
	const count = h("span"), boxes = new Map();
	const set = list => {
		names = new Set(list);
		count.textContent = `${names.size} of ${D.order.length}`;
		boxes.forEach((b, n) => { b.firstChild.checked = names.has(n); });
		redraw();
	};
	for (const n of D.order) boxes.set(n, check(n, yes => set(D.order.filter(m => m === n ? yes : names.has(m)))));
	const away = n => D.fits.some(f => outer(f.rows[n])?.every(([a, b]) => a > 0 || (b != null && b < 0)));
	const search = h("input", { type: "search", placeholder: "part of a name", "aria-label": "Part of the names to show", oninput: () => set(D.order.filter(n => n.toLowerCase().includes(search.value.toLowerCase()))) });
	const button = (t, list) => press(t, () => set(list()));
	const fold = h("details", { id: "picker" }, h("summary", {}, "Coefficients: ", count), h("div", {}, h("div", { class: "tools" }, search, button("All", () => D.order), button("None", () => []), button("Zero excluded", () => D.order.filter(away))), h("div", { class: "names" }, ...boxes.values())));
	addEventListener("click", e => { if (!fold.contains(e.target)) fold.open = false; });
	addEventListener("keydown", e => { if (e.key === "Escape") fold.open = false; });
	bar.append(fold, h("span", { class: "hint" }, "Drag to zoom, double-click for all."));
	bar.hidden = !labels.length;
	fold.hidden = !D.order.length;
	set(D.order);
}
function theme(button, root) {
	const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
	const say = () => { button.textContent = dark() ? "Light theme" : "Dark theme"; };
	button.onclick = () => { root.dataset.theme = dark() ? "light" : "dark"; say(); };
	button.hidden = false;
	say();
}

theme(document.getElementById("theme"), document.documentElement);
const makers = { intervals: f => intervals(f, "rows", "Intervals"), nuisances: f => intervals(f, "nuisances", "Nuisance parameters"), profiles, plane, correlations, fisher, components, chi2, training, comparison, compared };
for (const f of document.querySelectorAll("figure.chart")) {
	makers[f.dataset.chart](f);
	if (f.draw) charts.push(f.draw);
}
controls(document.getElementById("controls"));
let late;
addEventListener("resize", () => { clearTimeout(late); late = setTimeout(redraw, 150); });
document.documentElement.dataset.ready = "yes";
