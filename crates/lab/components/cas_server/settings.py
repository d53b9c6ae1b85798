"""Settings of the lab's django-cas-server: one process on loopback, one SQLite file, people from a JSON file.

Not an example of how to run django-cas-server in production: it serves its own static files and answers to any host
name.
"""

import os
import pathlib
import secrets

_HERE = pathlib.Path(__file__).resolve().parent
_DATA = pathlib.Path(os.environ["LAB_CAS_DATA"])



def _secret_key():
    """Made once for each data directory, so that sessions outlive a restart."""
    path = _DATA / "secret-key"
    if not path.exists():
        path.write_text(secrets.token_hex(32), encoding="ascii")
    return path.read_text(encoding="ascii")


SECRET_KEY = _secret_key()
DEBUG = False
# Loopback only, reached by whatever name under .localhost a test or the demo gives it.
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "cas_server",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _DATA / "cas.sqlite3",
        "OPTIONS": {
            # Several threads write: each takes the write lock at once and waits for it.
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
        },
    },
}

# Django's own default is "same-origin": a popup that passed through here has lost its opener.
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin" if os.environ["LAB_CAS_CUTS_OPENER"] == "yes" else None

STATIC_URL = "/static/"
STATICFILES_DIRS = [_HERE / "static"]

CAS_AUTH_CLASS = "people.LabPerson"
# Otherwise it asks a package registry whether it is up to date.
CAS_NEW_VERSION_HTML_WARNING = False
CAS_NEW_VERSION_EMAIL_WARNING = False
# Its pages load their style from the Internet; here they load ours, and no script.
CAS_COMPONENT_URLS = {
    "bootstrap4_css": "/static/lab.css",
    "bootstrap4_js": "data:text/javascript,",
    "jquery": "data:text/javascript,function%20jQuery(){}",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {"cas_server": {"level": "INFO"}},
}
