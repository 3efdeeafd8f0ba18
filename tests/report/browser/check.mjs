// Opens a report in headless Chromium: node check.mjs MODULES CHROMIUM PAGE FOLDER [load] prints what was found
// as JSON. MODULES is the folder that `install` prints. Screenshots go to FOLDER; with `load` the page is opened
// and no more. What is right is decided by the caller.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, executablePath, pagePath, folder, only] = process.argv.slice(2);
const require = createRequire(join(modules, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const found = { errors: [], requests: [], paper: [], axe: {}, tips: {} };
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });

async function open(colorScheme) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, colorScheme });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  page.on("console", m => { if (["error", "warning"].includes(m.type())) found.errors.push(m.text()); });
  page.on("pageerror", e => found.errors.push(String(e)));
  page.on("dialog", d => { found.errors.push(`dialog: ${d.message()}`); d.dismiss(); });
  page.on("request", r => found.requests.push(r.url()));
  const start = performance.now();
  await page.goto(pathToFileURL(pagePath).href);
  await page.waitForFunction(() => document.documentElement.dataset.ready);
  return { page, seconds: (performance.now() - start) / 1000 };
}

async function serious(page) {
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return result.violations
    .filter(v => ["serious", "critical"].includes(v.impact))
    .map(v => ({ id: v.id, impact: v.impact, nodes: v.nodes.slice(0, 5).map(n => `${n.target} ${n.failureSummary}`) }));
}

async function hover(page, selector, which = "first") {
  const mark = page.locator(selector)[which]();
  await mark.evaluate(e => e.scrollIntoView({ block: "center" }));
  await page.mouse.move(...await mark.evaluate(e => {
    const box = e.getBoundingClientRect();
    if (e.tagName !== "path") return [box.x + box.width / 2, box.y + box.height / 2];
    const p = e.getPointAtLength(e.getTotalLength() / 2).matrixTransform(e.getScreenCTM());
    return [p.x, p.y];
  }));
  return page.evaluate(() => { const t = document.getElementById("tip"); return t.hidden ? null : t.textContent; });
}

const chart = key => `figure[data-chart="${key}"]`;
const ticks = (page, key) => page.locator(`${chart(key)} svg[role=img] > g:nth-of-type(1)`).first().textContent();

for (const scheme of ["light", "dark"]) {
  const { page, seconds } = await open(scheme);
  found[`seconds_${scheme}`] = seconds;
  await page.screenshot({ path: join(folder, `top_${scheme}.png`) });
  await page.screenshot({ path: join(folder, `page_${scheme}.png`), fullPage: true });
  if (only !== "load") {
    await page.evaluate(() => document.querySelectorAll("details").forEach(d => { d.open = true; }));
    await page.evaluate(axe);
    found.axe[scheme] = await serious(page);
    await page.evaluate(() => {
      const bad = document.createElement("p");
      bad.textContent = "barely seen";
      bad.style.color = "#777";
      document.querySelector("main").append(document.createElement("button"), bad);
    });
    found.planted = (await serious(page)).map(v => v.id);
  }
  await page.emulateMedia({ media: "print" });
  found.paper.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
  await page.context().close();
}

if (only === "load") {
  await browser.close();
  console.log(JSON.stringify(found));
  process.exit(0);
}
const { page } = await open("light");
found.charts = await page.locator("figure.chart").evaluateAll(all => all.map(f => f.dataset.chart));
for (const key of found.charts) {
  const mark = { intervals: "g > g > rect.band", nuisances: "g > g > rect.band", correlations: "g > rect[fill-opacity]", fisher: "g > rect[fill-opacity]",
    components: "rect.band", chi2: "rect.band", comparison: "rect.band", plane: "circle", profiles: "path.hit", training: "path.hit", compared: "path.hit" }[key];
  if (mark) found.tips[key] = await hover(page, `${chart(key)} svg[role=img] ${mark}`);
}

if (found.charts.includes("intervals")) {
  found.last_tip = await hover(page, `${chart("intervals")} svg[role=img] rect.band`, "last");
  const svg = page.locator(`${chart("intervals")} svg[role=img]`);
  await svg.scrollIntoViewIfNeeded();
  const rows = () => svg.locator("rect.band").count(), before = await ticks(page, "intervals");
  found.rows = [await rows()];
  await page.evaluate(() => document.querySelector(`figure[data-chart="intervals"]`).scrollIntoView());
  const box = await svg.boundingBox(), middle = box.x + box.width * 0.6;
  await page.mouse.move(middle, box.y + 80);
  await page.mouse.down();
  await page.mouse.move(middle + 60, box.y + 120, { steps: 4 });
  await page.mouse.up();
  found.zoomed = (await ticks(page, "intervals")) !== before;
  await page.mouse.dblclick(middle, box.y + 80);
  found.reset = (await ticks(page, "intervals")) === before;
  await page.locator(`${chart("intervals")} .plot`).focus();
  await page.keyboard.press("+");
  found.keyboard = (await ticks(page, "intervals")) !== before;
  await page.keyboard.press("0");
  if (await page.locator("#picker").count()) {
    await page.locator("#picker > summary").click();
    await page.screenshot({ path: join(folder, "picker.png") });
    await page.locator("#picker .names input").first().uncheck();
    found.rows.push(await rows());
    await page.locator("#picker input[type=search]").fill("zzz");
    found.none = await page.locator(`${chart("intervals")} .notes`).count();
    await page.locator("#picker button", { hasText: "All" }).click();
    found.rows.push(await rows());
    await page.keyboard.press("Escape");
  }
  for (const v of ["linear", "symlog", "relative", "size"]) await page.locator(`${chart("intervals")} select`).first().selectOption(v);
  await page.screenshot({ path: join(folder, "size.png") });
  const box0 = page.locator("#controls > label input").first();
  await box0.uncheck();
  found.without_first = await page.locator(`${chart("intervals")} svg[role=img]`).count();
  await box0.check();
}
if (found.charts.includes("plane") && found.charts.includes("correlations")) {
  await page.locator(`${chart("correlations")} rect[fill-opacity]`).nth(1).click();
  found.plane = await page.locator(`${chart("plane")} select`).evaluateAll(all => all.slice(0, 2).map(x => x.value));
}
if (found.charts.includes("plane")) {
  const selects = page.locator(`${chart("plane")} select`);
  found.paired = await page.locator(`${chart("plane")} p.tools`).textContent();
  if (await selects.count() > 2) {
    await selects.nth(2).selectOption({ index: 1 });
    found.other_pair = await selects.evaluateAll(all => all.slice(0, 2).map(x => x.value));
    found.pair_keys = await page.locator(`${chart("plane")} p.tools`).textContent();
  }
  await page.locator(chart("plane")).screenshot({ path: join(folder, "plane.png") });
}
if (found.charts.includes("compared")) {
  const at = chart("compared"), svg = page.locator(`${at} svg[role=img]`);
  const curves = () => page.locator(`${at} path.curve`).count();
  const boxes = page.locator(`${at} label.key:visible input`), before = await ticks(page, "compared");
  found.versions = [await curves()];
  await boxes.last().uncheck();
  found.versions.push(await curves());
  for (const name of ["All", "Unbinned", "Binned", "None", "All"]) {
    await page.locator(`${at} > .tools button`, { hasText: new RegExp(`^${name}$`) }).click();
    found.versions.push(await curves());
  }
  const box = await svg.boundingBox();
  await page.mouse.move(box.x + box.width * 0.3, box.y + 100);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.7, box.y + 300, { steps: 4 });
  await page.mouse.up();
  found.compared_zoomed = (await ticks(page, "compared")) !== before;
  await page.locator(`${at} .plot`).focus();
  await page.keyboard.press("0");
  found.compared_reset = (await ticks(page, "compared")) === before;
  const choice = page.locator(`${at} select`);
  found.compared_pairs = await choice.locator("option").allTextContents();
  if (await choice.count()) {
    await choice.selectOption({ index: 1 });
    found.compared_second = { curves: await curves(), boxes: await boxes.count(), label: await svg.getAttribute("aria-label"), note: await page.locator(`${at} > .hint`).textContent() };
  }
  await page.locator(at).screenshot({ path: join(folder, "compared.png") });
}
await page.locator("#theme").click();
found.theme = await page.evaluate(() => document.documentElement.dataset.theme);
await page.emulateMedia({ media: "print" });
found.paper.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
await page.pdf({ path: join(folder, "print.pdf"), format: "A4" });
await page.setViewportSize({ width: 420, height: 800 });
await page.emulateMedia({ media: "screen" });
await page.waitForTimeout(300);
found.overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
await page.screenshot({ path: join(folder, "phone.png") });
await browser.close();
console.log(JSON.stringify(found, null, 1));
