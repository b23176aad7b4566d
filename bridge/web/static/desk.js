// What an agent does with a call from its card: hang up, send it on, write a
// note, a task or an outcome into the CRM. The part of the card that is typed
// into is made once and moved along when the card is drawn anew, so that
// nothing typed is lost.
"use strict";
window.callDesk = function (u) {
  const { t, el, icon, api, randomId, toast, $ } = u;
  const about = JSON.parse($("desk").textContent);
  const live = (state) => state === "talking" || state === "held";

  // controls are the buttons for the phone itself.
  function controls(entry) {
    const c = entry.data, out = [];
    if (!about.desk || entry.ended) return out;
    if (c.state === "ringing" && c.direction !== "out") {
      out.push(button("hangup", "hangup", t("reject"), () => hangup(c.id)));
    } else {
      out.push(button("hangup", "hangup", t("hangup"), () => hangup(c.id), "danger"));
    }
    if (live(c.state) && about.people.length) {
      out.push(button("transfer", "forward", t("transfer"), () => { entry.sending = !entry.sending; entry.redraw(); }));
    }
    return out;
  }
  function button(key, name, text, onclick, kind) {
    return el("button", { class: "button " + (kind || ""), type: "button", "data-key": key, onclick }, icon(name), text);
  }
  async function hangup(id) {
    try { await api("POST", "/api/v1/calls/" + encodeURIComponent(id) + "/hangup", {}); } catch (e) { toast(e.message); }
  }

  // sendOn chooses a colleague; the call goes to him without a word between.
  function sendOn(entry) {
    if (!entry.sending || !live(entry.data.state) || entry.ended) return null;
    if (!entry.chooser) {
      const id = "to-" + entry.data.id;
      const select = el("select", { id, "data-key": "to" }, about.people.map((p) => el("option", { value: p.extension }, p.extension + (p.name ? " " + p.name : ""))));
      const say = el("p", { class: "say", role: "status" });
      const go = el("button", { class: "button primary", type: "submit", "data-key": "send" }, t("transfer_go"));
      entry.chooser = el("form", { class: "sendon" }, el("label", { for: id }, t("transfer_to")), el("div", { class: "row" }, select, go), el("p", { class: "muted" }, t("transfer_how")), say);
      entry.chooser.addEventListener("submit", async (e) => {
        e.preventDefault();
        go.disabled = true;
        try {
          await api("POST", "/api/v1/calls/" + encodeURIComponent(entry.data.id) + "/transfer", { to: select.value });
          entry.sending = false;
          toast(t("transferred"));
        } catch (err) { say.textContent = err.message; say.className = "say bad"; } finally { go.disabled = false; entry.redraw(); }
      });
    }
    return entry.chooser;
  }

  // writing is the form for notes, tasks and outcomes.
  function writing(entry) {
    if (!about.desk || entry.data.direction === "internal") return null;
    if (!entry.desk) entry.desk = make(entry);
    fillTargets(entry);
    return entry.desk;
  }
  function make(entry) {
    const id = entry.data.id, name = "kind-" + id;
    const kinds = ["note", "task", "outcome"];
    const text = el("textarea", { id: "text-" + id, rows: 2, maxlength: about.limit, "aria-describedby": "said-" + id, "data-key": "text" });
    const label = el("label", { class: "hide", for: "text-" + id });
    const due = el("select", { id: "due-" + id, "data-key": "due" }, about.due.map((d) => el("option", { value: d.minutes }, d.text)));
    const dueRow = el("label", { class: "due", hidden: true }, t("due"), " ", due);
    const outcomes = el("div", { class: "outcomes", role: "group", "aria-label": t("outcome"), hidden: true }, about.outcomes.map((o) =>
      el("button", { type: "button", class: "button small", onclick: () => { text.value = o; save(); } }, o)));
    const where = el("select", { id: "where-" + id, "data-key": "where", onchange: () => { where.dataset.chosen = "yes"; } });
    const whereRow = el("label", { class: "where", hidden: true }, t("where"), " ", where);
    const go = el("button", { class: "button primary", type: "submit", "data-key": "write" }, t("write"));
    const said = el("p", { class: "say", id: "said-" + id, role: "status" });
    const done = el("ul", { class: "written" });
    const radios = el("div", { class: "kinds", role: "radiogroup", "aria-label": t("write_what") }, kinds.map((k, i) =>
      el("label", {}, el("input", { type: "radio", name, value: k, checked: i === 0, "data-key": "kind-" + k, onchange: () => kind(k) }), el("span", {}, t(k)))));
    const form = el("form", { class: "desk", "aria-label": t("write_what") }, radios, label, outcomes, text, el("div", { class: "row" }, dueRow, whereRow, el("span", { class: "grow" }), go), said, done);
    let chosen = "note", order = null, busy = false;
    function kind(k) {
      chosen = k;
      label.textContent = t(k + "_label");
      text.placeholder = t(k + "_label");
      dueRow.hidden = k !== "task";
      outcomes.hidden = k !== "outcome";
    }
    async function save() {
      const value = text.value.trim();
      said.className = "say";
      if (!value) { said.textContent = t("write_empty"); said.className = "say bad"; text.setAttribute("aria-invalid", "true"); text.focus(); return; }
      text.removeAttribute("aria-invalid");
      if (busy) return;
      busy = true;
      go.disabled = true;
      // The same text again after a lost answer keeps its id: it is written once.
      const mark = chosen + "\n" + value + "\n" + where.value;
      if (!order || order.mark !== mark) order = { id: randomId(), mark };
      const body = { request_id: order.id, kind: chosen, text: value, integration: where.value };
      if (chosen === "task" && Number(due.value) > 0) body.due_at = new Date(Math.floor(u.now() / 1000) * 1000 + Number(due.value) * 60000).toISOString();
      try {
        const a = await api("POST", "/api/v1/calls/" + encodeURIComponent(id) + "/work", body);
        order = null;
        text.value = "";
        said.textContent = "";
        show(a.work);
        entry.pending = (entry.pending || 0) + 1;
        follow(entry, done, 0);
      } catch (e) { said.textContent = e.message; said.className = "say bad"; } finally { busy = false; go.disabled = false; }
    }
    form.addEventListener("submit", (e) => { e.preventDefault(); save(); });
    text.addEventListener("keydown", (e) => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); save(); } });
    function show(list) { draw(done, list, titles(entry)); }
    form.typed = () => text.value.trim() !== "" || form.contains(document.activeElement);
    form.where = where;
    form.whereRow = whereRow;
    kind("note");
    return form;
  }
  function fillTargets(entry) {
    const found = ((entry.data.info && entry.data.info.clients) || []).map((x) => ({ id: x.integration, title: x.title || x.integration }));
    const mark = found.map((x) => x.id).join(" ");
    const { where, whereRow } = entry.desk;
    if (where.dataset.mark === mark) return;
    where.dataset.mark = mark;
    const had = where.value;
    where.replaceChildren(...found.map((x) => el("option", { value: x.id }, x.title)), el("option", { value: "" }, t("everywhere")));
    // Which CRM answered first is chance: only what the agent has chosen stays.
    where.value = where.dataset.chosen && (had === "" || found.some((x) => x.id === had)) ? had : found.length ? found[0].id : "";
    whereRow.hidden = found.length < 2;
  }
  function titles(entry) { return Object.fromEntries(((entry.data.info && entry.data.info.clients) || []).map((x) => [x.integration, x.title])); }
  function draw(list, work, named) {
    list.replaceChildren(...work.map((w) => {
      const link = /^https?:\/\//i.test(w.url || "") ? el("a", { href: w.url, target: "_blank", rel: "noopener noreferrer" }, named[w.integration] || w.integration) : named[w.integration] || w.integration;
      return el("li", { class: w.state }, el("b", {}, t(w.kind)), " ", el("span", {}, w.text), " ", el("span", { class: "tag " + w.state }, S(w.state)), " ", el("small", { class: "muted" }, link, w.why && w.state !== "waiting" ? ": " + w.why : ""));
    }));
  }
  const S = (state) => t("state_" + state);
  // follow asks what became of it until the CRM has it, for a while.
  async function follow(entry, list, n) {
    try {
      const r = await fetch("/api/v1/calls/" + encodeURIComponent(entry.data.id) + "/work");
      if (r.ok) {
        const { work } = await r.json();
        draw(list, work, titles(entry));
        if (!work.some((w) => w.state === "waiting" || w.state === "trying")) return;
      }
    } catch (_) { /* the next look tells */ }
    if (n < 20 && list.isConnected) setTimeout(() => follow(entry, list, n + 1), 700 + n * 300);
  }

  // play puts a player below a row of the list of calls.
  function play(button) {
    const row = button.closest("li");
    const old = row.nextElementSibling;
    if (old && old.classList.contains("player")) { old.remove(); return; }
    const audio = el("audio", { controls: true, autoplay: true, preload: "none", src: button.dataset.play, "aria-label": button.getAttribute("aria-label") });
    const say = el("p", { class: "say bad", role: "status" });
    audio.addEventListener("error", () => { say.textContent = t("no_sound"); });
    row.after(el("li", { class: "player" }, audio, say));
  }
  return { controls, sendOn, writing, play };
};
