"""Schemathesis hooks: sign in where required, vary the IP address, and sometimes send the right password."""

import os
import random
import time

import requests
import schemathesis

URL = os.environ["FUZZ_URL"]
CREDENTIALS = {"email": os.environ["FUZZ_EMAIL"], "password": os.environ["FUZZ_PASSWORD"]}
session = None


def address():
    """A random IP address: the rate limits per address are tested elsewhere."""
    return ".".join(str(random.randint(1, 254)) for _ in range(4))


def sign_in():
    for _ in range(60):
        headers = {"x-forwarded-for": address()}
        response = requests.post(f"{URL}/api/v1/sessions", json=CREDENTIALS, headers=headers, timeout=30)
        if response.status_code == 201:
            # Over http the cookie's name has a port.
            return next((name, value) for name, value in response.cookies.items() if name.startswith("session"))
        # All tests together may use up the limit of a network.
        time.sleep(int(response.headers["retry-after"]))
    raise RuntimeError("no sign-in within a minute")


@schemathesis.auth(refresh_interval=None)
class Session:
    def get(self, case, context):
        global session
        session = session or sign_in()
        return session

    def set(self, case, data, context):
        name, value = data
        case.cookies[name] = value


@schemathesis.hook
def before_call(context, case, kwargs):
    case.headers["x-forwarded-for"] = address()
    # Most random account ids would be those of others.
    if random.random() < 0.9:
        case.headers.pop("X-Account-Id", None)
    use_password = isinstance(case.body, dict) and random.random() < 0.3
    if use_password and case.operation.label == "POST /api/v1/sessions" and set(case.body) == set(CREDENTIALS):
        case.body = dict(CREDENTIALS)
    if use_password and case.operation.label == "PATCH /api/v1/accounts/current" and "current_password" in case.body:
        case.body["current_password"] = CREDENTIALS["password"]


@schemathesis.hook
def after_call(context, case, response):
    global session
    if case.method == "DELETE" and "/sessions" in case.path and response.status_code == 204:
        session = None
    # Signing in revokes the session whose cookie is sent with it.
    if case.operation.label == "POST /api/v1/sessions" and response.status_code == 201:
        session = None
