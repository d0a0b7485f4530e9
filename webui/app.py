"""The web application: pages and API in one process."""

from __future__ import annotations

import hashlib

from apiflask import APIFlask
from flask_bootstrap import Bootstrap5
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

import core
from core.settings import Settings
from webui.access import attach_access
from webui.acts import attach_acts
from webui.api import api
from webui.assets import assets
from webui.context import attach_services
from webui.guards import guard, secret_key
from webui.limits import attach_limits
from webui.metrics import measure_requests
from webui.operations import bp as operations
from webui.pages.everything import register_pages
from webui.problems import handle_problems
from webui.provider import attach_provider
from webui.request_ids import name_requests
from webui.row_numbers import NumberConverter
from webui.sign_in import attach_sign_in


def create_app(settings: Settings | None = None) -> APIFlask:
    """The application over an installation whose database is migrated; `settings` default to the environment's."""
    settings = settings or Settings()
    app = APIFlask(
        __name__,
        title="Cadenza",
        version=core.__version__,
        spec_path="/api/v1/openapi.json",
        docs_path=None,
        json_errors=False,
    )
    key = secret_key(settings.data_dir)
    app.config.update(
        SECRET_KEY=key,
        # Cookies do not know ports: two installations on one machine must not overwrite each other's session.
        SESSION_COOKIE_NAME=f"cadenza_{hashlib.sha256(key.encode()).hexdigest()[:8]}",
        # A provider sends people back from its own pages, and the browser must bring the cookie along.
        SESSION_COOKIE_SAMESITE="Lax" if settings.oidc_issuer else "Strict",
        SESSION_COOKIE_SECURE=settings.is_behind_tls,
        MAX_CONTENT_LENGTH=settings.upload_limit_bytes,
        MAX_FORM_PARTS=20_000,
        MAX_FORM_MEMORY_SIZE=8 * 2**20,
        WTF_CSRF_TIME_LIMIT=None,
        BOOTSTRAP_SERVE_LOCAL=True,
        SEND_FILE_MAX_AGE_DEFAULT=3600,
    )
    app.url_map.converters["number"] = NumberConverter
    attach_services(app, settings)
    measure_requests(app)
    name_requests(app)
    # Before the form tokens are checked: a foreign page is refused for what it is.
    guard(app)
    attach_sign_in(app)
    attach_access(app)
    attach_limits(app, settings)
    attach_acts()
    attach_provider(app, settings)
    Bootstrap5(app)
    csrf = CSRFProtect(app)
    csrf.exempt(api)
    handle_problems(app)
    if settings.proxies_count:
        count = settings.proxies_count
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    app.register_blueprint(assets)
    app.register_blueprint(api)
    app.register_blueprint(operations)
    register_pages(app)
    return app
