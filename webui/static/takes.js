// Choosing takes: what is ticked is remembered over pages, sorting and live updates, until the tab is closed.

function attach(root) {
  const key = `cadenza-chosen-${root.dataset.takes}`;
  const chosen = new Set();
  try { JSON.parse(sessionStorage.getItem(key) ?? "[]").forEach((id) => chosen.add(id)); } catch { /* Start with none. */ }
  const form = document.querySelector("[data-chosen-form]");
  const all = document.querySelector("[data-choose-all]");

  function show() {
    const boxes = [...root.querySelectorAll(".take-check")];
    for (const box of boxes) box.checked = chosen.has(box.value);
    form.hidden = chosen.size === 0;
    root.classList.toggle("choosing", chosen.size > 0);
    form.querySelector("[data-chosen-count]").textContent = chosen.size.toLocaleString("en");
    form.elements.ids.value = [...chosen].join(",");
    const on = boxes.filter((box) => box.checked).length;
    all.checked = boxes.length > 0 && on === boxes.length;
    all.indeterminate = on > 0 && on < boxes.length;
    try { sessionStorage.setItem(key, JSON.stringify([...chosen])); } catch { /* Not remembered then. */ }
  }

  let last = null;
  root.addEventListener("click", (event) => {
    const box = event.target.closest(".take-check");
    if (!box) return;
    const boxes = [...root.querySelectorAll(".take-check")];
    const range = event.shiftKey && last && boxes.includes(last) ? [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b) : null;
    for (const each of range ? boxes.slice(range[0], range[1] + 1) : [box]) if (box.checked) chosen.add(each.value); else chosen.delete(each.value);
    last = box;
    show();
  });
  all.addEventListener("change", () => {
    for (const box of root.querySelectorAll(".take-check")) if (all.checked) chosen.add(box.value); else chosen.delete(box.value);
    show();
  });
  form.querySelector("[data-choose-none]").addEventListener("click", () => { chosen.clear(); show(); });
  root.addEventListener("cadenza:swapped", show);
  show();
}

export function start() { document.querySelectorAll("[data-takes]").forEach(attach); }
