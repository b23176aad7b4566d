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
  const live = document.querySelector("[data-refresh]");
  let busy = false;
  async function refresh() {
    if (busy || document.hidden || live.contains(document.activeElement) && document.activeElement.matches("a")) return;
    busy = true;
    try {
      const r = await fetch(live.dataset.refresh, { headers: { Accept: "text/html" } });
      if (r.redirected) location.reload();
      else if (r.ok) { live.innerHTML = await r.text(); timers(); }
    } catch (_) { /* the next round tries again */ } finally { busy = false; }
  }
  timers();
  setInterval(timers, 1000);
  if (live) setInterval(refresh, 3000);
})();
