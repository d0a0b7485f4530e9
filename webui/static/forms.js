// What the long forms do while they are filled in: presets, estimates, counts, the search for a primer.

const later = (action, wait) => { let timer = 0; return () => { clearTimeout(timer); timer = setTimeout(action, wait); }; };

/** Ask the server about the form as it stands and show the answer's words in elements marked data-<name>. */
function ask(form, address, show) {
  let number = 0;
  return later(async () => {
    const mine = ++number;
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (typeof value === "string" && name !== "csrf_token") query.append(name, value);
    try {
      const answer = await fetch(`${address}?${query}`, { headers: { Accept: "application/json" } });
      const body = await answer.json();
      if (mine === number) show(body, answer.ok && !body.refused);
    } catch { /* The next change asks again. */ }
  }, 250);
}

/** Put a setting's value, as its field would show it, into whatever kind of field it has. */
function fill(field, value) {
  if (field.type === "checkbox") field.checked = String(value) === "true";
  else field.value = value;
}

function trainingForm(form) {
  const words = form.querySelector("[data-estimate]");
  const more = form.querySelector("[data-estimate-more]");
  const advice = form.querySelector("[data-advice]");
  const update = ask(form, form.dataset.trainingForm, (body, good) => {
    words.textContent = good ? body.words : "–";
    more.textContent = good ? body.more : body.refused ?? body.error?.message ?? "";
    advice.hidden = !(good && body.advice);
    advice.lastElementChild.textContent = good ? body.advice : "";
  });
  form.addEventListener("input", update);
  form.addEventListener("change", update);
  form.querySelectorAll("[data-preset]").forEach((button) => button.addEventListener("click", () => {
    const values = JSON.parse(button.dataset.values);
    for (const field of form.querySelectorAll("[data-default]")) {
      if (field.name !== "seed" && field.name !== "name") fill(field, values[field.name] ?? field.dataset.default);
    }
    form.elements.preset.value = button.dataset.preset;
    mark(button.dataset.preset);
    update();
  }));
  // Another family is another page: it gets the dataset that is chosen here.
  form.elements.dataset_id.addEventListener("change", (event) => form.querySelectorAll("[data-family]").forEach((link) => {
    const address = new URL(link.href);
    address.searchParams.set("dataset_id", event.target.value);
    link.href = address;
  }));
  const mark = (name) => form.querySelectorAll("[data-preset]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.preset === name)));
  form.addEventListener("input", (event) => {
    if (event.target.dataset.default !== undefined && !["seed", "name", "files"].includes(event.target.name)) { form.elements.preset.value = ""; mark(""); }
  });
  update();
}

function generationForm(form) {
  const count = form.querySelector("[data-count]");
  const update = ask(form, form.dataset.generationForm, (body, good) => {
    count.textContent = good ? body.words : body.refused ?? body.error?.message ?? "";
    count.classList.toggle("text-bad", !good);
    const needs = form.querySelector("[data-needs-primer]");
    if (needs && good) { needs.hidden = !body.needs_primer; needs.textContent = body.needs_primer; }
  });
  form.addEventListener("input", update);
  form.addEventListener("change", update);
  form.querySelectorAll("[data-seeds]").forEach((button) => button.addEventListener("click", () => {
    form.elements.seeds.value = button.dataset.seeds;
    update();
  }));
  const kinds = form.querySelectorAll("[name=primer_kind]");
  const showKind = () => {
    const kind = [...kinds].find((choice) => choice.checked)?.value;
    form.querySelectorAll("[data-primer-kind]").forEach((part) => { part.hidden = !part.dataset.primerKind.split(" ").includes(kind); });
  };
  kinds.forEach((choice) => choice.addEventListener("change", showKind));
  showKind();
  pieceSearch(form.querySelector("[data-piece-search]"), form.elements.piece_id);
  update();
}

function pieceSearch(box, target) {
  if (!box) return;
  const input = box.querySelector("input[type=search]");
  const found = box.querySelector("[data-found]");
  const chosen = box.querySelector("[data-chosen]");
  const look = later(async () => {
    const answer = await fetch(`/pieces/search.json?search=${encodeURIComponent(input.value)}`);
    const { pieces, more } = await answer.json();
    found.hidden = false;
    found.replaceChildren(...pieces.map((piece) => {
      const button = document.createElement("button");
      button.type = "button";
      const title = document.createElement("span");
      title.textContent = piece.composer ? `${piece.title} · ${piece.composer}` : piece.title;
      const facts = document.createElement("span");
      facts.className = "faint num nowrap";
      facts.textContent = `${piece.notes.toLocaleString("en")} notes`;
      button.append(title, facts);
      button.addEventListener("click", () => {
        target.value = piece.id;
        chosen.textContent = `${piece.title} (piece ${piece.id})`;
        chosen.hidden = false;
        found.hidden = true;
      });
      return button;
    }));
    if (more) found.insertAdjacentHTML("beforeend", `<p class="empty-small m-0">These are the first ${pieces.length}. More of the title finds others; the page of each piece has the button “Generate from this”.</p>`);
    if (!pieces.length) found.innerHTML = '<p class="empty-small">No piece has these words in its title.</p>';
  }, 200);
  input.addEventListener("input", look);
  input.addEventListener("focus", () => { if (!found.childElementCount) look(); });
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); look(); } });
}

function importForm(form) {
  const sources = form.querySelectorAll("[name=source]");
  const show = () => {
    const source = [...sources].find((choice) => choice.checked)?.value;
    form.querySelectorAll("[data-source]").forEach((part) => {
      part.hidden = part.dataset.source !== source;
      part.querySelectorAll("[data-required-here]").forEach((field) => { field.required = !part.hidden; });
    });
  };
  sources.forEach((choice) => choice.addEventListener("change", show));
  show();
}

export function start() {
  document.querySelectorAll("[data-training-form]").forEach(trainingForm);
  document.querySelectorAll("[data-generation-form]").forEach(generationForm);
  document.querySelectorAll("[data-import-form]").forEach(importForm);
}
