"""A SAML identity provider of pysaml2 that does as it is told: one for every name that was set up.

Usage: serve.py PORT DATA

PUT /lab/NAME with `{"service": METADATA, "keys": [KEY, ..], "signs": ["response", "assertion"], "signs_with": KEY,
"encrypts_with": ALGORITHM, "wants_signed_requests": BOOL, "says": {..}}` sets one up, or anew; DATA holds KEY.key and
KEY.crt of every key, and people.json.
"""

import base64
import html
import http.server
import json
import pathlib
import secrets
import subprocess
import sys
import tempfile
import threading
import urllib.parse

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, class_name
from saml2.authn_context import PASSWORDPROTECTEDTRANSPORT
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAME_FORMAT_URI, NAMEID_FORMAT_PERSISTENT, NameID
from saml2.samlp import STATUS_AUTHN_FAILED, STATUS_RESPONDER, Status, StatusCode
from saml2.server import Server
from saml2.sigver import pre_encrypt_assertion, pre_encryption_part, pre_signature_part
from saml2.xmldsig import DIGEST_SHA256, SIG_ECDSA_SHA256, SIG_RSA_SHA256

PORT, DATA = int(sys.argv[1]), pathlib.Path(sys.argv[2])
BASE = f"http://127.0.0.1:{PORT}"
PEOPLE = json.loads((DATA / "people.json").read_text(encoding="utf-8"))
XMLSEC = "/usr/bin/xmlsec1"
XMLENC, XMLENC11 = "http://www.w3.org/2001/04/xmlenc#", "http://www.w3.org/2009/xmlenc11#"
# What xmlsec1 calls the session key of each.
SESSION_KEYS = {
    f"{XMLENC11}aes128-gcm": "aes-128",
    f"{XMLENC11}aes256-gcm": "aes-256",
    f"{XMLENC}aes128-cbc": "aes-128",
    f"{XMLENC}aes256-cbc": "aes-256",
    f"{XMLENC}tripledes-cbc": "des-192",
}


class IdentityProvider:
    """One of them, with the requests that are waiting for a password."""

    def __init__(self, name, setup):
        self.name, self.setup, self.waiting = name, setup, {}
        first, *others = setup["keys"]
        config = {
            "entityid": f"{BASE}/{name}",
            "xmlsec_binary": XMLSEC,
            "key_file": str(DATA / f"{setup.get('signs_with', first)}.key"),
            "cert_file": str(DATA / f"{first}.crt"),
            "additional_cert_files": [str(DATA / f"{other}.crt") for other in others],
            "service": {
                "idp": {
                    "endpoints": {
                        "single_sign_on_service": [
                            (f"{BASE}/{name}/sso", BINDING_HTTP_REDIRECT),
                            (f"{BASE}/{name}/sso", BINDING_HTTP_POST),
                        ]
                    },
                    "want_authn_requests_signed": setup.get("wants_signed_requests", False),
                    "name_id_format": [NAMEID_FORMAT_PERSISTENT],
                    "policy": {"default": {"lifetime": {"minutes": 5}, "name_form": NAME_FORMAT_URI}},
                }
            },
            "metadata": {"inline": [setup["service"]]} if setup.get("service") else {},
        }
        self.config = IdPConfig().load(config)
        self.server = Server(config=self.config)

    def metadata(self):
        """Of a library that publishes `cert_file` and the additional ones."""
        return str(entity_descriptor(self.config))

    def take_request(self, parameters, binding):
        """Verifies a request as the library does; the page that asks for a password."""
        asked = self.server.parse_authn_request(
            parameters["SAMLRequest"],
            binding,
            relay_state=parameters.get("RelayState"),
            sigalg=parameters.get("SigAlg"),
            signature=parameters.get("Signature"),
        )
        request = asked.message
        ticket = secrets.token_hex(16)
        self.waiting[ticket] = (request, parameters.get("RelayState", ""))
        return form(f"/{self.name}/password", ticket, "Who are you?")

    def take_password(self, parameters):
        """The answer to the request, or the form once more."""
        ticket = parameters["ticket"]
        request, relay_state = self.waiting[ticket]
        if "cancel" in parameters:
            return self.answer(request, relay_state, self.refusal(request))
        person = PEOPLE.get(parameters.get("username"))
        if person is None or not secrets.compare_digest(person["password"], parameters.get("password", "")):
            return form(f"/{self.name}/password", ticket, "That is not right.")
        del self.waiting[ticket]
        return self.answer(request, relay_state, self.response(request, parameters["username"], person))

    def refusal(self, request):
        """SAML core 3.2.2.2, signed or not like any other."""
        failed = StatusCode(value=STATUS_RESPONDER, status_code=StatusCode(value=STATUS_AUTHN_FAILED))
        response = self.server._response(request.id, self.consumer(request), Status(status_code=failed))
        return self.signed(response)

    def consumer(self, request):
        """Where the service's metadata says that answers go."""
        binding, destination = self.server.pick_binding(
            "assertion_consumer_service", [BINDING_HTTP_POST], entity_id=request.issuer.text
        )
        assert binding == BINDING_HTTP_POST
        return destination

    def response(self, request, username, person):
        """What the library makes of somebody, changed as it was told, then signed and encrypted."""
        service = request.issuer.text
        name_id = NameID(
            format=NAMEID_FORMAT_PERSISTENT,
            name_qualifier=self.config.entityid,
            sp_name_qualifier=service,
            text=f"{username}-for-{self.name}",
        )
        response = self.server.create_authn_response(
            # The library knows the OIDs of most.
            person["attributes"],
            request.id,
            self.consumer(request),
            service,
            name_id=name_id,
            authn={"class_ref": PASSWORDPROTECTEDTRANSPORT, "authn_auth": self.config.entityid},
            sign_response=False,
            sign_assertion=False,
            encrypt_assertion=False,
        )
        self.lie(response)
        return self.signed(response)

    def lie(self, response):
        """The library would not say it by itself."""
        says = self.setup.get("says", {})
        assertion = response.assertion
        if isinstance(assertion, list):
            (assertion,) = assertion
        data = assertion.subject.subject_confirmation[0].subject_confirmation_data
        if "audience" in says:
            assertion.conditions.audience_restriction[0].audience[0].text = says["audience"]
        if "recipient" in says:
            data.recipient = says["recipient"]
        if "destination" in says:
            response.destination = says["destination"]
        if "in_response_to" in says:
            response.in_response_to = data.in_response_to = says["in_response_to"]
        if "issuer" in says:
            response.issuer.text = assertion.issuer.text = says["issuer"]
        if "not_on_or_after" in says:
            data.not_on_or_after = assertion.conditions.not_on_or_after = says["not_on_or_after"]
        if "name" in says:
            assertion.subject.name_id.text = says["name"]

    def signed(self, response):
        """Signatures and encryption by xmlsec1, in the order of SAML core 6.2, as the library drives it."""
        setup = self.setup
        key = setup.get("signs_with", setup["keys"][0])
        algorithm = SIG_ECDSA_SHA256 if key.startswith("ec") else SIG_RSA_SHA256
        certificate = "".join((DATA / f"{key}.crt").read_text(encoding="ascii").splitlines()[1:-1])
        # One, a list of one, or none in a refusal.
        assertion = response.assertion
        if isinstance(assertion, list):
            assertion = next(iter(assertion), None)

        def template(element):
            return pre_signature_part(element.id, certificate, sign_alg=algorithm, digest_alg=DIGEST_SHA256)

        def sign(text, element):
            key_file = str(DATA / f"{key}.key")
            return self.server.sec.sign_statement(text, class_name(element), key_file=key_file, node_id=element.id)

        if "response" in setup["signs"]:
            response.signature = template(response)
        if assertion is not None and "assertion" in setup["signs"]:
            assertion.signature = template(assertion)
        text = str(response)
        encrypts_with = setup.get("encrypts_with")
        if assertion is not None and encrypts_with:
            tag = assertion._to_element_tree().tag
            enclosing = pre_encrypt_assertion(response)
            # What signs the response canonicalizes it, and that leaves out prefixes that ciphertext alone uses: the library
            # has assertions declare their own by default. Without a signature around it, prefixes are the response's.
            text = (
                enclosing.get_xml_string_with_self_contained_assertion_within_encrypted_assertion(tag)
                if "response" in setup["signs"]
                else str(enclosing)
            )
        if assertion is not None and "assertion" in setup["signs"]:
            text = sign(text, assertion)
        if assertion is not None and encrypts_with:
            text = self.encrypted(text, encrypts_with)
        if "response" in setup["signs"]:
            text = sign(text, response)
        return text

    def encrypted(self, text, algorithm):
        """To the first encryption key of the service's metadata."""
        certificates = self.server.metadata.certs(
            next(iter(self.server.metadata.keys())), "any", "encryption"
        )
        with tempfile.NamedTemporaryFile("w", suffix=".crt") as file:
            body = "\n".join(certificates[0][1].split())
            file.write(f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
            file.flush()
            template = pre_encryption_part(msg_enc=algorithm)
            return self.server.sec.crypto.encrypt_assertion(
                text, file.name, template, key_type=SESSION_KEYS[algorithm]
            )

    def answer(self, request, relay_state, text):
        """SAML bindings 3.5."""
        encoded = base64.b64encode(text.encode("utf-8")).decode("ascii")
        fields = {"SAMLResponse": encoded, "RelayState": relay_state}
        inputs = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(value)}">' for name, value in fields.items()
        )
        action = html.escape(self.consumer(request))
        return page(
            f'<form method="post" action="{action}">{inputs}<button>Continue</button></form>'
            "<script>document.forms[0].submit()</script>"
        )


def form(action, ticket, words):
    """Name and password, or neither."""
    return page(
        f"<h1>{html.escape(words)}</h1>"
        f'<form method="post" action="{action}"><input type="hidden" name="ticket" value="{ticket}">'
        '<input name="username"><input name="password" type="password"><button>Sign in</button>'
        '<button name="cancel" value="yes">Cancel</button></form>'
    )


def page(body):
    return f'<!DOCTYPE html><html lang="en"><title>pysaml2</title><body>{body}</body></html>'


IDENTITY_PROVIDERS = {}
LOCK = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/up":
            return self.say("up")
        _, name, what = path.split("/")
        provider = IDENTITY_PROVIDERS[name]
        if what == "metadata":
            return self.say(provider.metadata(), "application/samlmetadata+xml")
        self.attempt(lambda: provider.take_request(parameters(query), BINDING_HTTP_REDIRECT))

    def do_POST(self):
        _, name, what = self.path.split("/")
        sent, provider = parameters(self.body()), IDENTITY_PROVIDERS[name]
        if what == "sso":
            self.attempt(lambda: provider.take_request(sent, BINDING_HTTP_POST))
        else:
            self.attempt(lambda: provider.take_password(sent))

    def do_PUT(self):
        _, _, name = self.path.split("/")
        setup = json.loads(self.body())
        with LOCK:
            IDENTITY_PROVIDERS[name] = IdentityProvider(name, setup)
        self.say("ready")

    def attempt(self, work):
        """A page about whatever it refuses."""
        try:
            with LOCK:
                answer = work()
        except Exception as error:  # noqa: BLE001 (the library has no common class of errors)
            self.log_error("refused: %r", error)
            return self.say(page(f"<h1>Refused</h1><p>{html.escape(type(error).__name__)}</p>"), status=400)
        self.say(answer)

    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"])).decode("utf-8")

    def say(self, text, kind="text/html; charset=utf-8", status=200):
        data = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def parameters(text):
    return dict(urllib.parse.parse_qsl(text, keep_blank_values=True))


if __name__ == "__main__":
    subprocess.run([XMLSEC, "--version"], check=True)
    http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
