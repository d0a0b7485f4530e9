// Shows the OpenAPI document; nothing is asked of another host.
const place = document.getElementById("swagger-ui");
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function followTheSystem() {
  let chosen = "auto";
  try {
    chosen = localStorage.getItem("cadenza-theme") || "auto";
  } catch {
    // A private window: the system's choice holds.
  }
  document.documentElement.classList.toggle("dark-mode", chosen === "auto" ? dark.matches : chosen === "dark");
}

dark.addEventListener("change", followTheSystem);
followTheSystem();

window.SwaggerUIBundle({
  url: place.dataset.document,
  domNode: place,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: false,
  validatorUrl: null,
  presets: [window.SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
