// The console: rows are links, and the live part refreshes itself.
"use strict";
(function () {
  document.addEventListener("click", function (e) {
    const row = e.target.closest("tr[data-href]");
    if (row && !e.target.closest("a, button, details") && !String(getSelection())) location.href = row.dataset.href;
  });
  function timers() {
    for (const t of document.querySelectorAll("time[data-since]")) {
      const n = Math.max(0, Math.floor((Date.now() - Date.parse(t.dataset.since)) / 1000));
      t.textContent = Math.floor(n / 60) + ":" + String(n % 60).padStart(2, "0");
    }
  }
  function keep(part) {
    let busy = false;
    setInterval(async function () {
      // What is being read or used must not change under the hand.
      if (busy || document.hidden || part.querySelector("details[open]") || part.contains(document.activeElement) && document.activeElement.matches("a, summary")) return;
      busy = true;
      try {
        const r = await fetch(part.dataset.refresh, { headers: { Accept: "text/html" } });
        if (r.redirected) location.reload();
        else if (r.ok) { part.innerHTML = await r.text(); timers(); }
      } catch (_) { /* the next round tries again */ } finally { busy = false; }
    }, Number(part.dataset.every) * 1000);
  }
  timers();
  setInterval(timers, 1000);
  for (const part of document.querySelectorAll("[data-refresh]")) keep(part);
})();
