// Relative times and running clocks, refreshed by the browser so that the server need not.

const duration = (seconds) => {
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  for (const [large, small, a, b] of [[86400, 3600, "d", "h"], [3600, 60, "h", "min"], [60, 1, "min", "s"]]) {
    if (whole >= large) {
      const rest = Math.floor((whole % large) / small);
      return `${Math.floor(whole / large).toLocaleString("en")} ${a}${rest ? ` ${rest} ${b}` : ""}`;
    }
  }
  return `${whole} s`;
};

const ago = (seconds, moment) => {
  if (seconds < 10) return "just now";
  for (const [size, limit, unit] of [[1, 60, "s"], [60, 3600, "min"], [3600, 86400, "h"], [86400, 2592000, "d"]]) {
    if (seconds < limit) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return moment.toISOString().slice(0, 10);
};

export { duration };

/** Refresh every relative time below `root`, and put the exact local time into its title. */
export function refreshTimes(root = document) {
  for (const node of root.querySelectorAll("time[data-ago], time[data-since]")) {
    const moment = new Date(node.dateTime);
    const seconds = Math.max(0, (Date.now() - moment) / 1000);
    const text = "since" in node.dataset ? duration(Math.floor(seconds)) : ago(seconds, moment);
    if (node.textContent !== text) node.textContent = text;
    const exact = moment.toLocaleString();
    if (node.title !== exact) node.title = exact;
  }
}

export function startTimes() {
  refreshTimes();
  setInterval(() => { if (!document.hidden) refreshTimes(); }, 1000);
}
