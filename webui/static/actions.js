// Buttons that do something at once, questions before what cannot be undone, messages, dialogs, filters.

const sprite = document.getElementById("app-script").dataset.sprite;

/** The SVG of an icon, as the server's templates draw it. */
export function iconOf(name) { return `<svg class="bi" aria-hidden="true"><use href="${sprite}#${name}"></use></svg>`; }

export function setIcon(node, name) {
  const use = node.querySelector("use");
  if (use && !use.getAttribute("href").endsWith(`#${name}`)) use.setAttribute("href", `${sprite}#${name}`);
}

export function token() { return document.querySelector('meta[name="csrf-token"]').content; }

/** Show a message for a while; `bad` ones stay longer. */
export function toast(text, { bad = false, href = "", link = "Show" } = {}) {
  const node = document.createElement("div");
  node.className = bad ? "toast-c bad" : "toast-c";
  if (bad) node.setAttribute("role", "alert");
  const words = document.createElement("span");
  words.textContent = text;
  node.append(words);
  if (href) {
    const anchor = document.createElement("a");
    anchor.href = href;
    anchor.textContent = link;
    words.append(" ", anchor);
  }
  const close = document.createElement("button");
  close.type = "button";
  close.setAttribute("aria-label", "Close");
  close.innerHTML = iconOf("x-lg");
  close.onclick = () => node.remove();
  node.append(close);
  document.querySelector("[data-toasts]").append(node);
  setTimeout(() => node.remove(), bad ? 12000 : 5000);
}

/** Send a form's data and give back the JSON answer; throws an Error whose message a person can read. */
export async function post(address, data = new FormData()) {
  let answer;
  try {
    answer = await fetch(address, { method: "POST", body: data, headers: { "X-CSRFToken": token(), Accept: "application/json" } });
  } catch {
    throw new Error("The server does not answer; is Cadenza still running?");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(body.error?.message ?? `The server answered ${answer.status}.`), { fields: body.error?.fields ?? {} });
  return body;
}

/** Ask before something that cannot be undone. */
export function ask({ title, text, yes }) {
  const dialog = document.querySelector("[data-ask]");
  dialog.querySelector("[data-ask-title]").textContent = title;
  dialog.querySelector("[data-ask-text]").textContent = text;
  dialog.querySelector("[data-ask-yes]").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

async function quick(event) {
  const form = event.target;
  if (!form.matches("form[data-quick]")) return;
  event.preventDefault();
  const { confirm, confirmTitle, confirmYes } = form.dataset;
  if (confirm && !(await ask({ title: confirmTitle, text: confirm, yes: confirmYes }))) return;
  const button = event.submitter ?? form.querySelector("button[type=submit]");
  button?.setAttribute("aria-busy", "true");
  try {
    const body = await post(form.action, new FormData(form));
    form.closest("dialog")?.close();
    const here = new URL(body.location ?? location.href, location.href);
    if ("stay" in body ? body.stay : here.pathname === location.pathname) {
      if (body.message) toast(body.message, body.href ? { href: body.href } : {});
      form.dispatchEvent(new CustomEvent("cadenza:done", { bubbles: true, detail: body }));
      if (body.reload) location.reload();
    } else {
      location.assign(here);
    }
  } catch (error) {
    toast(error.message, { bad: true });
  } finally {
    button?.removeAttribute("aria-busy");
  }
}

async function star(button) {
  const on = button.getAttribute("aria-pressed") !== "true";
  const data = new FormData();
  data.set("starred", on ? "1" : "0");
  const show = (value) => {
    button.setAttribute("aria-pressed", String(value));
    setIcon(button, value ? "star-fill" : "star");
  };
  show(on);
  try { await post(button.dataset.star, data); } catch (error) { show(!on); toast(error.message, { bad: true }); }
}

async function copy(button) {
  const field = document.getElementById(button.dataset.copy);
  field.select();
  // Only secure pages may write to the clipboard; elsewhere the text is selected, ready for the keyboard.
  try { await navigator.clipboard.writeText(field.value); button.querySelector("[data-copy-word]").textContent = "Copied"; } catch { toast("It is selected: copy it with the keyboard."); }
}

export function startActions() {
  document.addEventListener("submit", quick);
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
    if (event.target.closest("[data-close]")) event.target.closest("dialog")?.close();
    const copier = event.target.closest("[data-copy]");
    if (copier) copy(copier);
    const starred = event.target.closest("[data-star]");
    if (starred) star(starred);
  });
  // What a person types as local time is sent as UTC; without a script it counts as UTC.
  document.addEventListener("formdata", (event) => {
    for (const input of event.target.querySelectorAll("[data-local-time]")) {
      if (input.value) event.formData.set(input.name, new Date(input.value).toISOString());
    }
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit-on-change]")) event.target.form.requestSubmit();
  });
  const theme = document.querySelector("[data-theme-switch]");
  const names = { auto: "System theme", light: "Light theme", dark: "Dark theme" };
  const word = () => { theme.querySelector("[data-theme-name]").textContent = names[window.cadenzaTheme.get()]; theme.title = names[window.cadenzaTheme.get()]; };
  theme.addEventListener("click", () => {
    const order = ["auto", "light", "dark"];
    window.cadenzaTheme.set(order[(order.indexOf(window.cadenzaTheme.get()) + 1) % 3]);
    word();
  });
  word();
}
