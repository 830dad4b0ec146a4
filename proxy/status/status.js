// Fetches /status.json every few seconds and shows it. Whatever came from a
// client becomes text, never markup: only textContent and attributes are set.
"use strict";

const kRefreshMs = 5000;
const kSvg = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);

function say(id, text) {
  byId(id).textContent = text;
}

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

// --- words -------------------------------------------------------------------

function count(n) {
  return Number(n).toLocaleString("en");
}

function amount(n, word) {
  return count(n) + " " + word + (n === 1 ? "" : "s");
}

function percent(part, whole) {
  if (whole === 0) return "0 %";
  const value = (100 * part) / whole;
  return (value > 0 && value < 1 ? "< 1" : String(Math.round(value))) + " %";
}

function duration(ms) {
  if (ms === 0) return "0";
  if (ms < 10) return ms.toFixed(1) + " ms";
  if (ms < 1000) return Math.round(ms) + " ms";
  return (ms / 1000).toFixed(ms < 10000 ? 1 : 0) + " s";
}

function lasting(seconds) {
  if (seconds < 120) return amount(Math.round(seconds), "second");
  if (seconds < 7200) return amount(Math.round(seconds / 60), "minute");
  if (seconds < 172800) return amount(Math.round(seconds / 3600), "hour");
  return amount(Math.round(seconds / 86400), "day");
}

function ago(seconds) {
  if (seconds < 10) return "now";
  if (seconds < 120) return Math.round(seconds) + " s ago";
  if (seconds < 7200) return Math.round(seconds / 60) + " min ago";
  if (seconds < 172800) return Math.round(seconds / 3600) + " h ago";
  return lasting(seconds) + " ago";
}

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], {
    hour: "2-digit",
    minute: "2-digit",
    hour12: false,
  });
}

// --- parts -------------------------------------------------------------------

// `columns`: [name, class]; `rows`: arrays of text, or of [text, class]. What is
// `wide` becomes a card per row where there is no room for it.
function table(id, columns, rows, nothing, wide) {
  const target = byId(id);
  target.className = wide ? "cards" : "";
  const head = make("tr");
  for (const [name, kind] of columns) head.append(make("th", name, kind));
  const lines = rows.map((row) => {
    const line = make("tr");
    row.forEach((cell, i) => {
      const [text, kind] = Array.isArray(cell) ? cell : [cell, ""];
      const zero = text === "0" ? "zero" : "";
      const kinds = [columns[i][1], kind, zero].filter(Boolean).join(" ");
      const field = make("td", text, kinds);
      field.dataset.name = columns[i][0];
      line.append(field);
    });
    return line;
  });
  if (rows.length === 0) {
    const line = make("tr");
    const cell = make("td", nothing, "empty");
    cell.colSpan = columns.length;
    line.append(cell);
    target.replaceChildren(line);
    target.className = "";
    return;
  }
  target.replaceChildren(head, ...lines);
}

// `counts`: {name: number}; the largest first, the rest together.
function bars(id, counts, isWeak, most) {
  const target = byId(id);
  const all = Object.entries(counts).filter(([, n]) => n > 0);
  const total = all.reduce((sum, [, n]) => sum + n, 0);
  all.sort((a, b) => b[1] - a[1]);
  // One that is left over is as short as the word for it.
  if (all.length === most + 1) most = all.length;
  const shown = all.slice(0, most);
  const rest = all.slice(most).reduce((sum, [, n]) => sum + n, 0);
  if (rest > 0) shown.push([all.length - most + " others", rest]);
  target.replaceChildren(
    ...shown.map(([name, n]) => {
      const row = make("div", undefined, isWeak(name) ? "weak" : "");
      row.append(make("dt", name));
      row.append(make("dd", count(n) + " · " + percent(n, total)));
      const track = make("dd", undefined, "track");
      const fill = make("div", undefined, "fill");
      fill.style.width = Math.max(1, (100 * n) / total) + "%";
      track.append(fill);
      row.append(track);
      return row;
    })
  );
  if (shown.length === 0) target.append(make("p", "nothing yet", "note"));
}

// --- charts ------------------------------------------------------------------

const kWide = 600;
const kHigh = 150;
const kLeft = 44;
const kBottom = 20;

function draw(tag, attributes, text) {
  const element = document.createElementNS(kSvg, tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, String(value));
  }
  if (text !== undefined) element.textContent = text;
  return element;
}

function roundUp(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= value);
}

// An empty chart with its scales, and where a value belongs in it.
function scales(width, top, format, history, title) {
  const svg = draw("svg", {
    viewBox: "0 0 " + width + " " + kHigh,
    role: "img",
    "aria-label": title,
  });
  const y = (value) => 6 + (kHigh - kBottom - 6) * (1 - value / top);
  for (const part of [0, 0.5, 1]) {
    const at = y(part * top);
    svg.append(draw("line", { class: "grid", x1: kLeft, x2: width, y1: at, y2: at }));
    svg.append(
      draw("text", { x: kLeft - 6, y: at + 4, "text-anchor": "end" }, format(part * top))
    );
  }
  const span = history.samples * history.interval;
  const x = (i) => {
    const missing = history.samples - history.messages.length;
    return kLeft + ((width - kLeft) * (missing + i)) / history.samples;
  };
  for (const part of width < 450 ? [0.5, 1] : [0.25, 0.5, 0.75, 1]) {
    const label = clock(history.end - span * (1 - part));
    const anchor = part === 1 ? "end" : "middle";
    const at = kLeft + (width - kLeft) * part;
    svg.append(draw("text", { x: at, y: kHigh - 4, "text-anchor": anchor }, label));
  }
  return { svg, x, y };
}

// The samples minute by minute, the last one first.
function minutesOf(history) {
  const step = Math.max(1, Math.round(60 / history.interval));
  const minutes = [];
  for (let i = history.messages.length; i > 0; i -= step) {
    const from = Math.max(0, i - step);
    const sum = (values) => values.slice(from, i).reduce((a, b) => a + b, 0);
    const measured = history.p50_ms.slice(from, i).filter((v) => v > 0);
    minutes.push({
      from,
      to: i,
      good: sum(history.messages),
      bad: sum(history.refused),
      half: measured.length === 0 ? 0 : measured.reduce((a, b) => a + b, 0) / measured.length,
      most: Math.max(0, ...history.p95_ms.slice(from, i)),
    });
  }
  return minutes;
}

function trafficChart(history) {
  const width = Math.max(280, byId("traffic").clientWidth || kWide);
  const minutes = minutesOf(history);
  const top = roundUp(Math.max(1, ...minutes.map((m) => m.good + m.bad)));
  const last = minutes[0] || { good: 0, bad: 0 };
  const title = "last minute: " + last.good + " accepted, " + last.bad + " refused";
  const chart = scales(width, top, (v) => (Number.isInteger(v) ? count(v) : ""), history, title);
  for (const minute of minutes) {
    const left = chart.x(minute.from);
    const wide = Math.max(1, chart.x(minute.to) - left - 1.5);
    const bar = (kind, from, to) => {
      if (to === from) return;
      const high = Math.max(1, chart.y(from) - chart.y(to));
      chart.svg.append(
        draw("rect", { class: kind, x: left, y: chart.y(from) - high, width: wide, height: high })
      );
    };
    bar("b1", 0, minute.good);
    bar("b2", minute.good, minute.good + minute.bad);
  }
  byId("traffic").replaceChildren(chart.svg);
}

function latencyChart(history) {
  const width = Math.max(280, byId("latency").clientWidth || kWide);
  const minutes = minutesOf(history).reverse();
  const top = roundUp(Math.max(10, ...minutes.map((m) => m.most)));
  const chart = scales(width, top, duration, history, "time of a message, last hour");
  const line = (name, kind) => {
    // Where there was no message there is no time: the line has a gap.
    let path = "";
    let drawn = false;
    minutes.forEach((minute, i) => {
      const value = minute[name];
      if (value > 0) {
        const at = chart.x((minute.from + minute.to) / 2).toFixed(1) + " " + chart.y(value).toFixed(1);
        path += (drawn ? "L" : "M") + at;
        const alone = !drawn && !(i + 1 < minutes.length && minutes[i + 1][name] > 0);
        if (alone) {
          const [cx, cy] = at.split(" ");
          chart.svg.append(draw("circle", { class: "d" + kind, cx, cy, r: 1.5 }));
        }
      }
      drawn = value > 0;
    });
    chart.svg.append(draw("path", { class: "l" + kind, d: path || "M0 0" }));
  };
  line("most", 3);
  line("half", 1);
  byId("latency").replaceChildren(chart.svg);
}

// --- the page ----------------------------------------------------------------

function notices(status) {
  const list = [];
  const add = (text, bad) => list.push(make("li", text, bad ? "bad" : ""));
  for (const backend of status.backends) {
    if (!backend.up) add("Backend " + backend.address + " is not reached.", true);
  }
  for (const certificate of status.certificates) {
    const days = Math.floor((certificate.not_after - status.now) / 86400);
    if (days < 0) add("The certificate " + certificate.name + " has expired.", true);
    else if (days < 14) add("The certificate " + certificate.name + " ends in " + amount(days, "day") + ".", days < 7);
  }
  if (!status.reload_successful) add("Certificates could not be loaded again; the old ones are served. The log says why.", true);
  if (status.workers_silent > 0) add(amount(status.workers_silent, "worker") + " do not answer.", true);
  const seen = status.watch;
  if (seen.outcomes_unknown > 0) add(amount(seen.outcomes_unknown, "message") + " with an unknown outcome: the backend was lost behind the final dot.", false);
  if (seen.xclients_refused > 0) add(amount(seen.xclients_refused, "identity").replace("identitys", "identities") + " refused by a backend (XCLIENT).", false);
  if (seen.starttls_injections > 0) add(amount(seen.starttls_injections, "client") + " sent plaintext behind STARTTLS; it was dropped.", false);
  if (seen.smuggling_attempts > 0) add(amount(seen.smuggling_attempts, "message") + " with bare line ends or NULs.", false);
  if (seen.log_lines_dropped > 0) add(amount(seen.log_lines_dropped, "log line") + " dropped: the log is too slow.", false);
  for (const [limit, n] of Object.entries(status.limits)) {
    add(limit + " was reached " + amount(n, "time") + " in the last hour.", false);
  }
  // The sort is stable: what is bad comes first.
  list.sort((a, b) => (b.className === "bad") - (a.className === "bad"));
  byId("notices").replaceChildren(...list);
}

function figures(status) {
  const history = status.history;
  const step = Math.max(1, Math.round(60 / history.interval));
  const sum = (values) => values.slice(-step).reduce((a, b) => a + b, 0);
  say("rate", count(sum(history.messages)));
  say("rate-note", count(sum(history.refused)) + " refused in the last minute");
  say("clients", count(status.clients.open));
  say("clients-note", "of " + count(status.clients.max) + " at most");
  const pool = status.pool;
  say("pool", count(pool.lent));
  say("pool-note", "at work, " + count(pool.idle) + " idle, of " + count(pool.max) +
    (pool.waiting > 0 ? "; " + amount(pool.waiting, "client") + " waiting" : ""));
  const message = status.phases_last_5_minutes.message;
  say("time", message.count > 0 ? duration(message.p50_ms) : "–");
  say("time-note", message.count > 0
    ? "95 of 100 below " + duration(message.p95_ms)
    : "no message in five minutes");
}

const kOld = ["none", "TLSv1", "TLSv1.1"];

function tls(status) {
  bars("tls-messages", status.tls.messages, (name) => kOld.includes(name), 6);
  const all = status.tls.handshakes;
  say("handshakes", all.ok === 0
    ? "none yet"
    : count(all.ok) + " completed, " + percent(all.resumed, all.ok) + " of them resumed; " + count(all.failed) + " failed");
  if (all.failed > 0) bars("tls-failures", status.tls.failures, () => true, 6);
  else byId("tls-failures").replaceChildren();
  bars("tls-ciphers", status.tls.ciphers, () => false, 6);
  bars("tls-groups", status.tls.groups, () => false, 5);
}

function senders(status) {
  const report = status.tls_report;
  const old = (sender) => [
    ["no TLS", sender.messages.none],
    ["TLS 1.0", sender.messages["TLSv1"]],
    ["TLS 1.1", sender.messages["TLSv1.1"]],
  ];
  say("weak-note", report.weak_senders === 0
    ? "Nobody since " + clock(report.since) + ", of " + amount(report.senders_known, "sender") + "."
    : amount(report.weak_senders, "sender") + " of " + count(report.senders_known) + ", in the " + lasting(status.now - report.since) + " since the start. Messages by how they came, then sessions like that (with mail or without) and failed handshakes:");
  table(
    "weak",
    [["network"], ["HELO"], ["no TLS", "n"], ["TLS 1.0", "n"], ["TLS 1.1", "n"], ["sessions", "n"], ["failed", "n"], ["last seen", "keep"]],
    report.weak.map((sender) => [
      [sender.network, "keep"],
      sender.helo || "–",
      ...old(sender).map(([, n]) => count(n)),
      count(sender.weak_sessions),
      count(sender.failed_handshakes),
      ago(status.now - sender.last_seen),
    ]),
    "All mail came in TLS 1.2 or newer.",
    true
  );
  table(
    "what-if",
    [["setting"], ["messages", "n"], ["senders", "n"], ["cut off", "n"]],
    report.what_if.map((row) => [
      row.setting,
      count(row.messages_refused),
      count(row.senders),
      count(row.senders_cut_off),
    ]),
    "",
    true
  );
  table(
    "talkers",
    [["network"], ["HELO"], ["messages", "n"], ["sessions", "n"]],
    report.talkers.map((sender) => [
      [sender.network, "keep"],
      sender.helo || "–",
      count(sender.all_messages),
      count(sender.all_sessions),
    ]),
    "Nobody has sent anything yet."
  );
}

function lists(status) {
  table(
    "backends",
    [["address"], ["state"], ["open", "n"], ["at work", "n"], ["idle", "n"]],
    status.backends.map((backend) => [
      backend.address,
      backend.up ? ["up", "good"] : ["down", "bad"],
      count(backend.open),
      count(backend.lent),
      count(backend.idle),
    ]),
    "There is none."
  );
  const pool = status.pool;
  say("reuse", pool.leases === 0
    ? ""
    : amount(pool.leases, "transaction") + " over " + amount(pool.connects, "connection") + "; " + percent(pool.reused, pool.leases) + " on one that was there already.");
  table(
    "certificates",
    [["name"], ["key"], ["ends"], ["days left", "n"]],
    status.certificates.map((certificate) => {
      const days = Math.floor((certificate.not_after - status.now) / 86400);
      const kind = days < 7 ? "bad" : days < 14 ? "warn" : "";
      const date = new Date(certificate.not_after * 1000).toISOString().slice(0, 10);
      return [certificate.name || "–", certificate.key, [date, "keep"], [count(days), kind]];
    }),
    "None is served: there is no TLS for clients.",
    true
  );
  const names = {
    handshake: "TLS handshake",
    backend_connect: "opening a backend connection",
    backend_wait: "wait for a backend connection",
    backend_mail: "backend's reply to MAIL",
    backend_rcpt: "… to RCPT",
    backend_data: "… to DATA",
    backend_message: "… to the end of the message",
    backend_bdat: "… to BDAT",
    message: "the whole message",
  };
  table(
    "phases",
    [["part"], ["half below", "n"], ["95 of 100 below", "n"], ["times", "n"]],
    Object.entries(status.phases_last_hour)
      .filter(([, part]) => part.count > 0)
      .map(([name, part]) => [names[name] || name, duration(part.p50_ms), duration(part.p95_ms), count(part.count)]),
    "Nothing was measured yet."
  );
  table(
    "refusals",
    [["when", "keep"], ["client", "keep"], ["HELO", "name-cell"], ["command"], ["reply"]],
    status.refusals.map((refusal) => [
      ago(status.now - refusal.time),
      refusal.client,
      refusal.helo || "–",
      refusal.command || "–",
      refusal.reply,
    ]),
    "None yet.",
    true
  );
}

let shown = null;

function show(status) {
  shown = status;
  status.history.end ||= status.now;
  document.body.classList.remove("stale");
  document.title = status.state === "ready" ? "tlspost" : status.state + " – tlspost";
  say("host", status.hostname);
  say("state", status.state);
  byId("state").className = "pill " + (status.state === "ready" ? "good" : status.state === "draining" ? "warn" : "bad");
  say("about", "tlspost " + status.version + ", " + status.io_engine + ", " + amount(status.workers, "worker") + ", up for " + lasting(status.now - status.started));
  notices(status);
  figures(status);
  trafficChart(status.history);
  latencyChart(status.history);
  tls(status);
  senders(status);
  lists(status);
  document.body.dataset.shown = String(status.now);
}

async function refresh() {
  try {
    const reply = await fetch("/status.json", { cache: "no-store" });
    if (!reply.ok) throw new Error(reply.status);
    show(await reply.json());
  } catch (error) {
    document.body.classList.add("stale");
    say("state", "no answer");
    byId("state").className = "pill bad";
  }
  setTimeout(refresh, kRefreshMs);
}

addEventListener("resize", () => {
  if (shown === null) return;
  trafficChart(shown.history);
  latencyChart(shown.history);
});
refresh();
