"""The web process is light: it never loads what only workers need."""

from __future__ import annotations

import subprocess
import sys

from core.settings import Settings

_PROGRAM = """
import sys
from core.records import schema
from core.settings import Settings
from webui.app import create_app
settings = Settings()
app = create_app(settings)
schema.upgrade(app.extensions["cadenza"].database)
client = app.test_client()
for path in ("/", "/datasets", "/models", "/trainings/new", "/generations", "/jobs", "/api/v1/jobs",
             "/instruments/0/samples.wav"):
    assert client.get(path).status_code == 200, path
assert client.post("/api/v1/datasets", json={"source": "starter"}).status_code == 202
heavy = {"tensorflow", "keras", "jax", "torch", "music21", "matplotlib", "pandas", "scipy"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""


def test_the_web_process_never_loads_what_only_workers_need(settings: Settings) -> None:
    environment = {"CADENZA_DATA_DIR": str(settings.data_dir), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "[]"
