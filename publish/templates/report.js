"use strict";
// Fills the page for the chosen view and language. All words and names reach the page as text, never as markup.
(function () {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const LOCALES = { nl: "nl-NL", en: "en-GB" };
  const MISSING = "–";
  const TOP_ROWS = 15;
  const NARROW = window.matchMedia("(max-width: 599px)");
  const byKey = new Map(data.views.map((view) => [view.key, view]));
  const byId = (id) => document.getElementById(id);
  const state = { lang: document.documentElement.lang === "en" ? "en" : "nl", key: data.default, basis: "r12" };
  const panels = new Map(data.panels.map((panel) => [panel.id, panel]));
  // Charts of the chosen view, and those of the page; a count of the times that each was asked for.
  const charts = { view: [], page: [] };
  const asked = { view: 0, page: 0 };

  // Words and numbers

  function say(key, values) {
    return fill(data.texts[key][state.lang], values || {});
  }
  function fill(text, values) {
    return text.replace(/\{(\w+)\}/g, (match, name) => (name in values ? values[name] : match));
  }
  function number(value, digits, options) {
    if (value === null || value === undefined) return MISSING;
    const format = { minimumFractionDigits: digits, maximumFractionDigits: digits, ...options };
    return new Intl.NumberFormat(LOCALES[state.lang], format).format(value).replace("-", "−");
  }
  const signed = (value, digits) => number(value, digits, { signDisplay: "exceptZero" });
  const percent = (share, digits) => (share === null ? MISSING : number(100 * share, digits === undefined ? 1 : digits));
  function percentSign(share) {
    return share === null || share === undefined ? MISSING : percent(share) + "%";
  }
  function month(text) {
    const [year, index] = text.split("-").map(Number);
    return data.months[state.lang][index - 1] + " " + year;
  }
  function day(text) {
    return Number(text.slice(8)) + " " + month(text.slice(0, 7));
  }
  const instant = (text) => Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5)) - 1, 1);
  const country = (code) => (data.names.countries[code] ? data.names.countries[code][state.lang] : code);
  const named = (kind, code) => data.names[kind][code].name[state.lang];
  const office = (code) => data.names.offices[code] || code;

  // Elements

  function make(tag, properties, ...children) {
    const element = document.createElement(tag);
    Object.entries(properties || {}).forEach(([name, value]) => element.setAttribute(name, value));
    element.append(...children);
    return element;
  }
  function table(caption, head, bodies) {
    const headRow = make("tr");
    head.forEach(([text, numeric]) => headRow.append(make("th", { scope: "col", class: numeric ? "num" : "" }, text)));
    const result = make("table", {}, make("caption", { class: "visually-hidden" }, caption), make("thead", {}, headRow));
    bodies.forEach((body) => {
      const element = make("tbody", { class: body.kind || "" });
      if (body.title) element.append(make("tr", {}, make("th", { scope: "rowgroup", colspan: head.length }, body.title)));
      body.rows.forEach((cells) => {
        const row = make("tr");
        cells.forEach((cell, index) => {
          const isName = index === (body.nameAt || 0);
          row.append(make(isName ? "th" : "td", isName ? { scope: "row" } : { class: head[index][1] ? "num" : "" }, cell));
        });
        element.append(row);
      });
      result.append(element);
    });
    return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption + ". " + say("table_region") }, result);
  }
  function behind(id, summary, content) {
    byId(id).replaceChildren(make("summary", {}, summary), ...content);
  }

  // The view in words: no share without its source, concept and scope

  function captionOf(view) {
    return [sourceAndConcept(view), named("scopes", view.scope), country(view.reporter)].join("; ");
  }
  const lower = (text) => text.charAt(0).toLowerCase() + text.slice(1);
  const sourceAndConcept = (view) => office(view.source) + ", " + lower(named("concepts", view.concept));
  function sourceOf(view) {
    return say("source_label") + ": " + captionOf(view) + "; " + say("release", { date: day(view.vintage) }) + ".";
  }
  function periodOf(basis, text) {
    return say(basis === "r12" ? "months_to" : "in_month", { month: month(text) });
  }

  function fillSelectors() {
    const view = byKey.get(state.key);
    const scopes = [...new Set(data.views.map((entry) => entry.scope))];
    byId("scope").replaceChildren(
      ...["metal", "user", "other"]
        .map((group) => [group, scopes.filter((code) => data.names.scopes[code].group === group)])
        .filter(([, codes]) => codes.length)
        .map(([group, codes]) =>
          make("optgroup", { label: say("group_" + group) }, ...codes.map((code) => make("option", { value: code }, named("scopes", code))))
        )
    );
    byId("scope").value = view.scope;
    byId("view").replaceChildren(
      ...data.views
        .filter((entry) => entry.scope === view.scope)
        .map((entry) =>
          make("option", { value: entry.key }, country(entry.reporter) + " · " + sourceAndConcept(entry))
        )
    );
    byId("view").value = view.key;
  }

  function fillCaption(view) {
    byId("caption").replaceChildren(
      make("strong", {}, named("scopes", view.scope) + " · " + country(view.reporter)),
      make("span", {}, sourceAndConcept(view) + "; " + say("release", { date: day(view.vintage) })),
      make("p", {}, data.names.scopes[view.scope].description[state.lang])
    );
    document.querySelectorAll("#figures .source").forEach((element) => element.replaceChildren(sourceOf(view)));
  }

  function fillHeadlines(view) {
    const newest = view.months[view.months.length - 1];
    const concentration = view.concentration;
    const last = concentration && latest(concentration.equivalent);
    const changePp = (change) =>
      change === null ? say("no_year_before") : say("year_before", { change: say("pp", { value: signed(change, 1) }) });
    const notLoaded = view.rows.find((row) => row.kind === "not_loaded" && row.share);
    const items = [];
    if (view.top) {
      items.push([
        say(notLoaded ? "top_destination_loaded" : "top_destination"),
        country(view.top.code),
        percentSign(view.top.share),
        [changePp(view.top.change_pp), periodOf(view.basis, newest)],
      ]);
    }
    if (view.us) {
      items.push([say("us_share"), null, percentSign(view.us.share), [changePp(view.us.change_pp), periodOf(view.basis, newest)]]);
    }
    if (concentration && last !== null) {
      const before = last >= 12 ? concentration.equivalent[last - 12] : null;
      const change = before === null ? say("no_year_before") : say("year_before", { change: signed(concentration.equivalent[last] - before, 1) });
      const period = periodOf(concentration.basis, view.months[last]);
      items.push([say("equivalent"), null, number(concentration.equivalent[last], 1), [change, period]]);
      items.push([say("active"), null, number(concentration.active[last], 0), [notLoaded ? say("of_loaded") : say("of_markets", { n: number(concentration.possible[last], 0) }), period]]);
    }
    items.push([say("total"), null, say("mln_value", { value: number(view.total_eur / 1e6, millionDigits(view)) }), [month(newest)]]);
    byId("headlines").replaceChildren(
      ...items.map(([name, of, figure, about]) =>
        make(
          "div",
          { class: "headline" },
          make("div", { class: "name" }, name),
          make("div", { class: "figure" }, ...(of ? [make("span", { class: "of" }, of)] : []), figure),
          ...about.map((text) => make("div", { class: "about" }, text))
        )
      )
    );
  }
  function latest(series) {
    for (let index = series.length - 1; index >= 0; index -= 1) if (series[index] !== null) return index;
    return null;
  }
  const millionDigits = (view) => (view.total_eur >= 1e9 ? 0 : view.total_eur >= 1e7 ? 1 : 3);

  function fillNotices(view) {
    const notices = [];
    if (!view.rows.some((row) => row.kind === "country")) notices.push(["warn", say("no_countries")]);
    else {
      const notLoaded = view.rows.find((row) => row.kind === "not_loaded" && row.share);
      if (notLoaded) notices.push(["warn", say("not_loaded_warning", { share: percentSign(notLoaded.share) })]);
    }
    if (view.incomplete.length) {
      const reasons = [...new Set(view.incomplete.map(([, reason]) => (data.reasons[reason] || data.reasons.unknown)[state.lang]))];
      notices.push(["", say("incomplete_now", { months: view.incomplete.map(([text]) => month(text)).join(", "), reason: reasons.join(" ") })]);
    }
    byId("view-notices").replaceChildren(...notices.map(([kind, text]) => make("p", { class: "notice " + kind }, text)));
  }

  // Charts

  function drawOfView(id, spec, datasets, title, view, options) {
    const description = say(options.aria || "chart_aria", { title: title, lead: leadOf(view, options.lead), caption: captionOf(view) });
    return draw("view", id, spec, datasets, { ...options, description: description });
  }
  const leadOf = (view, name) => (view.leads[name] === null ? "" : view.leads[name][state.lang]);
  // The words of a chart of the page come with its data, in both languages.
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
      // The policy of the page forbids eval; the interpreter does without.
      ast: true,
      formatLocale: state.lang === "nl"
        ? { decimal: ",", thousands: ".", grouping: [3], currency: ["€ ", ""] }
        : { decimal: ".", thousands: ",", grouping: [3], currency: ["€", ""] },
      timeFormatLocale: timeLocale(),
      tooltip: (handler, event, item, value) => showTooltip(event, value, options.tooltip),
    }).then((result) => {
      if (token !== asked[kind]) result.finalize();
      else charts[kind].push(result);
      // One picture with one description; the marks inside would be read one by one, without names.
      element.setAttribute("role", "img");
      element.querySelector("svg").setAttribute("aria-hidden", "true");
    });
  }
  function timeLocale() {
    const months = data.months[state.lang];
    const days = Array.from({ length: 7 }, (_, index) =>
      new Intl.DateTimeFormat(LOCALES[state.lang], { weekday: "long", timeZone: "UTC" }).format(Date.UTC(2023, 0, 1 + index))
    );
    return {
      dateTime: "%d-%m-%Y %H:%M", date: "%d-%m-%Y", time: "%H:%M", periods: ["AM", "PM"], days: days,
      shortDays: days.map((name) => name.slice(0, 2)), months: months,
      shortMonths: months.map((name) => (state.lang === "nl" && name === "maart" ? "mrt" : name.slice(0, 3))),
    };
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
    const told = content(value);
    if (!told) return;
    const { title, rows } = told;
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

  // Labels at the end of lines keep a distance and move as little as they can: labels that would touch
  // share their displacement (isotonic regression by pooling).
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

  function fillShares(view) {
    const hasLines = view.lines.length > 0;
    byId("shares").hidden = !hasLines;
    if (!hasLines) return null;
    const basis = view.basis === "r12" ? state.basis : "month";
    byId("basis").hidden = view.basis !== "r12";
    const first = Math.min(...view.lines.map((line) => line[basis].findIndex((value) => value !== null)).filter((index) => index >= 0));
    const months = view.months.slice(first);
    const series = view.lines.map((line) => ({ ...line, values: line[basis].slice(first) }));
    const title = say("shares_chart_" + basis);
    const us = view.lines.length > 8 ? say("shares_selection_us") : "";
    const about = say("shares_selection", { n: Math.min(8, view.lines.length), us: us }) + (view.basis === "r12" ? "" : " " + say("no_r12"));
    byId("shares-lead").replaceChildren(leadOf(view, "shares"));
    byId("shares-caption").replaceChildren(title, make("span", { class: "about" }, about));
    byId("shares-legend").replaceChildren(
      ...series.map((line) => {
        const swatch = make("i");
        swatch.style.background = line.colour;
        return make("li", {}, swatch, country(line.code) + " (" + line.code + ")");
      })
    );
    const yMax = 1.06 * 100 * Math.max(...series.flatMap((line) => line.values));
    const lines = series.flatMap((line) =>
      line.values.map((value, index) => ({ t: instant(months[index]), y: value === null ? null : 100 * value, code: line.code, colour: line.colour }))
    );
    const ends = series
      .map((line) => ({ line: line, last: latest(line.values) }))
      .filter(({ last }) => last !== null)
      .map(({ line, last }) => ({
        t: instant(months[last]),
        y: 100 * line.values[last],
        colour: line.colour,
        label: NARROW.matches ? line.code : country(line.code),
      }));
    spread(ends, (17 * yMax) / data.specs.shares.height, yMax);
    const head = [[say("month"), false], ...series.map((line) => [country(line.code), true])];
    const rows = months.map((text, index) => [month(text), ...series.map((line) => percent(line.values[index], 1))]).reverse();
    behind("shares-table", say("table_behind"), [table(title + ". " + captionOf(view), head, [{ rows: rows }])]);
    return drawOfView("shares-chart", data.specs.shares, { lines: lines, ends: ends, hover: months.map((text) => ({ t: instant(text) })) }, title, view, {
      lead: "shares",
      padding: { left: 0, top: 8, right: 4, bottom: 4 },
      params: { y_max: yMax },
      tooltip: (value) => {
        const index = months.findIndex((text) => instant(text) === Number(value.t));
        return {
          title: periodOf(basis, months[index]),
          rows: series
            .map((line) => [line, line.values[index]])
            .sort((a, b) => (b[1] === null ? -1 : b[1]) - (a[1] === null ? -1 : a[1]))
            .map(([line, value]) => [country(line.code), percentSign(value), line.colour]),
        };
      },
    });
  }

  function fillRanking(view) {
    const newest = view.months[view.months.length - 1];
    const ranked = view.rows.filter((row) => row.kind === "country" && row.rank !== null);
    const others = view.rows.filter((row) => row.kind === "country" && row.rank === null);
    const apart = view.rows.filter((row) => row.kind !== "country");
    const hasCountries = ranked.length > 0;
    byId("ranking-title").replaceChildren(say(hasCountries ? "ranking_title" : "totals_title"));
    const title = hasCountries ? say("ranking_chart", { month: month(newest) }) : say("totals_title") + ", " + month(newest);
    const caption = title + ". " + captionOf(view);
    const digits = millionDigits(view);
    const cells = (row) => [
      row.rank === null ? (row.kind === "country" ? MISSING : "") : String(row.rank),
      country(row.code),
      row.value === null ? MISSING : number(row.value / 1e6, digits),
      percent(row.share),
      row.lower === null ? MISSING : percent(row.lower) + " " + MISSING + " " + percent(row.upper),
      signed(row.change_pp, 1),
      row.growth === null ? MISSING : signed(row.growth, 1) + (row.small_base ? "°" : ""),
      percent(row.r12),
    ];
    const head = ["rank", "destination", "value", "share_pct", "bounds_pct", "change_pp", "growth_pct", "share_r12_pct"].map((key) => [say(key), key !== "destination"]);
    const foot = [];
    if (apart.length) foot.push({ kind: "apart", title: say("apart"), rows: apart.map(cells), nameAt: 1 });
    foot.push({ kind: "total", rows: [["", say("total_row"), number(view.total_eur / 1e6, digits), number(100, 1), "", "", "", ""]], nameAt: 1 });
    const ranking = table(caption, head, [...(hasCountries ? [{ rows: ranked.slice(0, TOP_ROWS).map(cells), nameAt: 1 }] : []), ...foot]);
    byId("ranking-table").replaceChildren(ranking, make("p", { class: "note" }, say("on_year_before")));
    const everyone = [...ranked, ...others];
    byId("ranking-all").hidden = everyone.length <= TOP_ROWS && !view.n_silent;
    behind("ranking-all", say("all_destinations", { n: number(everyone.length, 0) }), [
      table(say("all_destinations", { n: number(everyone.length, 0) }) + ". " + caption, head, [{ rows: everyone.map(cells), nameAt: 1 }, ...foot]),
      ...(view.n_silent ? [make("p", { class: "note" }, say("silent_countries", { n: number(view.n_silent, 0) }))] : []),
    ]);
    const figure = byId("ranking-chart").parentElement;
    figure.hidden = !hasCountries;
    figure.parentElement.classList.toggle("single", !hasCountries);
    byId("ranking-caption").replaceChildren(title);
    if (!hasCountries) return null;
    const bars = ranked.slice(0, TOP_ROWS).map((row) => ({
      label: country(row.code),
      code: row.code,
      share: 100 * row.share,
      lower: 100 * row.lower,
      upper: 100 * row.upper,
      text: percent(row.share),
    }));
    const byCode = new Map(ranked.map((row) => [row.code, row]));
    return drawOfView("ranking-chart", data.specs.ranking, { bars: bars }, title, view, {
      aria: "bars_aria",
      lead: "shares",
      height: 26 * bars.length + 26,
      padding: { left: 0, top: 0, right: 4, bottom: 0 },
      params: { x_max: 1.18 * Math.max(...bars.map((bar) => bar.upper)) },
      tooltip: (value) => {
        const row = byCode.get(value.code);
        return {
          title: country(row.code),
          rows: [
            [say("share_pct"), percent(row.share)],
            [say("bounds_pct"), percent(row.lower) + " " + MISSING + " " + percent(row.upper)],
            [say("value"), number(row.value / 1e6, digits)],
          ],
        };
      },
    });
  }

  const TOPS = { 1: [0, []], 3: [1, [6, 3]], 5: [2, [2, 2]], 10: [3, [8, 2, 2, 2]] };
  const nameOfTop = (n) => (n === "1" ? say("top_1") : say("top_n", { n: n }));

  function fillConcentration(view) {
    const concentration = view.concentration;
    byId("concentration").hidden = !concentration;
    if (!concentration) return [];
    const first = concentration.equivalent.findIndex((value) => value !== null);
    const months = view.months.slice(first);
    const cut = (name) => concentration[name].slice(first);
    const equivalent = cut("equivalent");
    const basis = say("basis_" + concentration.basis);
    const titles = { equivalent: say("equivalent_chart"), tops: say("tops_chart") };
    byId("concentration-lead").replaceChildren(leadOf(view, "concentration"));
    byId("equivalent-caption").replaceChildren(titles.equivalent, make("span", { class: "about" }, basis));
    byId("tops-caption").replaceChildren(titles.tops, make("span", { class: "about" }, basis));
    const tops = Object.entries(TOPS).map(([n, [colour, dash]]) => ({
      n: n, colour: data.palette[colour], dash: dash, values: cut("top" + n),
    }));
    byId("tops-legend").replaceChildren(
      ...tops.map((top) => {
        const swatch = make("i", { class: top.dash.length ? "dash" : "line" });
        swatch.style.setProperty("--c", top.colour);
        return make("li", {}, swatch, nameOfTop(top.n));
      })
    );
    const last = latest(concentration.coverage);
    const coverage = say("coverage", { share: percentSign(concentration.coverage[last]), period: periodOf(concentration.basis, view.months[last]) });
    byId("concentration").querySelector(".source").replaceChildren(sourceOf(view) + " " + say("concentration_note") + " " + coverage);
    const head = [
      [say("month"), false], [titles.equivalent, true], [say("hhi"), true],
      ...tops.map((top) => [nameOfTop(top.n) + ", %", true]), [say("active"), true], [say("coverage_pct"), true],
    ];
    const rows = months.map((text, index) => [
      month(text),
      number(equivalent[index], 2),
      number(cut("hhi")[index], 4),
      ...tops.map((top) => percent(top.values[index])),
      number(cut("active")[index], 0),
      percent(cut("coverage")[index]),
    ]);
    behind("concentration-table", say("table_behind"), [table(titles.equivalent + ", " + basis + ". " + captionOf(view), head, [{ rows: rows.reverse() }])]);
    const hover = months.map((text) => ({ t: instant(text) }));
    const drawOne = (name, datasets, told) =>
      drawOfView(name + "-chart", data.specs[name === "tops" ? "lines" : name], { ...datasets, hover: hover }, titles[name], view, {
        lead: "concentration",
        padding: { left: 0, top: 8, right: 10, bottom: 4 },
        tooltip: (value) => {
          const index = months.findIndex((text) => instant(text) === Number(value.t));
          return { title: periodOf(concentration.basis, months[index]), rows: told(index) };
        },
      });
    const points = equivalent.map((value, index) => ({ t: instant(months[index]), y: value }));
    const lines = tops.flatMap((top) =>
      top.values.map((value, index) => ({ t: instant(months[index]), y: value === null ? null : 100 * value, code: top.n, colour: top.colour, dash: top.dash }))
    );
    return [
      drawOne("equivalent", { lines: points, ends: [points[latest(equivalent)]] }, (index) => [[titles.equivalent, number(equivalent[index], 1)]]),
      drawOne("tops", { lines: lines }, (index) => tops.map((top) => [nameOfTop(top.n), percentSign(top.values[index]), top.colour])),
    ];
  }

  // State: language and view live in the address, so that a link shows what its sender saw.

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
    fillCaption(view);
    fillHeadlines(view);
    fillNotices(view);
    const work = [fillShares(view), fillRanking(view), ...fillConcentration(view)];
    // The charts of the page are the same for every view.
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
    // A link to a section is no change of view.
    if (state.lang + state.key !== before) show();
  });

  // Paper: the widths of the screen are not its own, so charts are drawn again before the page is laid out, and
  // every fold is opened.

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
