"""The CAS protocol under /cas, and a page that says the server is up."""

from django.http import HttpResponse
from django.urls import include, path

urlpatterns = [
    path("up", lambda request: HttpResponse("up", content_type="text/plain")),
    path("cas/", include("cas_server.urls", namespace="cas_server")),
]
