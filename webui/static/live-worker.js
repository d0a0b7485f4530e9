// One for all tabs: a browser opens only six connections to a host, so one of them listens and tells all tabs.

const ports = new Set();
let source = null;
let state = "waiting";

const tell = (message) => ports.forEach((port) => port.postMessage(message));

function listen(address) {
  source = new EventSource(address);
  source.onopen = () => { state = "open"; tell({ state }); tell({ topics: ["*"] }); };
  source.onmessage = (event) => tell({ topics: JSON.parse(event.data) });
  source.onerror = () => {
    state = "away";
    tell({ state });
    // Refused altogether (too many listeners, server gone): the browser gives up, we do not.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(address), 3000);
  };
}

self.onconnect = (event) => {
  const port = event.ports[0];
  port.onmessage = ({ data }) => {
    if (data.hello) {
      ports.add(port);
      port.postMessage({ state });
      // What changed between the page's rendering and this moment was told to the other tabs only.
      if (state === "open") port.postMessage({ topics: ["*"] });
      if (!source) listen(data.hello);
    } else if (data.bye) {
      ports.delete(port);
    }
  };
  port.start();
};
