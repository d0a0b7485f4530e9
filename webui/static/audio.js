// Audio is made by a job: ask for it, wait for the job's end, and the download starts by itself.

import { post, setIcon, toast } from "./actions.js";
import { onChange, touches } from "./live.js";

function fetchFile(address) {
  const link = document.createElement("a");
  link.href = address;
  link.download = "";
  link.click();
}

async function request(button) {
  const words = button.querySelector("[data-audio-words]");
  const label = words.textContent;
  const symbol = button.dataset.symbol;
  const finish = () => { button.removeAttribute("aria-busy"); words.textContent = label; setIcon(button, symbol); };
  button.setAttribute("aria-busy", "true");
  words.textContent = "Rendering…";
  setIcon(button, "hourglass-split");
  try {
    const body = await post(button.dataset.audio);
    if (!body.ready) await ended(body.job_id, () => post(button.dataset.audio, look(body.job_id)));
    fetchFile(body.file);
  } catch (error) {
    toast(error.message, { bad: true, ...(error.href ? { href: error.href } : {}) });
  }
  finish();
}

function look(job) { const data = new FormData(); data.set("job_id", job); return data; }

/** Wait until `look()` says that the file is ready, or the job has failed; looked at on each change and every 3 s. */
function ended(job, look) {
  return new Promise((resolve, reject) => {
    let busy = false, over = false;
    const see = async () => {
      if (busy || over) return;
      busy = true;
      try {
        const body = await look();
        if (body.ready || body.failed) { over = true; clearInterval(timer); }
        if (body.ready) resolve();
        if (body.failed) reject(Object.assign(new Error(body.failed), { href: `/jobs/${job}` }));
      } catch (error) { over = true; clearInterval(timer); reject(error); }
      busy = false;
    };
    const timer = setInterval(see, 3000);
    onChange((topics) => { if (touches(topics, [`job:${job}`])) see(); });
    see();
  });
}

export function start() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-audio]");
    if (button) request(button);
  });
}
