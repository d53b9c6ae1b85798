"""Who can sign in: read once from the JSON file that the lab writes, so that people are named in one place only."""

import functools
import hmac
import json
import os

from cas_server.auth import AuthUser


@functools.cache
def _people():
    """`{username: {"password": str, "attributes": {name: str or [str]}}}`"""
    with open(os.environ["LAB_CAS_PEOPLE"], encoding="utf-8") as file:
        return json.load(file)


class LabPerson(AuthUser):
    """django-cas-server makes one of these for every password it checks and every ticket it validates."""

    def test_password(self, password):
        person = _people().get(self.username)
        return person is not None and hmac.compare_digest(person["password"], password)

    def attributs(self):
        person = _people().get(self.username)
        return {} if person is None else person["attributes"]
