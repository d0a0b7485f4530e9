// The entry: what every page needs at once; the rest only where its elements are.

import { startActions } from "./actions.js";
import { startLive } from "./live.js";
import { startNotices } from "./notices.js";
import { startPlayer } from "./player.js";
import { startTimes } from "./times.js";

startTimes();
startActions();
startLive();
startPlayer();
startNotices();

const modules = {
  "[data-chart]": "./charts.js",
  "[data-roll]": "./roll.js",
  "[data-upload]": "./upload.js",
  "[data-training-form], [data-generation-form], [data-import-form]": "./forms.js",
  "[data-takes]": "./takes.js",
  "[data-queue]": "./queue.js",
  "[data-audio]": "./audio.js",
  "[data-branch]": "./branch.js",
  "[data-choice]": "./choice.js",
};
for (const [selector, path] of Object.entries(modules)) {
  if (document.querySelector(selector)) import(path).then((module) => module.start());
}
