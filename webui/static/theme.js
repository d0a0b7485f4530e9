// Runs before the first paint, so that a page never flashes in the wrong colours.
(() => {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => { try { return localStorage.getItem("cadenza-theme") || "auto"; } catch { return "auto"; } };
  const apply = () => {
    const name = chosen();
    const shown = name === "auto" ? (system.matches ? "dark" : "light") : name;
    if (document.documentElement.dataset.bsTheme === shown) return;
    document.documentElement.dataset.bsTheme = shown;
    document.dispatchEvent(new CustomEvent("cadenza:theme", { detail: shown }));
  };
  window.cadenzaTheme = {
    get: chosen,
    set(name) { try { localStorage.setItem("cadenza-theme", name); } catch { /* private window: for this page only */ } apply(); },
  };
  system.addEventListener("change", apply);
  window.addEventListener("storage", (event) => { if (event.key === "cadenza-theme") apply(); });
  apply();
})();
