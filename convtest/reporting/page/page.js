"use strict";
(() => {
  const results = JSON.parse(document.getElementById("results").textContent);
  const $ = (id) => document.getElementById(id);
  const MARKS = { passed: "✓", failed: "✗", error: "!", skipped: "–" };
  const STEP = 200;

  /* Everything that was said or sent enters the page as text, never as markup. */
  const shown = (text) => String(text ?? "").replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (one) => `\\u${one.codePointAt(0).toString(16).padStart(4, "0")}`);
  const el = (tag, more = {}, ...inside) => {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(more)) {
      if (value === false || value === null || value === undefined) continue;
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else made.setAttribute(key, value === true ? "" : value);
    }
    for (const one of inside.flat()) if (one !== null && one !== undefined && one !== "")
      made.append(one instanceof Node ? one : shown(one));
    return made;
  };
  const svg = (tag, more) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(more)) made.setAttribute(key, value);
    return made;
  };
  const usd = (value) => value === null || value === undefined ? "" : `$${value.toFixed(value < 0.01 ? 6 : 4)}`;
  const ms = (value) => value === null || value === undefined ? "" : value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${Math.round(value)} ms`;
  const tokens = (usage) => usage ? (usage.input_tokens || 0) + (usage.cache_read_tokens || 0) + (usage.cache_write_tokens || 0) + (usage.output_tokens || 0) : 0;
  const sum = (all, of) => all.reduce((total, one) => total + (of(one) || 0), 0);
  const outcome = (one) => one.outcome;
  const checks = (one) => [...new Set((one.found || []).map((found) => found.check))];
  const isChanged = (one) => Boolean(one.snapshot) || /\.new$/.test(one.written || "");
  const words = (one) => one.words ??= [one.about.item, one.about.title, one.headline, one.message,
    ...(one.steps || []).flatMap((step) => [step.prompt, step.label, ...(step.said || []).flatMap((one) => [one.text, one.name])]),
    ...(one.found || []).flatMap((found) => [found.check, found.message, found.expected, found.seen])].join("\n").toLowerCase();

  /* ---- the list ---- */
  let listed = [], limit = STEP, current = null;
  const choices = (id, values) => {
    const found = [...new Set(values)].filter(Boolean).sort();
    for (const one of found) $(id).append(el("option", { value: one }, one));
    $(id).parentElement.hidden = found.length === 0;
  };
  choices("check", results.flatMap(checks));
  choices("layer", results.map((one) => one.layer));
  choices("tag", results.flatMap((one) => one.about.tags || []));
  choices("client", results.map((one) => one.about.client));

  const SHOW = {
    "": () => true, bad: (one) => one.outcome === "failed" || one.outcome === "error", changed: isChanged,
    unseen: (one) => (one.not_seen || []).length > 0,
  };
  const RANK = { failed: 0, error: 1, passed: 2, skipped: 3 };
  const ORDER = {
    "": (a, b) => RANK[a.outcome] - RANK[b.outcome] || a.at - b.at, played: (a, b) => a.at - b.at,
    slow: (a, b) => (b.seconds || 0) - (a.seconds || 0), costly: (a, b) => (b.usd || 0) - (a.usd || 0),
  };
  results.forEach((one, at) => { one.at = at; });

  function filter() {
    const asked = $("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const show = SHOW[$("show").value] || ((one) => one.outcome === $("show").value);
    listed = results.filter((one) => show(one)
      && (!$("check").value || checks(one).includes($("check").value))
      && (!$("layer").value || one.layer === $("layer").value)
      && (!$("tag").value || (one.about.tags || []).includes($("tag").value))
      && (!$("client").value || one.about.client === $("client").value)
      && asked.every((word) => words(one).includes(word))).sort(ORDER[$("order").value]);
    limit = STEP;
    draw();
  }
  function draw() {
    $("count").textContent = `${listed.length} of ${results.length} items`;
    $("list").replaceChildren(...listed.slice(0, limit).map(row));
    $("more").hidden = listed.length <= limit;
  }
  function row(one) {
    return el("li", {}, el("button", { type: "button", "data-at": one.at, "aria-current": one === current ? "true" : false, onclick: () => open(one, true) },
      el("span", { class: outcome(one) }, `${MARKS[one.outcome]} `), one.about.item,
      el("span", { class: "what" }, one.outcome === "passed" ? `${one.about.title} · ${facts(one)}` : `${one.outcome}: ${one.headline || one.about.title}`)));
  }
  const facts = (one) => [one.source, one.seconds ? `${one.seconds.toFixed(2)} s` : "", usd(one.usd)].filter(Boolean).join(" · ");

  /* ---- sweeps ---- */
  function sweeps() {
    const bases = new Map();
    for (const one of results) if (one.about.point) {
      const key = `${one.about.file}::${one.about.point.base}`;
      bases.set(key, [...(bases.get(key) || []), one]);
    }
    for (const [base, points] of bases) {
      const held = points.filter((one) => one.outcome === "passed").length;
      $("sweeps").append(el("details", { open: held < points.length }, el("summary", {}, `sweep of ${base}: ${held} of ${points.length} points hold`), grid(points)));
    }
  }
  function grid(points) {
    const at = (one) => one.about.point.after ?? Infinity;
    const wire = (one) => !["request", "text", "thinking", "tool_use", "tool_result", "end"].includes(one.about.point.kind);
    const tables = [];
    const dos = [...new Set(points.map((one) => one.about.point.do))].sort();
    const onWire = new Set(points.filter(wire).map((one) => one.about.point.do));
    for (const group of [dos.filter((one) => !onWire.has(one)), dos.filter((one) => onWire.has(one))]) {
      const mine = points.filter((one) => group.includes(one.about.point.do));
      const columns = [...new Set(mine.map(at))].sort((a, b) => a - b);
      if (!columns.length) continue;
      const kindAt = new Map(mine.map((one) => [at(one), one.about.point.kind]));
      const cells = new Map(mine.map((one) => [`${one.about.point.do}@${at(one)}`, one]));
      tables.push(el("div", { class: "grid", tabindex: "0", role: "region", "aria-label": `points of ${group.join(", ")}` }, el("table", {},
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "after"), columns.map((after) => el("th", { scope: "col", title: kindAt.get(after) }, after === Infinity ? "end" : after)))),
        el("tbody", {}, group.map((doing) => el("tr", {}, el("th", { scope: "row" }, doing), columns.map((after) => {
          const one = cells.get(`${doing}@${after}`);
          return el("td", {}, one ? el("button", { type: "button", class: outcome(one), title: `${one.about.point.kind}: ${one.headline || one.outcome}`,
            "aria-label": `${doing} after ${after === Infinity ? "the end" : after} (${one.about.point.kind}): ${one.outcome}`, onclick: () => open(one, true) }, MARKS[one.outcome]) : null);
        })))))));
    }
    return el("div", {}, tables);
  }

  /* ---- one item ---- */
  function open(one, focus) {
    current = one;
    for (const button of $("list").querySelectorAll("[aria-current]")) button.removeAttribute("aria-current");
    const mine = $("list").querySelector(`[data-at="${one.at}"]`);
    if (mine) { mine.setAttribute("aria-current", "true"); mine.scrollIntoView({ block: "nearest" }); }
    document.body.classList.add("reading");
    $("item").replaceChildren(...item(one));
    $("item").scrollTop = 0;
    if (focus) { $("item").focus({ preventScroll: true }); history.replaceState(null, "", `#${encodeURIComponent(one.about.item)}`); }
  }
  function item(one) {
    const bad = one.outcome === "failed" || one.outcome === "error";
    const wrong = new Set((one.found || []).map((found) => found.step).filter(Boolean));
    return [
      el("button", { type: "button", id: "back", onclick: back }, "← all items"),
      el("h2", {}, el("span", { class: outcome(one) }, `${MARKS[one.outcome]} ${one.outcome} `), one.about.item),
      el("p", { class: "dim" }, `${one.about.title} — ${one.about.file}:${one.about.line}`),
      el("div", { class: bad ? "verdict bad" : "verdict" }, el("strong", {}, bad ? one.headline || one.message.split("\n")[0] : one.outcome === "passed" ? "it holds together" : one.message || one.outcome),
        one.layer ? el("span", { class: "chip" }, `layer ${one.layer}`) : null, (one.causes || []).slice(1).map((cause) => el("p", { class: "small" }, `there too: ${cause}`))),
      about(one),
      command(one),
      (one.found || []).length ? el("h3", {}, "What did not hold") : null,
      (one.found || []).map((found, at) => finding(found, at)),
      one.message && !(one.found || []).length && bad ? el("pre", {}, one.message) : null,
      (one.not_seen || []).length ? el("details", {}, el("summary", {}, `not seen: ${one.not_seen.length}`), el("ul", {}, one.not_seen.map((blind) => el("li", {}, `${blind.check}: ${blind.why}`)))) : null,
      el("h3", {}, "The conversation"),
      lanes(one, wrong),
      one.not_run ? el("p", { class: "dim" }, `${one.not_run} steps were not run`) : null,
    ].flat().filter(Boolean);
  }
  function about(one) {
    const all = [["client", one.about.client], ["answered by", one.source], ["tags", (one.about.tags || []).join(", ")],
      ["tokens", tokens(one.usage) || ""], ["cost", usd(one.usd)], ["took", one.seconds ? `${one.seconds.toFixed(2)} s` : ""], ["recorded", one.written]];
    return el("dl", { class: "facts" }, all.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  }
  function command(one) {
    const quoted = /^[\w./:@-]+$/.test(one.about.item) ? one.about.item : `'${one.about.item.replaceAll("'", "'\\''")}'`;
    const text = `pytest ${quoted}`;
    return el("div", { class: "command" }, el("pre", {}, text), el("button", { type: "button", onclick: (event) => {
      navigator.clipboard?.writeText(text).then(() => { event.target.textContent = "Copied"; }, () => {});
    } }, "Copy"));
  }
  function finding(found, at) {
    const [expected, seen] = marked(found.expected || "", found.seen || "");
    const where = [found.place, found.step ? `step ${found.step}${found.step_id ? ` (${found.step_id})` : ""}` : "", found.session ? `session ${found.session}` : ""].filter(Boolean).join(", ");
    return el("article", { class: "finding", id: `finding-${at}`, tabindex: "-1" },
      el("p", {}, el("strong", {}, found.check), found.layer ? el("span", { class: "chip" }, `layer ${found.layer}`) : null, el("span", { class: "dim small" }, ` ${where}`)),
      el("p", {}, found.message),
      found.expected || found.seen ? el("dl", { class: "facts" }, el("dt", {}, "expected"), el("dd", {}, expected), el("dt", {}, "seen"), el("dd", {}, seen)) : null,
      found.advice ? el("p", { class: "small" }, `→ ${found.advice}`) : null,
      (found.difference || []).length ? el("pre", {}, found.difference.join("\n")) : null,
      found.step ? el("button", { type: "button", onclick: () => { const turn = $(`step-${found.step}`); turn?.scrollIntoView({ block: "center" }); turn?.focus({ preventScroll: true }); } }, "Show the step") : null);
  }
  /* Words that differ, marked; by the longest common beginning and end, which is what a person looks for. */
  function marked(old, now) {
    if (!old || !now || old.length + now.length > 4000) return [[old], [now]];
    const a = old.split(/(\s+)/), b = now.split(/(\s+)/);
    let start = 0, end = 0;
    while (start < a.length && start < b.length && a[start] === b[start]) start++;
    while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
    if (start + end === 0) return [[old], [now]];
    const part = (all, tag) => [all.slice(0, start).join(""), el(tag, {}, all.slice(start, all.length - end).join("")), all.slice(all.length - end).join("")];
    return [part(a, "ins"), part(b, "del")];  // green is what was expected, as in the terminal
  }

  /* Every session in its lane; what ran at once in one row. */
  function lanes(one, wrong) {
    const steps = one.steps || [];
    const names = [...new Set(steps.map((step) => step.session))];
    const made = el("div", { class: "lanes", style: `grid-template-columns: repeat(${names.length || 1}, minmax(${names.length > 1 ? "16rem" : "0"}, 1fr))` });
    if (names.length > 1) names.forEach((name, at) => made.append(el("div", { class: "lane-name", style: `grid-column: ${at + 1}; grid-row: 1` }, name)));
    let next = 2, group = null, began = 2, taken = new Map();
    for (const step of steps) {
      const [mine, branch] = step.branch || [null, null];
      let at = next;
      if (mine === null) group = null;
      else {
        if (mine !== group) { group = mine; began = next; taken = new Map(); }
        at = began + (taken.get(branch) || 0);
        taken.set(branch, at - began + 1);
      }
      next = Math.max(next, at + 1);
      const place = `grid-column: ${names.indexOf(step.session) + 1}; grid-row: ${at}`;
      made.append(step.kind && step.kind !== "turn" ? act(step, place, wrong) : turn(step, place, wrong));
    }
    return made;
  }
  function act(step, place, wrong) {
    return el("div", { class: wrong.has(step.index) ? "act wrong" : "act", style: place, id: `step-${step.index}`, tabindex: "-1" },
      el("span", { class: "of-session" }, `${step.session} · `), step.label, step.refused ? ` — refused: ${step.refused.code} ${step.refused.message || ""}` : "",
      step.crash ? ` — ${step.crash}` : "", step.hung ? ` — hung: ${step.hung}` : "");
  }
  function turn(step, place, wrong) {
    const end = step.ending;
    const ended = end ? (end.ended || "complete") : "no end";
    const chips = [...(step.disturbances || []), ...(step.unreached || []).map((one) => `not reached: ${one}`), ...(ended !== "complete" ? [`${end ? "ended " : ""}${ended}${end?.message ? `: ${end.message}` : ""}`] : []), ...(end?.error ? [end.error] : []), ...(end?.retried || []).map((one) => `tried again: ${one}`), ...(step.conduct ? [step.conduct] : [])];
    return el("div", { class: wrong.has(step.index) ? "turn wrong" : "turn", style: place, id: `step-${step.index}`, tabindex: "-1" },
      el("p", { class: "about" }, el("span", { class: "of-session" }, `${step.session} · `), `step ${step.index}${step.id ? ` (${step.id})` : ""} · ${step.place || ""}`),
      el("div", { class: "says user", dir: "auto" }, step.prompt),
      (step.said || []).map(said),
      chips.length ? el("p", {}, chips.map((chip) => el("span", { class: "chip" }, chip))) : null,
      step.crash ? el("pre", {}, step.crash) : null, step.hung ? el("pre", {}, `hung; the last thing seen: ${step.hung}`) : null,
      step.refused ? el("p", { class: "failed" }, `refused: ${step.refused.code} ${step.refused.message || ""}`) : null,
      el("p", { class: "about" }, [ms(step.first_event_ms) && `first event ${ms(step.first_event_ms)}`, ms(step.total_ms) && `total ${ms(step.total_ms)}`, tokens(step.usage) ? `${tokens(step.usage)} tokens` : "", usd(step.usd)].filter(Boolean).join(" · ")),
      (step.requests || []).map((one) => request(one)));
  }
  function said(one) {
    if (one.kind === "text") return el("div", { class: "says assistant", dir: "auto" }, one.text);
    if (one.kind === "thinking") return el("details", {}, el("summary", {}, "thinking"), el("div", { class: "says assistant", dir: "auto" }, one.text));
    if (one.kind === "tool_use") return el("details", {}, el("summary", {}, `tool use ${one.name}`), el("pre", {}, JSON.stringify(one.input || {}, null, 2)));
    return el("details", {}, el("summary", {}, one.error ? "tool result (an error)" : "tool result"), el("pre", {}, one.text));
  }
  function request(one) {
    const added = one.added || [], removed = one.removed || [], settings = Object.entries(one.settings || {});
    const bad = removed.length > 0 || one.missed;
    return el("div", {}, timeline(one), el("details", { open: bad },
      el("summary", {}, `${one.main === false ? "side request" : "request"} ${one.number}: kept ${one.kept || 0}, ${removed.length ? `−${removed.length}, ` : ""}+${added.length}${one.missed ? " — nothing recorded answers it" : ""}${one.status && one.status !== 200 ? ` — status ${one.status}` : ""}`),
      el("p", { class: "about" }, [one.method, one.url, one.model, one.origin].filter(Boolean).join(" · ")),
      el("ul", { class: "diff" },
        settings.map(([name, value]) => el("li", { class: value === null ? "old" : "" }, value === null ? `− ${name}: no longer sent` : `  ${name}: ${value}`)),
        removed.map((part) => el("li", { class: "old", dir: "auto" }, `− ${part.role}${part.kind && part.kind !== "text" ? ` (${part.kind})` : ""}: ${part.text || ""}`)),
        added.map((part) => el("li", { class: "new", dir: "auto" }, `+ ${part.role}${part.kind && part.kind !== "text" ? ` (${part.kind})` : ""}: ${part.text || ""}`)))));
  }
  /* Sent, first byte, each piece, and where it was cut; on the item's clock. */
  function timeline(one) {
    const chunks = one.chunks_ms || [];
    const last = chunks.length ? chunks[chunks.length - 1] : one.first_byte_ms;
    if (last === null || last === undefined) return null;
    const wide = Math.max(last, 1), x = (at) => 2 + 456 * at / wide;
    const gaps = chunks.slice(1).map((at, i) => at - chunks[i]);
    const cut = one.ended && one.ended !== "complete";
    const said = `request ${one.number}: first byte ${ms(one.first_byte_ms)}, ${chunks.length} pieces in ${ms(last)}${gaps.length ? `, the longest gap ${ms(Math.max(...gaps))}` : ""}${cut ? `, ${one.ended.replaceAll("_", " ")}` : ""}`;
    const made = svg("svg", { viewBox: "0 0 560 26", role: "img", "aria-label": said, preserveAspectRatio: "xMinYMid meet" });
    const title = svg("title", {}); title.textContent = said; made.append(title);
    made.append(svg("rect", { class: "wait", x: 2, y: 11, width: Math.max(0, x(one.first_byte_ms || 0) - 2), height: 3 }));
    made.append(svg("rect", { class: "stream", x: x(one.first_byte_ms || 0), y: 5, width: Math.max(1, x(last) - x(one.first_byte_ms || 0)), height: 15 }));
    const every = Math.ceil(chunks.length / 300);
    chunks.forEach((at, i) => { if (i % every === 0) made.append(svg("line", { class: "tick", x1: x(at), x2: x(at), y1: 7, y2: 18 })); });
    if (one.first_byte_ms) made.append(svg("line", { class: "first", x1: x(one.first_byte_ms), x2: x(one.first_byte_ms), y1: 3, y2: 22 }));
    if (cut) made.append(svg("line", { class: "cut", x1: x(last), x2: x(last), y1: 1, y2: 24 }));
    const text = svg("text", { x: 466, y: 17 }); text.textContent = `${ms(last)}${cut ? ` ✂ ${one.ended.replaceAll("_", " ")}` : ""}`; made.append(text);
    return made;
  }

  /* ---- the page ---- */
  function back() { document.body.classList.remove("reading"); ($("list").querySelector("[aria-current]") || $("search")).focus(); }
  function move(by) {
    if (!listed.length) return;
    const at = Math.min(listed.length - 1, Math.max(0, listed.indexOf(current) + by));
    if (at >= limit) { limit = at + STEP; draw(); }
    open(listed[at], true);
  }
  function theme() {
    const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  }
  $("theme").addEventListener("click", theme);
  $("filters").addEventListener("input", filter);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("more").addEventListener("click", () => { limit += STEP; draw(); });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "Escape") { if (typing) event.target.blur(); else back(); return; }
    if (typing) return;
    const act = { j: () => move(1), k: () => move(-1), t: theme, f: () => { const one = $("finding-0"); one?.scrollIntoView({ block: "center" }); one?.focus(); },
      "/": () => { document.body.classList.remove("reading"); $("search").focus(); } }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  const counted = ["passed", "failed", "error", "skipped"].map((word) => [word, results.filter((one) => one.outcome === word).length]).filter(([, count]) => count);
  $("totals").append(...counted.map(([word, count]) => el("span", { class: word }, `${MARKS[word]} ${count} ${word}  `)),
    [`${sum(results, (one) => tokens(one.usage))} tokens`, usd(sum(results, (one) => one.usd)), `${sum(results, (one) => one.seconds).toFixed(1)} s`].join(" · "));
  sweeps();
  filter();
  const wanted = results.find((one) => one.about.item === decodeURIComponent(location.hash.slice(1)));
  if (wanted) open(wanted, true);
  else if (listed.length && matchMedia("(min-width: 48.01rem)").matches) open(listed[0], false);
})();
