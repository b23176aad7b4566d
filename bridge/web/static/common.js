// Runs before the page is painted: the chosen theme must not flash.
"use strict";
(function () {
  function stored() {
    try { return localStorage.getItem("theme") || "auto"; } catch (_) { return "auto"; }
  }
  function apply(theme) {
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    for (const b of document.querySelectorAll("[data-theme-set]")) b.setAttribute("aria-pressed", String(b.dataset.themeSet === theme));
  }
  // Times are written by the server, in the zone that this cookie names: the
  // device's, or none for the office's. A page shows the one it was asked with.
  function zoneChoice() {
    try { return localStorage.getItem("zone") === "office" ? "office" : "device"; } catch (_) { return "device"; }
  }
  function tellZone() {
    let name = "";
    try { if (zoneChoice() === "device") name = Intl.DateTimeFormat().resolvedOptions().timeZone || ""; } catch (_) { /* an old browser */ }
    const frame = location.protocol === "https:" ? ";SameSite=None;Secure;Partitioned" : ";SameSite=Lax";
    document.cookie = "callbridge_zone=" + encodeURIComponent(name) + ";path=/;max-age=31536000" + frame;
  }
  tellZone();
  apply(stored());
  document.addEventListener("DOMContentLoaded", function () {
    for (const pick of document.querySelectorAll("[data-zone-set]")) {
      pick.value = zoneChoice();
      pick.addEventListener("change", function () {
        try { localStorage.setItem("zone", pick.value); } catch (_) { /* private window */ }
        tellZone();
        location.reload();
      });
    }
    apply(stored());
    document.addEventListener("click", function (e) {
      const b = e.target.closest("[data-theme-set]");
      if (b) {
        try { localStorage.setItem("theme", b.dataset.themeSet); } catch (_) { /* private window */ }
        apply(b.dataset.themeSet);
      }
      for (const d of document.querySelectorAll("details.menu[open]")) if (!d.contains(e.target)) d.open = false;
    });
    document.addEventListener("keydown", function (e) {
      if (e.key === "Escape") for (const d of document.querySelectorAll("details.menu[open]")) { d.open = false; d.querySelector("summary").focus(); }
    });
  });
})();
