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
  apply(stored());
  document.addEventListener("DOMContentLoaded", function () {
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
