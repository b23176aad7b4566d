// The agent's page. It believes the server: the first message of a connection
// is a snapshot of all cards, what follows changes it. A card has an expiry, so
// that a tab which hears nothing more falls silent by itself.
"use strict";
(function () {
  const $ = (id) => document.getElementById(id);
  const S = JSON.parse($("strings").textContent);
  const body = document.body;
  const csrf = document.querySelector('meta[name="csrf"]').content;
  const ownExtension = body.dataset.extension;
  const t = (key, values) => (S[key] || key).replace(/\{(\w+)\}/g, (_, k) => values && values[k] !== undefined ? values[k] : "");
  const saved = {
    get(k) { try { return localStorage.getItem(k); } catch (_) { return null; } },
    set(k, v) { try { localStorage.setItem(k, v); } catch (_) { /* private window */ } },
  };

  // ---- small helpers -------------------------------------------------------

  function el(tag, attrs, ...children) {
    const e = document.createElement(tag);
    for (const [k, v] of Object.entries(attrs || {})) {
      if (v === undefined || v === null || v === false) continue;
      if (k === "class") e.className = v;
      else if (k === "text") e.textContent = v;
      else if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
      else e.setAttribute(k, v === true ? "" : v);
    }
    for (const c of children.flat()) if (c !== null && c !== undefined && c !== false && c !== "") e.append(c);
    return e;
  }
  function icon(name) {
    const ns = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(ns, "svg");
    svg.setAttribute("class", "i");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS(ns, "use");
    use.setAttribute("href", body.dataset.sprite + "#" + name);
    svg.append(use);
    return svg;
  }
  function setIcon(button, name) { button.querySelector("use").setAttribute("href", body.dataset.sprite + "#" + name); }
  function randomId() {
    const b = crypto.getRandomValues(new Uint8Array(16)); // randomUUID needs https
    return Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
  }
  function length(ms) {
    const n = Math.max(0, Math.floor(ms / 1000));
    const s = String(n % 60).padStart(2, "0");
    return n >= 3600 ? Math.floor(n / 3600) + ":" + String(Math.floor(n / 60) % 60).padStart(2, "0") + ":" + s : Math.floor(n / 60) + ":" + s;
  }
  // One zone a page, the server's: the lists it rendered are in it too.
  const zone = { timeZone: body.dataset.zone || undefined };
  const dayOf = (d) => d.toLocaleDateString("en-CA", zone);
  function when(iso) {
    const d = new Date(iso), now = new Date(now_()), lang = body.dataset.lang;
    const clock = d.toLocaleTimeString(lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...zone });
    if (dayOf(d) === dayOf(now)) return clock;
    now.setTime(now.getTime() - 864e5);
    if (dayOf(d) === dayOf(now)) return t("yesterday") + ", " + clock;
    return d.toLocaleDateString(lang, { day: "numeric", month: "short", ...zone });
  }
  function safe(url) { return typeof url === "string" && /^https?:\/\//i.test(url) ? url : ""; }
  function person(p) { return p.name || p.extension; }
  function people(list) { return list.map(person).join(", "); }
  let toastTimer = 0;
  function toast(text) {
    $("toast").textContent = text;
    $("toast").classList.add("on");
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => $("toast").classList.remove("on"), 2500);
  }

  // ---- the server's clock --------------------------------------------------

  // A message cannot arrive before it was sent, so of the latest differences
  // the largest is nearest to the truth.
  let offsets = [];
  function heard(now) {
    offsets.push(now - Date.now());
    if (offsets.length > 8) offsets.shift();
  }
  function now_() { return Date.now() + (offsets.length ? Math.max(...offsets) : 0); }

  // ---- cards ---------------------------------------------------------------

  const cards = new Map(); // id → {data, node, ended}
  const confirmed = new Set();
  const ENDED_FOR = 45000; // a finished talk stays this long, for a last look

  function title(c) {
    const k = known(c);
    if (k && k.name) return k.name;
    if (c.direction === "internal") return c.from ? person(c.from) : c.to || c.client_text || c.extension;
    return c.client_name || c.client_text || t("hidden");
  }
  function known(c) { return c.info && c.info.clients && c.info.clients.find((k) => k.found); }

  // calls says that somebody calls the agent. With a click-to-call his own
  // phone rings too, but there he is the caller.
  function calls(c) { return c.state === "ringing" && c.direction !== "out"; }

  function render(entry) {
    const c = entry.data, k = known(c), clients = (c.info && c.info.clients) || [];
    const state = entry.ended ? "ended" : c.state;
    const says = entry.ended ? S["reason." + entry.reason] || t("ended") : c.state === "ringing" && c.direction === "out" ? t("pickup") : t(c.state);
    const focused = document.activeElement && entry.node && entry.node.contains(document.activeElement) ? document.activeElement : null;
    const open = focused ? focused.dataset.key : null;
    const typed = focused && focused.selectionStart !== undefined ? [focused.selectionStart, focused.selectionEnd] : null;
    entry.redraw = () => { if (cards.get(c.id) === entry) render(entry); };
    const node = el("article", { class: "card " + state, "data-id": c.id, "data-nav": true, tabindex: "-1", "aria-label": says + ": " + title(c) });

    const route = c.direction === "internal" ? t("colleague") : t(c.direction);
    node.append(el("header", {},
      el("span", { class: "pill" }, el("i"), says),
      el("span", { class: "route" }, route),
      el("time", { class: "timer", role: "timer" })));

    const heading = title(c), copyable = c.client || c.client_text;
    const number = c.client_text && el("button", { class: "number", type: "button", title: t("copy"), "aria-label": t("copy") + ": " + c.client_text, "data-key": "copy", onclick: () => copy(copyable) },
      heading !== c.client_text && c.client_text, icon("copy"));
    const fresh = !k && clients.length > 0 && clients.every((x) => !x.trouble) && c.direction !== "internal" && el("span", { class: "tag new" }, t("new_client"));
    node.append(el("div", { class: "who" },
      el("div", { class: "name" }, el("h2", {}, heading), heading === c.client_text && number, heading === c.client_text && fresh),
      k && k.company && el("p", { class: "company" }, k.company),
      heading !== c.client_text && (number || fresh) && el("p", { class: "sub" }, number, fresh)));

    if (c.from && c.direction !== "internal") node.append(note("", t("from", { who: person(c.from) })));
    if (c.busy && c.busy.length) node.append(note("warn", t("busy", { who: people(c.busy) })));
    for (const x of clients) {
      if (x.several > 1) node.append(several(x));
      if (x.trouble) node.append(note("", t(x.found ? "stale" : "trouble", { crm: x.title || x.integration })));
    }

    const facts = el("dl", { class: "facts" });
    const fact = (name, value, extra) => value && facts.append(el("div", {}, el("dt", {}, name), el("dd", {}, value, extra && el("small", {}, extra))));
    const info = c.info || {};
    fact(t("line"), info.line_name || c.line_text || c.line, info.line_name && c.line_text);
    const src = info.source || {};
    fact(t("source"), [src.utm_source, src.utm_medium, src.utm_campaign].filter(Boolean).join(" / "));
    fact(t("queue"), c.queue);
    if (k && k.responsible) {
      const mine = ownExtension && k.responsible_extension === ownExtension;
      fact(t("responsible"), k.responsible, mine ? t("you") : k.responsible_extension);
    }
    if (c.also_talks) fact(t("also_talks"), people(c.also_talks));
    if (c.also_rings) fact(t("also_rings"), people(c.also_rings));
    if (facts.children.length) node.append(facts);

    const deals = clients.flatMap((x) => x.deals || []);
    const last = info.last_calls || [];
    if (deals.length || last.length) {
      const more = el("div", { class: "more" });
      if (deals.length) {
        more.append(el("section", {}, el("h3", {}, t("deals")), el("ul", {}, deals.slice(0, 4).map((d) => el("li", {},
          safe(d.url) ? el("a", { href: d.url, target: "_blank", rel: "noopener noreferrer" }, d.name) : el("span", {}, d.name),
          d.stage && el("span", { class: "tag" }, d.stage), d.sum ? el("b", {}, money(d)) : null)))));
      }
      if (last.length) {
        more.append(el("section", {}, el("h3", {}, t("last")), el("ul", {}, last.slice(0, 4).map((x) => el("li", { class: x.outcome === "missed" ? "missed" : "" },
          icon(x.outcome === "answered" ? (x.direction === "out" ? "out" : "in") : x.outcome === "missed" ? "missed" : "failed"),
          el("span", {}, when(x.at)), el("span", { class: "muted" }, x.outcome === "answered" ? [x.person, x.talk_ms ? length(x.talk_ms) : ""].filter(Boolean).join(" · ") : t(x.outcome)))))));
      }
      node.append(more);
    }

    const actions = el("footer", {});
    actions.append(...desk.controls(entry));
    let first = true;
    for (const x of clients) {
      if (!x.found || !safe(x.url)) continue;
      actions.append(el("a", { class: first ? "button primary open" : "button", href: x.url, target: "_blank", rel: "noopener noreferrer", "data-key": "open-" + x.integration },
        icon("open"), t("open", { crm: x.title || x.integration })));
      first = false;
    }
    if (entry.ended && c.client && $("dial")) actions.append(el("button", { class: "button", type: "button", "data-key": "call", onclick: () => dial(c.client) }, icon("phone"), t("callback")));
    if (entry.ended) actions.append(el("button", { class: "button", type: "button", "data-key": "close", onclick: () => remove(c.id) }, icon("close"), t("close")));
    if (actions.children.length) node.append(actions);
    for (const part of [desk.sendOn(entry), desk.writing(entry)]) if (part) node.append(part);

    if (entry.node) entry.node.replaceWith(node);
    else $("cards").append(node);
    if (entry.shown) node.classList.add("still"); // only a new card slides in
    entry.shown = true;
    entry.node = node;
    if (open) {
      const again = node.querySelector('[data-key="' + CSS.escape(open) + '"]');
      if (again) again.focus();
      if (again && typed && again.setSelectionRange && again.tagName === "TEXTAREA") again.setSelectionRange(typed[0], typed[1]);
    }
    tick(entry);
  }
  // several lists the other clients with the number; the agent may know better.
  function several(x) {
    const box = el("div", { class: "note warn several" }, el("p", {}, t("several", { n: x.several })));
    if (x.others && x.others.length) {
      box.append(el("ul", {}, x.others.map((o) => el("li", {},
        safe(o.url) ? el("a", { href: o.url, target: "_blank", rel: "noopener noreferrer" }, o.name || o.company || t("unnamed")) : el("span", {}, o.name || o.company || t("unnamed")),
        o.company && o.company !== o.name && el("span", {}, " · " + o.company), o.responsible && el("span", { class: "muted" }, " · " + o.responsible)))));
    }
    return box;
  }
  function note(kind, text) { return el("p", { class: "note " + kind }, text); }
  function money(d) {
    try {
      return new Intl.NumberFormat(body.dataset.lang, d.currency ? { style: "currency", currency: d.currency, maximumFractionDigits: 0 } : { maximumFractionDigits: 0 }).format(d.sum);
    } catch (_) { return String(d.sum); }
  }
  function tick(entry) {
    const c = entry.data, timer = entry.node.querySelector(".timer");
    const from = Date.parse(c.since || c.started_at);
    timer.textContent = from ? length((entry.ended || now_()) - from) : "";
  }

  function put(c, quiet) {
    let entry = cards.get(c.id);
    const before = entry && !entry.ended ? entry.data.state : null;
    if (!entry) { entry = { data: c }; cards.set(c.id, entry); }
    entry.data = c;
    entry.ended = 0;
    render(entry);
    if (calls(c) && before !== "ringing") {
      $("announce").textContent = t("announce_ring", { who: title(c) });
      if (!quiet) notify(c);
    }
    confirm(c);
    refresh();
  }
  function gone(id, why, reason) {
    const entry = cards.get(id);
    if (!entry || entry.ended) return;
    if (why === "ended" || writes(entry)) {
      entry.ended = now_();
      entry.reason = reason;
      render(entry);
    } else remove(id);
    if (S["announce_" + words[why]]) $("announce").textContent = t("announce_" + words[why]);
    refresh();
    recentSoon();
  }
  // writes says that the agent is writing on the card: it must not go under his hands.
  function writes(entry) { return !!(entry.desk && entry.desk.typed()); }
  const words = { answered_elsewhere: "elsewhere", missed: "missed", ended: "ended" };
  function remove(id) {
    const entry = cards.get(id);
    if (!entry) return;
    cards.delete(id);
    if (entry.node.contains(document.activeElement)) $("cards").focus({ preventScroll: true });
    entry.node.remove();
    refresh();
  }

  // confirm tells the server when the card was really on the screen.
  function confirm(c) {
    const key = c.id + c.state;
    if (confirmed.has(key)) return;
    confirmed.add(key);
    if (confirmed.size > 500) confirmed.clear();
    const said = () => {
      if (!socket || socket.readyState !== WebSocket.OPEN) return;
      const began = c.arrived_at || lastNow;
      socket.send(JSON.stringify({ type: "shown", id: c.id, ms: Math.max(0, Math.round(now_() - began)), visible: !document.hidden }));
    };
    // A frame is painted after the second callback; hidden tabs paint none.
    if (document.hidden) setTimeout(said, 0);
    else requestAnimationFrame(() => setTimeout(said, 0));
  }

  // refresh brings everything around the cards in line with them.
  function refresh() {
    const live = [...cards.values()].filter((e) => !e.ended);
    const ringing = live.filter((e) => calls(e.data));
    $("quiet").hidden = cards.size > 0;
    body.classList.toggle("busy", cards.size > 0);
    // What rings stands first, then talks, then what is over.
    const rank = { ringing: 0, talking: 1, held: 1, dialling: 1 };
    const sorted = [...cards.values()].sort((a, b) => (a.ended ? 9 : rank[a.data.state]) - (b.ended ? 9 : rank[b.data.state]));
    let at = $("quiet");
    for (const e of sorted) {
      if (at.nextElementSibling !== e.node) at.after(e.node);
      at = e.node;
    }
    document.title = ringing.length ? "● " + t("calls_title", { who: title(ringing[0].data) }) : plainTitle;
    const want = ringing.length ? "/static/icon-ring.svg" : "/static/icon.svg";
    if ($("icon").getAttribute("href") !== want) $("icon").setAttribute("href", want);
    for (const [id, n] of notes) if (!ringing.some((e) => e.data.id === id)) { n.close(); notes.delete(id); }
    ring(ringing.length > 0);
  }
  const plainTitle = document.title;

  // sweep hides what has run out. It runs every second, and at once when a
  // frozen or sleeping tab wakes up.
  function sweep() {
    const now = now_();
    for (const [id, e] of cards) {
      if (e.ended && writes(e)) e.kept = now;
      else if (e.ended ? now - Math.max(e.ended, e.kept || 0) > ENDED_FOR : now >= e.data.expires_at) { if (writes(e)) gone(id, "ended"); else remove(id); }
      else tick(e);
    }
  }
  setInterval(sweep, 1000);
  for (const ev of ["visibilitychange", "resume"]) document.addEventListener(ev, sweep);
  addEventListener("pageshow", sweep);

  // ---- the socket ----------------------------------------------------------

  let socket = null, attempt = 0, lastHeard = 0, lastNow = 0, reconnectTimer = 0;
  function link(state) {
    $("link").dataset.state = state;
    $("link-text").textContent = t(state);
    body.classList.toggle("cut", state === "offline");
  }
  function connect() {
    clearTimeout(reconnectTimer);
    const s = new WebSocket((location.protocol === "https:" ? "wss://" : "ws://") + location.host + "/api/v1/cards");
    socket = s;
    let opened = false;
    s.onopen = () => { opened = true; offsets = []; lastHeard = Date.now(); };
    s.onmessage = (e) => {
      const m = JSON.parse(e.data);
      lastHeard = Date.now();
      lastNow = m.now;
      heard(m.now);
      receive(m);
    };
    s.onclose = (e) => {
      if (socket !== s) return;
      socket = null;
      if (attempt > 0 || e.code !== 4001) link(attempt > 1 ? "offline" : "connecting");
      attempt++;
      // All agents come back within ten seconds after a restart, but not in
      // the same instant.
      const wait = e.code === 4001 ? 100 + Math.random() * 400 : Math.min(8000, 500 * 2 ** Math.min(attempt, 4)) * (0.3 + 0.7 * Math.random());
      reconnectTimer = setTimeout(connect, wait);
      if (!opened || e.code === 1008) stillSignedIn();
    };
  }
  async function stillSignedIn() {
    try {
      const r = await fetch("/api/v1/me");
      if (r.status === 401) location.reload();
    } catch (_) { /* the server is away; the socket tries again */ }
  }
  function receive(m) {
    switch (m.type) {
      case "snapshot": {
        const first = attempt === 0;
        attempt = 0;
        link("online");
        const here = new Set(m.cards.map((c) => c.id));
        for (const [id, e] of cards) if (!e.ended && !here.has(id)) { if (writes(e)) gone(id, "ended"); else remove(id); }
        for (const c of m.cards) put(c, false);
        showDND(m.dnd);
        refresh();
        if (!first) recentSoon();
        break;
      }
      case "card": put(m.card, false); break;
      case "gone": gone(m.id, m.why, m.reason); break;
      case "keep": { const e = cards.get(m.id); if (e) e.data.expires_at = m.expires_at; break; }
      case "state": showDND(m.dnd); break;
      case "recent": case "missed": recentSoon(); break;
    }
  }
  // A line that died without a word: no tick for two periods.
  setInterval(() => {
    if (socket && socket.readyState === WebSocket.OPEN && Date.now() - lastHeard > 45000) socket.close();
  }, 5000);
  addEventListener("online", () => { if (!socket) connect(); });

  // ---- telling the agent ---------------------------------------------------

  const notes = new Map();
  function notify(c) {
    if (!("Notification" in window) || Notification.permission !== "granted" || !document.hidden && document.hasFocus()) return;
    try {
      const n = new Notification(title(c), { body: [c.client_text, c.info && c.info.line_name].filter(Boolean).join(" · "), tag: c.id, icon: "/static/icon-ring.svg", silent: true });
      n.onclick = () => { window.focus(); n.close(); };
      notes.set(c.id, n);
    } catch (_) { /* phones allow them to service workers only */ }
  }
  function notifyButton() {
    $("notify").hidden = !("Notification" in window) || !isSecureContext || Notification.permission !== "default";
  }
  $("notify").addEventListener("click", async () => {
    const p = await Notification.requestPermission();
    toast(t(p === "granted" ? "notify_on" : "notify_denied"));
    notifyButton();
  });

  let sound = saved.get("sound") === "on", audio = null, ringTimer = 0;
  // Of several tabs one makes the sound: whoever was first in this round.
  const me = randomId();
  function mine() {
    const [who, at] = (saved.get("chimed") || "").split(" ");
    if (who && who !== me && Date.now() - Number(at) < 2800 && Date.now() >= Number(at)) return false;
    saved.set("chimed", me + " " + Date.now());
    return true;
  }
  addEventListener("storage", (e) => {
    if (e.key === "sound") { sound = e.newValue === "on"; showSound(); refresh(); }
  });
  function ring(on) {
    if (!on || !sound) { clearInterval(ringTimer); ringTimer = 0; return; }
    if (ringTimer) return;
    const round = () => { if (mine()) chime(); };
    round();
    ringTimer = setInterval(round, 3000);
  }
  function chime() {
    try {
      audio = audio || new AudioContext();
      if (audio.state === "suspended") audio.resume();
      for (const [at, hz] of [[0, 587], [0.18, 784]]) {
        const o = audio.createOscillator(), g = audio.createGain(), from = audio.currentTime + at;
        o.frequency.value = hz;
        g.gain.setValueAtTime(0, from);
        g.gain.linearRampToValueAtTime(0.12, from + 0.02);
        g.gain.exponentialRampToValueAtTime(0.001, from + 0.5);
        o.connect(g).connect(audio.destination);
        o.start(from);
        o.stop(from + 0.55);
      }
    } catch (_) { /* no sound device */ }
  }
  function showSound() {
    $("sound").setAttribute("aria-pressed", String(sound));
    setIcon($("sound"), sound ? "sound" : "mute");
  }
  function toggleSound() {
    sound = !sound;
    saved.set("sound", sound ? "on" : "off");
    showSound();
    toast(t(sound ? "sound_on" : "sound_off"));
    if (sound) chime();
    refresh();
  }
  $("sound").addEventListener("click", toggleSound);

  // ---- do not disturb ------------------------------------------------------

  function showDND(on) {
    if (!$("dnd")) return;
    $("dnd").setAttribute("aria-checked", String(!!on));
    if ($("dnd-note")) $("dnd-note").hidden = !on;
    body.classList.toggle("dnd", !!on);
  }
  async function toggleDND() {
    const b = $("dnd");
    if (!b || b.disabled) return;
    const want = b.getAttribute("aria-checked") !== "true";
    b.disabled = true;
    try {
      await api("PUT", "/api/v1/me/dnd", { on: want });
      showDND(want);
      toast(t(want ? "dnd_on" : "dnd_off"));
    } catch (e) { toast(e.message); } finally { b.disabled = false; }
  }
  if ($("dnd")) $("dnd").addEventListener("click", toggleDND);

  // ---- dialling ------------------------------------------------------------

  async function api(method, url, data) {
    let r;
    try {
      r = await fetch(url, { method, headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf }, body: JSON.stringify(data) });
    } catch (_) { throw new Error(t("network")); }
    const answer = await r.json().catch(() => ({}));
    if (r.status === 401) location.reload();
    if (!r.ok) throw new Error((answer.error && answer.error.text) || t("network"));
    return answer;
  }
  // The same order again (a double click, a lost answer) keeps its id, so the
  // phone rings once.
  let order = null, dialling = false, sayTimer = 0;
  function say(text, kind) {
    const p = $("dial-say");
    if (!p) { toast(text); return; }
    p.textContent = text;
    p.className = "say " + (kind || "");
    clearTimeout(sayTimer);
    if (kind === "good") sayTimer = setTimeout(() => say(""), 8000);
  }
  async function dial(number) {
    const text = String(number || "").trim();
    if (!text) { say(t("empty_number"), "bad"); $("number").focus(); return; }
    if (!/^[\d\s+().*#/\u2011\u2013-]+$/.test(text) || (text.match(/\d/g) || []).length < 2) { say(t("not_number"), "bad"); $("number").focus(); return; }
    if (dialling) return;
    dialling = true;
    const button = document.querySelector("#dial button");
    button.disabled = true;
    if (!order || order.number !== text) order = { id: randomId(), number: text };
    try {
      await api("POST", "/api/v1/calls", { request_id: order.id, number: text });
      order = null;
      say(t("dialling_you"), "good");
      if ($("number").value.trim() === text) $("number").value = "";
    } catch (e) {
      if (e.message !== t("network")) order = null;
      say(e.message, "bad");
    } finally {
      dialling = false;
      button.disabled = false;
    }
  }
  if ($("dial")) {
    $("dial").addEventListener("submit", (e) => { e.preventDefault(); dial($("number").value); });
    $("number").addEventListener("input", () => say(""));
  }
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      toast(t("copied"));
    } catch (_) {
      const a = el("textarea", { class: "hide", text });
      document.body.append(a);
      a.select();
      if (document.execCommand("copy")) toast(t("copied"));
      a.remove();
    }
  }

  // ---- own recent calls ----------------------------------------------------

  // The list is asked for a little later: the end of a call is stored after it
  // was told, and not all browsers should ask in the same instant.
  let recentTimer = 0;
  function recentSoon() {
    clearTimeout(recentTimer);
    recentTimer = setTimeout(async () => {
      try {
        const r = await fetch("/agent/recent");
        if (!r.ok || r.redirected) return;
        const player = $("recent").querySelector(".player"), sound = player && player.querySelector("audio");
        if (sound && !sound.paused) { sound.addEventListener("pause", recentSoon, { once: true }); return; } // somebody listens
        const at = document.activeElement && $("recent").contains(document.activeElement) ? [...$("recent").querySelectorAll("[data-nav]")].indexOf(document.activeElement) : -1;
        $("recent").innerHTML = await r.text();
        // A player that stands still stays below its row.
        const row = sound && [...$("recent").querySelectorAll("[data-play]")].find((b) => b.dataset.play === sound.getAttribute("src"));
        if (row) row.closest("li").after(player);
        if (at >= 0) { const rows = $("recent").querySelectorAll("[data-nav]"); if (rows[at]) rows[at].focus(); }
      } catch (_) { /* the next call asks again */ }
    }, 500 + Math.random() * 700);
  }
  $("recent").addEventListener("click", (e) => {
    const b = e.target.closest("[data-call]"), p = e.target.closest("[data-play]");
    if (b) dial(b.dataset.call);
    if (p) desk.play(p);
  });
  $("recent").addEventListener("dblclick", (e) => {
    const row = e.target.closest("[data-dial]");
    if (row && !e.target.closest("button") && $("number")) { $("number").value = row.dataset.dial; $("number").focus(); }
  });

  // ---- keyboard ------------------------------------------------------------

  let keysOn = saved.get("keys") !== "off";
  function showKeys() { $("keys-off").textContent = t(keysOn ? "keys_off" : "keys_on"); }
  $("keys-open").addEventListener("click", () => $("keys").showModal());
  $("keys-done").addEventListener("click", () => $("keys").close());
  $("keys").addEventListener("click", (e) => { if (e.target === $("keys")) $("keys").close(); });
  $("keys-off").addEventListener("click", () => { keysOn = !keysOn; saved.set("keys", keysOn ? "on" : "off"); showKeys(); });

  function move(step) {
    const all = [...document.querySelectorAll("[data-nav]")];
    if (!all.length) return;
    const here = document.activeElement && document.activeElement.closest("[data-nav]");
    const n = here ? all.indexOf(here) + step : step > 0 ? 0 : all.length - 1;
    const next = all[Math.min(Math.max(n, 0), all.length - 1)];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }
  function openCRM() {
    const here = document.activeElement && document.activeElement.closest(".card");
    const a = (here || document).querySelector(".card a.open, a.open");
    if (a) a.click();
  }
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || $("keys").open) return;
    const typing = e.target.matches("input, textarea, select, audio");
    if (typing) {
      if (e.key === "Escape") { e.target.blur(); say(""); }
      return;
    }
    if (e.key === "Enter" && e.target.matches("[data-dial]")) { e.preventDefault(); dial(e.target.dataset.dial); return; }
    if (e.key === "Enter" && e.target.matches(".card")) { const a = e.target.querySelector("a.open"); if (a) a.click(); return; }
    if (e.key === "Escape") {
      const over = [...cards].filter(([, x]) => x.ended).map(([id]) => id);
      over.forEach(remove);
      return;
    }
    if (e.key === "ArrowDown" && e.target.matches("[data-nav]")) { e.preventDefault(); move(1); return; }
    if (e.key === "ArrowUp" && e.target.matches("[data-nav]")) { e.preventDefault(); move(-1); return; }
    if (e.key === "?" || e.code === "Slash" && e.shiftKey) { e.preventDefault(); $("keys").showModal(); return; }
    if (!keysOn) return;
    // By place on the keyboard, so that the Russian layout works as well.
    switch (e.key === "/" ? "Slash" : e.code) {
      case "Slash": if ($("number")) { e.preventDefault(); $("number").focus(); $("number").select(); } break;
      case "KeyO": openCRM(); break;
      case "KeyJ": move(1); break;
      case "KeyK": move(-1); break;
      case "KeyD": toggleDND(); break;
      case "KeyM": toggleSound(); break;
    }
  });

  const desk = callDesk({ t, el, icon, api, randomId, toast, $, now: now_ });
  link("connecting");
  showSound();
  showKeys();
  notifyButton();
  showDND($("dnd") && $("dnd").getAttribute("aria-checked") === "true");
  connect();
})();
