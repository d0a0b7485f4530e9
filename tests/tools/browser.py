"""What journeys do with a browser beyond clicking: watch what it asks for, hear what it plays, drop files on it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

BROWSER_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

# Hears what the page plays: the first sound after a click, measured behind the last node before the loudspeaker.
EAR = """(() => {
  const ear = (window.ear = { contexts: [], clicked: 0, heard: 0, loud: false });
  const analysers = [];
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (target, ...more) {
    if (target instanceof AudioDestinationNode) {
      const analyser = new AnalyserNode(this.context);
      connect.call(this, analyser);
      analysers.push(analyser);
      ear.contexts.push(this.context);
    }
    return connect.call(this, target, ...more);
  };
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-play]")) { ear.clicked = performance.now(); ear.heard = 0; }
  }, true);
  const wave = new Float32Array(2048);
  setInterval(() => {
    ear.loud = analysers.some((analyser) => {
      analyser.getFloatTimeDomainData(wave);
      return wave.some((value) => Math.abs(value) > 1e-3);
    });
    if (ear.loud && ear.clicked && !ear.heard) ear.heard = performance.now();
  }, 10);
})()"""


@dataclass
class Watch:
    """Everything that the pages of a test asked for and complained about."""

    host: str
    allowed: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def follow(self, context: BrowserContext) -> None:
        """Listen to all pages of a context, those that open later too."""
        context.on("request", self._asked)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.complaints.append(f"page error: {error.error}"))

    def allow(self, words: str) -> None:
        """Complaints with these words are part of the test: the browser logs every refused request."""
        self.allowed.append(words)

    def check(self) -> None:
        """Nothing was asked of another host, and nothing went wrong unseen."""
        foreign = [url for url in self.requests if urlsplit(url).scheme != "blob" and urlsplit(url).netloc != self.host]
        assert [url for url in foreign if not url.startswith("data:")] == []
        assert [text for text in self.complaints if not any(words in text for words in self.allowed)] == []

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"console: {message.text} {message.location.get('url', '')}")


def drop(page: Page, name: str, data: bytes) -> None:
    """Let a file fall onto the page, as a file manager would."""
    transfer = page.evaluate_handle(
        """([name, data]) => {
          const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], name));
          return transfer;
        }""",
        [name, base64.b64encode(data).decode()],
    )
    page.locator(".drop").first.dispatch_event("drop", {"dataTransfer": transfer})


def position(page: Page) -> float:
    """Seconds that the player shows."""
    share = page.evaluate("document.querySelector('[data-player-seek]').value / 1000")
    minutes, _, seconds = page.evaluate("document.querySelector('[data-player-end]').textContent").partition(":")
    return float(share * (int(minutes) * 60 + int(seconds)))
