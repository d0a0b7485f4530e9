"""An OpenID provider in a process of its own: discovery, authorization code with PKCE, signed ID tokens.

    python -m tests.tools.openid_provider PORT_FILE

It signs in whoever `/choose?sub=...&name=...` named last, without asking, and can be told to lie: `/choose?lie=nonce`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, jsonify, redirect, request
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

CLIENT_ID, CLIENT_SECRET = "cadenza-test", "a client's secret"


def create_provider() -> Flask:
    """The provider; its address is that of the request."""
    app = Flask(__name__)
    key, forged = (RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}) for _ in range(2))
    codes: dict[str, dict[str, str]] = {}
    chosen: dict[str, str] = {"sub": "1", "name": "Mia M.", "preferred_username": "mia.m"}

    @app.get("/choose")
    def choose() -> Response:
        chosen.clear()
        chosen.update(request.args)
        return jsonify(dict(chosen))

    @app.get("/.well-known/openid-configuration")
    def discovery() -> Response:
        base = request.host_url.rstrip("/")
        return jsonify(
            issuer=base,
            authorization_endpoint=f"{base}/authorize",
            token_endpoint=f"{base}/token",
            jwks_uri=f"{base}/keys",
            response_types_supported=["code"],
            id_token_signing_alg_values_supported=["RS256"],
            code_challenge_methods_supported=["S256"],
        )

    @app.get("/keys")
    def keys() -> Response:
        return jsonify(keys=[key.as_dict(private=False)])

    @app.get("/authorize")
    def authorize() -> Any:
        asked = request.args
        wanted = {"client_id": CLIENT_ID, "response_type": "code", "code_challenge_method": "S256"}
        if any(asked.get(name) != value for name, value in wanted.items()) or not asked.get("nonce"):
            return Response("a code with PKCE and nonce is wanted", 400)
        if chosen.get("lie") == "refuse":
            said = {"error": "access_denied", "error_description": "Not you.", "state": asked["state"]}
            return redirect(f"{asked['redirect_uri']}?{urlencode(said)}")
        code = secrets.token_urlsafe(16)
        codes[code] = dict(asked)
        return redirect(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    @app.post("/token")
    def token() -> Any:
        asked = codes.pop(request.form.get("code", ""), None)
        given = request.authorization
        if given is None or (given.username, given.password) != (CLIENT_ID, CLIENT_SECRET):
            return jsonify(error="invalid_client"), 401
        digest = hashlib.sha256(request.form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            asked is None
            or challenge != asked["code_challenge"]
            or request.form["redirect_uri"] != asked["redirect_uri"]
        ):
            return jsonify(error="invalid_grant"), 400
        claims = _claims(chosen, request.host_url.rstrip("/"), asked["nonce"])
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, forged if chosen.get("lie") == "signature" else key)
        return jsonify(access_token="unused", token_type="Bearer", expires_in=300, id_token=signed)

    return app


def _claims(chosen: dict[str, str], issuer: str, nonce: str) -> dict[str, Any]:
    lie, now = chosen.get("lie", ""), int(time.time())
    claims: dict[str, Any] = {
        "iss": "https://evil.example" if lie == "issuer" else issuer,
        "aud": "another" if lie == "audience" else CLIENT_ID,
        "nonce": "another" if lie == "nonce" else nonce,
        "iat": now,
        "exp": now - 4_000 if lie == "expired" else now + 300,
        **{name: value for name, value in chosen.items() if name != "lie"},
    }
    if "email" in claims:
        claims["email_verified"] = lie != "email"
    return claims


def main(port_file: Path) -> None:
    """Serve on a free port of loopback until killed, and write the port down."""
    server = make_server("127.0.0.1", 0, create_provider(), threaded=True)
    aside = port_file.with_suffix(".part")
    aside.write_text(json.dumps(server.server_port))
    aside.replace(port_file)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
