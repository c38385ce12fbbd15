"""Schemathesis hooks: sign in where required, vary the IP address, and sometimes send the right password."""

import os
import random
import time
import uuid

import requests
import schemathesis

URL = os.environ["FUZZ_URL"]
CREDENTIALS = {"email": os.environ["FUZZ_EMAIL"], "password": os.environ["FUZZ_PASSWORD"]}
session = None


def address():
    """A random IP address: the rate limits per address are tested elsewhere."""
    return ".".join(str(random.randint(1, 254)) for _ in range(4))


def is_uuid(text):
    try:
        return str(uuid.UUID(text)) == text
    except (AttributeError, TypeError, ValueError):
        return False


def sign_in():
    for _ in range(60):
        headers = {"x-forwarded-for": address()}
        response = requests.post(f"{URL}/api/v1/sessions", json=CREDENTIALS, headers=headers, timeout=30)
        if response.status_code == 201:
            name, value = "__Host-session", response.cookies["__Host-session"]
            account = requests.get(f"{URL}/api/v1/accounts/current", cookies={name: value}, timeout=30)
            return name, value, account.json()["id"]
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
        name, value, _ = data
        case.cookies[name] = value


@schemathesis.hook
def before_call(context, case, kwargs):
    case.headers["x-forwarded-for"] = address()
    # A random account id would be that of another account.
    if session and is_uuid(case.headers.get("X-Account-Id")) and random.random() < 0.9:
        case.headers["X-Account-Id"] = session[2]
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
