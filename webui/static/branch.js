// The branch form of a take: its note follows the player's place when asked.

import { loadNotes } from "./player.js";
import { firstAtOrAfter } from "./synth.js";

export function start() {
  document.querySelectorAll("form[data-branch]").forEach((form) => {
    const address = form.dataset.branch;
    let seconds = 0;
    document.addEventListener("cadenza:position", ({ detail }) => { if (detail.address === address) seconds = detail.seconds; });
    form.querySelector("[data-branch-here]").addEventListener("click", async () => {
      const notes = await loadNotes(address);
      const field = form.elements.note;
      const begun = firstAtOrAfter(notes.start_ms, seconds * 1000 + 1);
      field.value = String(Math.min(Number(field.max), Math.max(1, begun)));
      field.dispatchEvent(new Event("change", { bubbles: true }));
    });
  });
}
