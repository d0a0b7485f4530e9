// The list of models to compare: when as many are ticked as can be compared, no other can be ticked.

function choice(form) {
  const most = Number(form.dataset.choice);
  const boxes = [...form.querySelectorAll("[name=ids]")];
  const count = form.querySelector("[data-choice-count]");
  const full = form.querySelector("[data-choice-full]");
  const update = () => {
    const chosen = boxes.filter((box) => box.checked).length;
    for (const box of boxes) box.disabled = chosen >= most && !box.checked;
    count.textContent = chosen;
    full.hidden = chosen < most;
  };
  form.addEventListener("change", update);
  // A page that a browser goes back to has its ticks put back after the scripts have run.
  addEventListener("pageshow", update);
  update();
  form.querySelector("[data-choice-words]").hidden = false;
}

export function start() { document.querySelectorAll("[data-choice]").forEach(choice); }
