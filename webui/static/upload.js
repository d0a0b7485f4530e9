// Files chosen or dropped are sent at once, in batches, with their progress; the form then names them by number.

import { iconOf, toast, token } from "./actions.js";

const BATCH_FILES = 60, BATCH_BYTES = 64 * 2 ** 20;
const size = (bytes) => bytes < 2 ** 20 ? `${Math.max(1, Math.round(bytes / 1024)).toLocaleString("en")} kB` : `${(bytes / 2 ** 20).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;

/** Send files to /uploads; `progress(bytesDone)`; resolves to the uploads' numbers. */
export async function send(files, progress) {
  const numbers = [];
  let before = 0;
  for (const batch of batches(files)) {
    const bytes = batch.reduce((sum, file) => sum + file.size, 0);
    const body = await sendBatch(batch, (done) => progress(before + Math.min(done, bytes)));
    numbers.push(...body.uploads.map((upload) => upload.id));
    before += bytes;
    progress(before);
  }
  return numbers;
}

function* batches(files) {
  let batch = [], bytes = 0;
  for (const file of files) {
    if (batch.length && (batch.length >= BATCH_FILES || bytes + file.size > BATCH_BYTES)) { yield batch; batch = []; bytes = 0; }
    batch.push(file);
    bytes += file.size;
  }
  if (batch.length) yield batch;
}

function sendBatch(batch, progress) {
  return new Promise((resolve, reject) => {
    const data = new FormData();
    for (const file of batch) data.append("files", file, file.name);
    const request = new XMLHttpRequest();
    request.open("POST", "/uploads");
    request.setRequestHeader("X-CSRFToken", token());
    request.setRequestHeader("Accept", "application/json");
    request.responseType = "json";
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onload = () => request.status < 300 ? resolve(request.response) : reject(new Error(request.response?.error?.message ?? `The server answered ${request.status}.`));
    request.onerror = () => reject(new Error("The upload was broken off; is Cadenza still running, and is the file below the limit?"));
    request.send(data);
  });
}

/** Files of a drop, folders included, folder by folder. */
async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const files = [];
  const walk = async (entry) => {
    if (entry.isFile) { files.push(await new Promise((resolve, reject) => entry.file(resolve, reject))); return; }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return;
      for (const inner of some) await walk(inner);
    }
  };
  for (const entry of entries) await walk(entry);
  return files;
}

function attach(area) {
  const input = area.querySelector("input[type=file]");
  const list = area.querySelector("[data-upload-list]") ?? area.parentElement.querySelector("[data-upload-list]");
  const target = document.getElementById(area.dataset.upload);
  const form = area.closest("form");
  const limit = Number(area.dataset.limit);
  const many = input.multiple;
  let open = 0;

  async function take(files) {
    const wanted = many ? files.filter((file) => !file.name.startsWith(".")) : files.slice(0, 1);
    if (!wanted.length) return;
    const large = wanted.find((file) => file.size > limit);
    if (large) {
      // The words of the API and the command line.
      const most = `${limit.toLocaleString("en")} bytes (${(limit / 2 ** 20).toLocaleString("en", { maximumSignificantDigits: 4 })} MiB)`;
      toast(`files: '${large.name}' is longer than ${most}, the most that is accepted; send it in parts.`, { bad: true });
      return;
    }
    if (!many) { list.replaceChildren(); target.value = ""; }
    const total = wanted.reduce((sum, file) => sum + file.size, 0);
    const row = document.createElement("li");
    row.innerHTML = '<span class="upload-name"></span><span class="num faint"></span><div class="prog"><progress max="1" value="0"></progress></div>';
    row.querySelector(".upload-name").textContent = wanted.length === 1 ? wanted[0].name : `${wanted.length.toLocaleString("en")} files`;
    const words = row.querySelector(".num");
    const bar = row.querySelector("progress");
    bar.setAttribute("aria-label", "Upload");
    list.append(row);
    open += 1;
    form.querySelectorAll("[type=submit]").forEach((button) => { button.disabled = true; });
    try {
      const numbers = await send(wanted, (done) => { bar.value = total ? done / total : 1; words.textContent = `${size(done)} of ${size(total)}`; });
      target.value = [target.value, ...numbers].filter(Boolean).join(",");
      words.innerHTML = `${iconOf("check-lg")} ${size(total)}`;
      row.querySelector(".prog").remove();
      target.dispatchEvent(new Event("change", { bubbles: true }));
    } catch (error) {
      row.remove();
      toast(error.message, { bad: true });
    } finally {
      open -= 1;
      // Sent already: the form must not send the same files once more.
      input.value = "";
      if (!open) form.querySelectorAll("[type=submit]").forEach((button) => { button.disabled = false; });
    }
  }

  input.addEventListener("change", () => take([...input.files]));
  for (const name of ["dragenter", "dragover"]) area.addEventListener(name, (event) => { event.preventDefault(); area.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) area.addEventListener(name, (event) => { event.preventDefault(); area.classList.remove("over"); });
  area.addEventListener("drop", async (event) => take(await droppedFiles(event.dataTransfer)));
}

export function start() { document.querySelectorAll("[data-upload]").forEach(attach); }
