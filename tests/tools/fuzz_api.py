"""Ask a web server everything that its OpenAPI document allows, and much that it does not, with schemathesis.

    python -m tests.tools.fuzz_api [--seconds 600] [--seed 0] [--address http://127.0.0.1:8420]

Without an address, a web server of its own is started over an installation with some content. Its exit status is 0 when
no answer was a server's error and every answer is as documented: its status, its type, its headers, its body.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from core.artifacts import ArtifactStore
from core.records import schema
from core.records.database import Database
from core.settings import Settings
from tests.tools.web_content import WebContent
from webui.launcher.signs import address_file

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
# Numbers up to here are tried as often as all others together: most of them are there, or were a moment ago.
_SMALL_NUMBERS = 24
_START_SECONDS = 60.0


@contextmanager
def web_server(settings: Settings) -> Iterator[str]:
    """A real web server over a migrated database with content, without broker and workers; its address."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.resolved_database_url)
    schema.upgrade(database)
    content = WebContent(database, ArtifactStore.of(settings))
    dataset, model = content.dataset(), content.model()
    for number in range(3):
        content.training(dataset, model)
        content.generation(model, f"{number * 10}-{number * 10 + 7}", made=4 * number)
    content.worker()
    database.dispose()
    environment = {key: text for key, text in os.environ.items() if not key.startswith("CADENZA_")}
    environment |= {"CADENZA_DATA_DIR": str(settings.data_dir), "CADENZA_PORT": "0", "CADENZA_LOG_LEVEL": "WARNING"}
    environment |= {"CADENZA_UPLOAD_LIMIT_BYTES": str(2 * 2**20)}
    with (settings.data_dir / "web.log").open("wb") as log:
        server = subprocess.Popen([sys.executable, "-m", "webui.launcher.web"], env=environment, stdout=log, stderr=log)
        try:
            yield _await_address(settings, server)
        finally:
            server.terminate()
            server.wait()


def ask_everything(address: str, folder: Path, seconds: int, seed: int, examples: int = 40) -> tuple[bool, str]:
    """Put questions to the API for about so long; whether every answer was right, and schemathesis's report.

    Args:
        address: of the web server.
        folder: where to keep the document.
        seconds: how long, at most.
        seed: the same one asks the same questions.
        examples: made-up requests for each operation, beside those at the limits of every field.
    """
    document = httpx.get(f"{address}/api/v1/openapi.json", trust_env=False).raise_for_status().json()
    path = folder / "openapi.json"
    path.write_text(json.dumps(_with_small_numbers(document)))
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", str(path), "--url", address]
    command += ["--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"]
    command += ["--max-examples", str(examples), "--max-time", str(seconds), "--seed", str(seed), "--workers", "1"]
    # One worker: before CPython 3.12 threads that parse source at once break each other ("AST constructor recursion
    # depth mismatch"), and hypothesis parses the source of lambdas.
    command += ["--continue-on-failure", "--no-shrink", "--request-timeout", "20", "--warnings", "off"]
    command += ["--suppress-health-check", "all", "--no-color"]
    environment = {key: text for key, text in os.environ.items() if "proxy" not in key.lower()}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=3 * seconds + 120, check=False
    )
    return done.returncode == 0, done.stdout + done.stderr


def _with_small_numbers(document: dict[str, Any]) -> dict[str, Any]:
    """The document, with numbers in paths that are often those of rows that exist."""
    for item in document["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and parameter["schema"].get("type") == "integer":
                    small = {"type": "integer", "minimum": 1, "maximum": _SMALL_NUMBERS}
                    parameter["schema"] = {"anyOf": [small, parameter["schema"]]}
    return document


def _await_address(settings: Settings, server: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while not address_file(settings).exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((settings.data_dir / "web.log").read_text())
        time.sleep(0.05)
    return address_file(settings).read_text().strip()


def main() -> int:
    """Ask, print the report, and say how it went."""
    parser = argparse.ArgumentParser(description="Ask the API everything that its document allows, and more.")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--address", default="", help="a running server; by default one is started")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cadenza-fuzz-") as name:
        folder = Path(name)
        if options.address:
            fine, report = ask_everything(options.address, folder, options.seconds, options.seed, options.examples)
        else:
            with web_server(Settings(data_dir=folder / "data", port=0, _env_file=None)) as address:
                fine, report = ask_everything(address, folder, options.seconds, options.seed, options.examples)
    print(report)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
