"""Makes the database if there is none, allows the lab's services, and serves until it is killed.

Usage: serve.py PORT SERVICE_PATTERN
"""

import os
import socket
import sys

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

import django  # noqa: E402 (the settings must be named first)

django.setup()

from cas_server.models import ReplaceAttributName, ServicePattern  # noqa: E402
from django.contrib.staticfiles.handlers import StaticFilesHandler  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.servers.basehttp import run  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402


def allow_services(pattern):
    """Tickets for services that match `pattern`, with every attribute, and a notice when the session ends."""
    service, _ = ServicePattern.objects.update_or_create(
        name="lab", defaults={"pattern": pattern, "single_log_out": True}
    )
    ReplaceAttributName.objects.get_or_create(service_pattern=service, name="*", replace="")


def find_localhost():
    """`*.localhost` is this machine (RFC 6761 section 6.3), which the C library does not know: notices go to services there."""
    look_up = socket.getaddrinfo

    def look_up_here(host, *arguments, **options):
        is_here = isinstance(host, str) and host.endswith(".localhost")
        return look_up("127.0.0.1" if is_here else host, *arguments, **options)

    socket.getaddrinfo = look_up_here


def main():
    port, pattern = int(sys.argv[1]), sys.argv[2]
    call_command("migrate", verbosity=0, interactive=False)
    allow_services(pattern)
    find_localhost()
    run("127.0.0.1", port, StaticFilesHandler(get_wsgi_application()), threading=True)


if __name__ == "__main__":
    main()
