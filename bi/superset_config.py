"""Superset settings, read through SUPERSET_CONFIG_PATH. Secrets come only from the environment."""

from __future__ import annotations

import os


def _required(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise RuntimeError(f"{name} is not set; next: deploy/new-env writes it into .env, and docs/bi.md describes it")
    return value


SECRET_KEY = _required("SUPERSET_SECRET_KEY")
SQLALCHEMY_DATABASE_URI = _required("SUPERSET_DATABASE_URL")

APP_NAME = "metaalexport"
# No external hosts: no tracking pixel or map tiles, which Superset allows by default, and no fonts.
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "frame-ancestors": ["'self'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'"],
        "script-src": ["'self'", "'strict-dynamic'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    # TLS terminates at a proxy in front, if there is one.
    "force_https": False,
    "session_cookie_secure": False,
}
THEME_FONT_URL_ALLOWED_DOMAINS: list[str] = []
# Titles, labels and notes come from offices: their HTML is not rendered, and text typed into a chart is never code.
HTML_SANITIZATION = True
HTML_SANITIZATION_SCHEMA_EXTENSIONS: dict[str, list[str]] = {}
FEATURE_FLAGS = {
    "ESCAPE_MARKDOWN_HTML": True,
    "ENABLE_JAVASCRIPT_CONTROLS": False,
    "ENABLE_TEMPLATE_PROCESSING": False,
}

# Row limits of charts and of SQL Lab.
ROW_LIMIT = 10_000
SQL_MAX_ROW = 100_000
# The marts' reader has a statement timeout of one minute; the page waits a little longer, to show the server's message.
SUPERSET_WEBSERVER_TIMEOUT = 65
SQLLAB_TIMEOUT = 60
# Results are not cached: a chart shows what is published at the time of the request.
