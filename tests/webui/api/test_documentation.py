"""The examples of docs/api.md, sent as they stand."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core.music.writing import write_midi
from tests.tools.web_content import WebContent, some_notes

_PAGE = Path(__file__).resolve().parents[3] / "docs" / "api.md"


def test_the_examples_work(api: Any, content: WebContent) -> None:
    files: dict[str, bytes] = {"chorale.mid": write_midi(some_notes(1))}
    lines = [
        line for block in re.findall(r"```sh\n(.*?)```", _PAGE.read_text(), re.DOTALL) for line in block.split("\n")
    ]
    examples = [shlex.split(line) for line in lines if line]
    assert len(examples) > 20
    for number, words in enumerate(examples):
        assert words[0] == "curl"
        _send(api, words[1:], files)
        # What a worker would have done by now.
        if words[-1].endswith("/datasets/1/rejections"):
            content.dataset("Chorales")
            content.training(2, content.model("Starter"))
        elif words[-1].endswith("/generations"):
            content.make_takes(1)
        assert number < 100


def test_the_example_of_an_error_is_the_answer(api: Any, content: WebContent) -> None:
    content.model()
    (example,) = re.findall(r"```json\n(.*?)\n```", _PAGE.read_text(), re.DOTALL)
    refused = api.ask("POST", "/generations", 422, json={"model": 1, "settings": {"seeds": "9-1"}})
    assert refused.json == json.loads(example)


def _send(api: Any, words: list[str], files: dict[str, bytes]) -> None:
    """What curl would send: `-X`, `--json`, `-F` and `-o` are understood."""
    options: dict[str, Any] = {}
    form: dict[str, Any] = {}
    method, target = "GET", ""
    rest = iter(words[:-1])
    for word in rest:
        value = next(rest)
        if word == "-X":
            method = value
        elif word == "--json":
            options |= {"data": value, "content_type": "application/json"}
        elif word == "-o":
            target = value
        else:
            assert word == "-F"
            field, _, text = value.partition("=")
            form[field] = (io.BytesIO(files[text[1:]]), text[1:]) if text.startswith("@") else text
    if form:
        options["data"] = form
    if options and method == "GET":
        method = "POST"
    address = urlsplit(words[-1])
    assert address.netloc == "127.0.0.1:8420"
    path = address.path.removeprefix("/api/v1") + (f"?{address.query}" if address.query else "")
    response = api._client.open(f"/api/v1{path}", method=method, headers={"Host": address.netloc}, **options)
    assert response.status_code < 300, (words, response.text)
    api._check(method, path, response)
    if target:
        files[target] = response.data
