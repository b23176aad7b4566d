// The pages inside a CRM: a click on a number orders the call, and the page
// behind a signed address sends its order as soon as a person sees it.
"use strict";
(function () {
  const order = document.getElementById("order");
  if (order) {
    const send = function () { if (document.visibilityState === "visible") order.requestSubmit(); };
    if (document.visibilityState === "visible") send();
    else document.addEventListener("visibilitychange", send, { once: true });
    order.addEventListener("submit", function () { order.querySelector("button").disabled = true; });
    return;
  }
  const main = document.querySelector("main"), say = document.getElementById("say");
  const csrf = document.querySelector('meta[name="csrf"]').content;
  const ids = {}; // of orders without an answer: the same click keeps its id
  function tell(text, kind) { say.textContent = text; say.className = "say " + kind; }
  document.addEventListener("click", async function (e) {
    const b = e.target.closest("[data-call]");
    if (!b || b.disabled) return;
    const number = b.dataset.call;
    ids[number] = ids[number] || Array.from(crypto.getRandomValues(new Uint8Array(12)), (x) => x.toString(16).padStart(2, "0")).join("");
    b.disabled = true;
    try {
      const r = await fetch("/api/v1/calls", { method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
        body: JSON.stringify({ request_id: ids[number], number: number }) });
      const answer = await r.json().catch(() => ({}));
      delete ids[number];
      if (r.ok) tell(main.dataset.calling, "good");
      else tell((answer.error && answer.error.text) || main.dataset.network, "bad");
    } catch (_) {
      tell(main.dataset.network, "bad");
    }
    b.disabled = false;
  });
})();
