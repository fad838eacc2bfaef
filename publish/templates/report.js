"use strict";
// Fills the page for the chosen view and language. Python supplies all words, numbers and dates as displayed; they enter
// the page as text, never as markup.
(function () {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const TOP_ROWS = 15;
  const NARROW = window.matchMedia("(max-width: 599px)");
  const byKey = new Map(data.views.map((view) => [view.key, view]));
  const byId = (id) => document.getElementById(id);
  const state = { lang: document.documentElement.lang === "en" ? "en" : "nl", key: data.default, basis: "r12" };
  const panels = new Map(data.panels.map((panel) => [panel.id, panel]));
  // Charts of the chosen view and of the page, with the number of times each was requested.
  const charts = { view: [], page: [] };
  const asked = { view: 0, page: 0 };

  function say(key, values) {
    return data.texts[key][state.lang].replace(/\{(\w+)\}/g, (match, name) => (name in values ? values[name] : match));
  }
  const withSign = (figure) => (figure === data.missing ? figure : say("percent", { value: figure }));
  const periodOf = (basis, month) => say(basis === "r12" ? "months_to" : "in_month", { month: month });
  const text = (key) => data.texts[key][state.lang];

  // Elements

  function make(tag, properties, ...children) {
    const element = document.createElement(tag);
    Object.entries(properties || {}).forEach(([name, value]) => element.setAttribute(name, value));
    element.append(...children);
    return element;
  }
  function table(caption, { head, name_at }, bodies) {
    const headRow = make("tr");
    head.forEach(([name, numeric]) => headRow.append(make("th", { scope: "col", class: numeric ? "num" : "" }, name)));
    const result = make("table", {}, make("caption", { class: "visually-hidden" }, caption), make("thead", {}, headRow));
    bodies.forEach((body) => {
      const element = make("tbody", { class: body.kind || "" });
      if (body.title) element.append(make("tr", {}, make("th", { scope: "rowgroup", colspan: head.length }, body.title)));
      body.rows.forEach((cells) => {
        const row = make("tr");
        cells.forEach((cell, index) => {
          const isName = index === name_at;
          row.append(make(isName ? "th" : "td", isName ? { scope: "row" } : { class: head[index][1] ? "num" : "" }, cell));
        });
        element.append(row);
      });
      result.append(element);
    });
    return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption + ". " + text("table_region") }, result);
  }
  const wholeTable = (item) => table(item.caption, item, [{ rows: item.rows }]);
  function behind(id, summary, content) {
    byId(id).replaceChildren(make("summary", {}, summary), ...content);
  }

  function legend(id, entries) {
    byId(id).replaceChildren(
      ...entries.map(([name, colour, shape]) => {
        const swatch = make("i", shape ? { class: shape } : {});
        swatch.style.setProperty(shape ? "--c" : "background", colour);
        return make("li", {}, swatch, name);
      })
    );
  }

  // The view in words: a share always has its source, concept and scope

  function fillSelectors() {
    const view = byKey.get(state.key);
    const scopeName = (code) => data.scopes[code].name[state.lang];
    const scopes = [...new Set(data.views.map((entry) => entry.scope))];
    byId("scope").replaceChildren(
      ...["metal", "user", "other"]
        .map((group) => [group, scopes.filter((code) => data.scopes[code].group === group)])
        .filter(([, codes]) => codes.length)
        .map(([group, codes]) =>
          make("optgroup", { label: text("group_" + group) }, ...codes.map((code) => make("option", { value: code }, scopeName(code))))
        )
    );
    byId("scope").value = view.scope;
    byId("view").replaceChildren(
      ...data.views
        .filter((entry) => entry.scope === view.scope)
        .map((entry) => make("option", { value: entry.key }, entry.words[state.lang].name))
    );
    byId("view").value = view.key;
  }

  function fillCaption(view, words) {
    byId("caption").replaceChildren(
      make("strong", {}, words.title),
      make("span", {}, words.about),
      make("p", {}, data.scopes[view.scope].description[state.lang])
    );
    document.querySelectorAll("#figures .source").forEach((element) => element.replaceChildren(words.cite));
    byId("headlines").replaceChildren(
      ...words.headlines.map(([name, of, figure, about]) =>
        make(
          "div",
          { class: "headline" },
          make("div", { class: "name" }, name),
          make("div", { class: "figure" }, ...(of ? [make("span", { class: "of" }, of)] : []), figure),
          ...about.map((line) => make("div", { class: "about" }, line))
        )
      )
    );
    byId("view-notices").replaceChildren(...words.notices.map(([kind, line]) => make("p", { class: "notice " + kind }, line)));
  }
  function latest(series) {
    for (let index = series.length - 1; index >= 0; index -= 1) if (series[index] !== null) return index;
    return null;
  }

  // Charts

  function drawOfView(id, spec, datasets, title, options) {
    const description = say(options.aria || "chart_aria", { title: title, lead: options.lead || "", caption: options.subject });
    return draw("view", id, data.specs[spec], datasets, { ...options, description: description });
  }
  // A page chart's words come with its data, in both languages.
  function inLanguage(value) {
    if (Array.isArray(value)) return value.map(inLanguage);
    if (value === null || typeof value !== "object") return value;
    if (typeof value.nl === "string" && typeof value.en === "string") return value[state.lang];
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, inLanguage(inner)]));
  }
  function drawOfPage(panel) {
    const datasets = inLanguage(panel.datasets);
    if (panel.ratio) datasets.countries = data.topology;
    return draw("page", panel.id, data.specs[panel.spec], datasets, {
      description: panel.aria[state.lang],
      height: panel.ratio ? Math.round(panel.ratio * byId(panel.id).clientWidth) : panel.height,
      padding: { left: 0, top: 6, right: 8, bottom: 4 },
      params: panel.params,
      tooltip: (value) => value.tip,
    });
  }
  function draw(kind, id, spec, datasets, options) {
    const element = byId(id);
    const copy = JSON.parse(JSON.stringify(spec));
    copy.datasets = datasets;
    copy.description = options.description;
    if (options.height) copy.height = options.height;
    copy.padding = options.padding;
    Object.entries(options.params || {}).forEach(([name, value]) => {
      copy.params.find((param) => param.name === name).value = value;
    });
    const token = asked[kind];
    return vegaEmbed(element, copy, {
      mode: "vega-lite",
      renderer: "svg",
      actions: false,
      defaultStyle: false,
      // The page's policy forbids eval; the interpreter does not need it.
      ast: true,
      formatLocale: data.locales[state.lang].number,
      timeFormatLocale: data.locales[state.lang].time,
      tooltip: (handler, event, item, value) => showTooltip(event, value, options.tooltip),
    }).then((result) => {
      if (token !== asked[kind]) result.finalize();
      else charts[kind].push(result);
      // One image with one description; screen readers would read the marks one by one, without names.
      element.setAttribute("role", "img");
      element.querySelector("svg").setAttribute("aria-hidden", "true");
    });
  }
  function showTooltip(event, value, content) {
    let element = byId("tooltip");
    if (!element) {
      element = make("div", { id: "tooltip", hidden: "" });
      document.body.append(element);
    }
    if (value === null || value === undefined || value === "") {
      element.hidden = true;
      return;
    }
    const { title, rows } = content(value);
    const body = make("tbody");
    rows.forEach(([name, figure, colour]) => {
      const label = make("th", { scope: "row" }, name);
      if (colour) {
        const swatch = make("i");
        swatch.style.background = colour;
        label.prepend(swatch);
      }
      body.append(make("tr", {}, label, make("td", { class: "num" }, figure)));
    });
    element.replaceChildren(make("strong", {}, title), make("table", {}, body));
    element.hidden = false;
    const box = element.getBoundingClientRect();
    const left = event.clientX + 14 + box.width > window.innerWidth ? event.clientX - box.width - 14 : event.clientX + 14;
    element.style.left = Math.max(4, left) + "px";
    element.style.top = Math.max(4, Math.min(event.clientY + 14, window.innerHeight - box.height - 4)) + "px";
  }

  // Line-end labels keep a minimum distance and move as little as possible: labels that would touch share their
  // displacement (isotonic regression by pooling).
  function spread(ends, gap, top) {
    const sorted = [...ends].sort((a, b) => a.y - b.y);
    const pools = [];
    sorted.forEach((end, index) => {
      pools.push({ sum: end.y - index * gap, size: 1 });
      while (pools.length > 1) {
        const [before, last] = pools.slice(-2);
        if (before.sum / before.size <= last.sum / last.size) break;
        pools.splice(-2, 2, { sum: before.sum + last.sum, size: before.size + last.size });
      }
    });
    const bases = pools.flatMap((pool) => Array(pool.size).fill(pool.sum / pool.size));
    sorted.forEach((end, index) => {
      const lowest = (index + 0.5) * gap;
      const highest = top - (sorted.length - 1 - index) * gap;
      end.label_y = Math.min(Math.max(bases[index] + index * gap, lowest), highest);
    });
  }

  const linesOf = (series, t) =>
    series.flatMap(({ values, ...constants }) => values.map((value, index) => ({ t: t[index], y: value, ...constants })));

  function fillShares(view, words) {
    const own = words.shares;
    byId("shares").hidden = !own;
    if (!own) return null;
    const basis = "r12" in own.bases ? state.basis : "month";
    byId("basis").hidden = !("r12" in own.bases);
    const { title, table } = own.bases[basis];
    const { t, values } = view.shares.bases[basis];
    const series = view.shares.series.map((line, index) => ({ ...line, values: values[index] }));
    byId("shares-lead").replaceChildren(own.lead);
    byId("shares-caption").replaceChildren(title, make("span", { class: "about" }, own.about));
    legend("shares-legend", series.map((line, index) => [own.countries[index] + " (" + line.code + ")", line.colour]));
    const yMax = 1.06 * Math.max(...values.flat());
    const ends = series
      .map((line, index) => ({ line: line, name: own.countries[index], last: latest(line.values) }))
      .filter(({ last }) => last !== null)
      .map(({ line, name, last }) => ({ t: t[last], y: line.values[last], colour: line.colour, label: NARROW.matches ? line.code : name }));
    spread(ends, (17 * yMax) / data.specs.shares.height, yMax);
    behind("shares-table", text("table_behind"), [wholeTable(table)]);
    const hover = t.map((instant) => ({ t: instant }));
    return drawOfView("shares-chart", "shares", { lines: linesOf(series, t), ends: ends, hover: hover }, title, {
      lead: own.lead,
      subject: words.subject,
      padding: { left: 0, top: 8, right: 4, bottom: 4 },
      params: { y_max: yMax },
      tooltip: (value) => {
        const index = t.indexOf(Number(value.t));
        const [month, ...figures] = table.rows[t.length - 1 - index];
        return {
          title: periodOf(basis, month),
          rows: series
            .map((line, nth) => [line.values[index], [own.countries[nth], withSign(figures[nth]), line.colour]])
            .sort(([a], [b]) => (b === null ? -1 : b) - (a === null ? -1 : a))
            .map(([, row]) => row),
        };
      },
    });
  }

  // Ranking columns shown in the chart and its tooltip.
  const NAME = 1, VALUE = 2, SHARE = 3, BOUNDS = 4;

  function fillRanking(view, words) {
    const own = words.ranking;
    const { n_ranked, bars } = view.ranking;
    const { caption, head, rows } = own.table;
    byId("ranking-title").replaceChildren(own.title);
    const top = n_ranked ? [{ rows: rows.slice(0, Math.min(n_ranked, TOP_ROWS)) }] : [];
    byId("ranking-table").replaceChildren(table(caption, own.table, [...top, ...own.foot]), make("p", { class: "note" }, own.note));
    byId("ranking-all").hidden = rows.length <= TOP_ROWS && !own.silent;
    behind("ranking-all", own.all, [
      table(own.all_caption, own.table, [{ rows: rows }, ...own.foot]),
      ...(own.silent ? [make("p", { class: "note" }, own.silent)] : []),
    ]);
    const figure = byId("ranking-chart").parentElement;
    figure.hidden = !n_ranked;
    figure.parentElement.classList.toggle("single", !n_ranked);
    byId("ranking-caption").replaceChildren(own.chart);
    if (!n_ranked) return null;
    const drawn = bars.map(([code, share, lower, upper], index) => ({
      label: rows[index][NAME], code: code, share: share, lower: lower, upper: upper, text: rows[index][SHARE],
    }));
    const byCode = new Map(bars.map(([code], index) => [code, rows[index]]));
    return drawOfView("ranking-chart", "ranking", { bars: drawn }, own.chart, {
      aria: "bars_aria",
      lead: words.shares && words.shares.lead,
      subject: words.subject,
      height: 26 * bars.length + 26,
      padding: { left: 0, top: 0, right: 4, bottom: 0 },
      params: { x_max: 1.18 * Math.max(...drawn.map((bar) => bar.upper)) },
      tooltip: (value) => {
        const row = byCode.get(value.code);
        return { title: row[NAME], rows: [SHARE, BOUNDS, VALUE].map((at) => [head[at][0], row[at]]) };
      },
    });
  }

  function fillConcentration(view, words) {
    const own = words.concentration;
    byId("concentration").hidden = !own;
    if (!own) return [];
    const { basis, t, equivalent, tops } = view.concentration;
    byId("concentration-lead").replaceChildren(own.lead);
    ["equivalent", "tops"].forEach((name) => {
      byId(name + "-caption").replaceChildren(own[name], make("span", { class: "about" }, own.basis));
    });
    legend("tops-legend", tops.map((top, index) => [own.top_names[index], top.colour, top.dash.length ? "dash" : "line"]));
    byId("concentration").querySelector(".source").replaceChildren(own.cite);
    behind("concentration-table", text("table_behind"), [wholeTable(own.table)]);
    const drawOne = (name, spec, datasets, rowsAt) =>
      drawOfView(name + "-chart", spec, { ...datasets, hover: t.map((instant) => ({ t: instant })) }, own[name], {
        lead: own.lead,
        subject: words.subject,
        padding: { left: 0, top: 8, right: 10, bottom: 4 },
        tooltip: (value) => {
          const index = t.indexOf(Number(value.t));
          const cells = own.table.rows[t.length - 1 - index];
          return { title: periodOf(basis, cells[0]), rows: rowsAt(index, cells) };
        },
      });
    const points = linesOf([{ values: equivalent }], t);
    // The largest markets' cells follow month, equivalent markets and HHI.
    return [
      drawOne("equivalent", "equivalent", { lines: points, ends: [points[latest(equivalent)]] }, (index) => [[own.equivalent, own.tips[index]]]),
      drawOne("tops", "lines", { lines: linesOf(tops, t) }, (index, cells) =>
        tops.map((top, nth) => [own.top_names[nth], withSign(cells[3 + nth]), top.colour])
      ),
    ];
  }

  // State: language and view are in the address, so that a link reproduces the sender's view.

  function readHash() {
    const hash = new URLSearchParams(location.hash.slice(1));
    if (["nl", "en"].includes(hash.get("lang"))) state.lang = hash.get("lang");
    if (byKey.has(hash.get("view"))) state.key = hash.get("view");
  }
  function writeHash() {
    const hash = new URLSearchParams({ lang: state.lang });
    if (state.key) hash.set("view", state.key);
    history.replaceState(null, "", "#" + hash);
  }

  function show() {
    document.documentElement.lang = state.lang;
    document.title = document.querySelector("h1 ." + state.lang).textContent;
    document.querySelectorAll("[data-set-lang]").forEach((button) => {
      button.setAttribute("aria-pressed", String(button.dataset.setLang === state.lang));
    });
    if (!state.key) return;
    delete document.body.dataset.drawn;
    const view = byKey.get(state.key);
    renew("view");
    fillSelectors();
    const words = view.words[state.lang];
    fillCaption(view, words);
    const work = [fillShares(view, words), fillRanking(view, words), ...fillConcentration(view, words)];
    // The page charts are the same for every view.
    if (shown !== state.lang + NARROW.matches) {
      renew("page");
      work.push(...data.panels.map(drawOfPage));
      shown = state.lang + NARROW.matches;
    }
    const tokens = [asked.view, asked.page].join();
    Promise.all(work).then(() => {
      if (tokens === [asked.view, asked.page].join()) document.body.dataset.drawn = state.lang + " " + state.key;
    });
  }
  let shown = null;
  function renew(kind) {
    asked[kind] += 1;
    charts[kind].splice(0).forEach((chart) => chart.finalize());
  }
  function change(values) {
    Object.assign(state, values);
    writeHash();
    show();
  }

  document.querySelectorAll("[data-set-lang]").forEach((button) => {
    button.addEventListener("click", () => change({ lang: button.dataset.setLang }));
  });
  if (state.key) {
    byId("scope").addEventListener("change", (event) => {
      const now = byKey.get(state.key);
      const sameScope = data.views.filter((view) => view.scope === event.target.value);
      const likeness = (view) => ["reporter", "source", "concept"].filter((part) => view[part] === now[part]).length;
      change({ key: sameScope.reduce((best, view) => (likeness(view) > likeness(best) ? view : best)).key });
    });
    byId("view").addEventListener("change", (event) => change({ key: event.target.value }));
    byId("basis").addEventListener("change", (event) => change({ basis: event.target.value }));
    NARROW.addEventListener("change", show);
  }
  window.addEventListener("hashchange", () => {
    const before = state.lang + state.key;
    readHash();
    // A link to a section does not change the view.
    if (state.lang + state.key !== before) show();
  });

  // Print: paper has other widths than the screen, so charts are redrawn before layout, and every fold is opened.

  const OF_VIEW_ON_PAPER = { "shares-chart": [660, 245], "ranking-chart": [660, 290], "equivalent-chart": [310, 170], "tops-chart": [310, 170] };
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((element) => { element.open = true; });
    [...charts.view, ...charts.page].forEach(({ view }) => {
      const id = view.container().id;
      const panel = panels.get(id);
      const [width, height] = panel ? [panel.width, panel.ratio && panel.ratio * panel.width] : OF_VIEW_ON_PAPER[id];
      if (height) view.height(height);
      view.width(width).run();
    });
  });
  window.addEventListener("afterprint", () => {
    folded.forEach((element) => { element.open = false; });
    shown = null;
    show();
  });
  readHash();
  show();
})();
