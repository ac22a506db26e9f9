#!/usr/bin/python3 -I
"""A Lineman plugin in Python, to be copied: does a URL answer, and with which status?

    lineman plugin pack web.py --out ~/.local/share/lineman/plugins/web

Lineman starts this program with an empty environment and speaks to it on standard input and
output: each way a frame is a length, four bytes, little-endian, and so many bytes of JSON. It
needs nothing but the standard library, and the interpreter of the first line. `-I` keeps Python
from importing what lies about.

Each call is a task, so that many run at once; cancelling a task is all that `cancel` takes, and
`asyncio.timeout` all that a deadline does.
"""

import asyncio
import errno
import functools
import ipaddress
import json
import os
import socket
import ssl
import struct
import sys
import time
import urllib.parse

# What each code means to whoever asks `lineman explain web/refused`.
KNOWN = [
    ("dns", "network.dns", "The host has no address.", "Correct the name, or this machine's DNS."),
    ("link-local", "config.endpoint-wrong", "The host leads to where no credential may be sent.", "Correct the URL."),
    ("refused", "network.refused", "The host refuses connections.", "Start the service there."),
    ("reset", "network.reset", "The host closed the connection.", "Look at the service's log."),
    ("timeout", "network.timeout", "The host did not answer in time.", "Look for a firewall, or raise the timeout."),
    ("unreachable", "network.unreachable", "The host cannot be reached.", "Look at this machine's routes."),
    ("tls-expired", "network.tls-expired", "The certificate has expired.", "Renew the certificate, or trust its issuer with ca_file."),
    ("tls-hostname", "network.tls-hostname", "The certificate is for another name.", "Renew the certificate, or trust its issuer with ca_file."),
    ("tls-untrusted", "network.tls-untrusted", "The certificate is not to be trusted.", "Renew the certificate, or trust its issuer with ca_file."),
    ("tls-protocol", "network.tls-protocol", "The host does not speak TLS as this machine does.", "Correct the port or the scheme."),
    ("no-http", "config.endpoint-wrong", "What answers does not speak HTTP.", "Correct the URL: scheme, host and port."),
    ("token-malformed", "credential.malformed", "The token holds characters that no header may hold.", "Store the token again, without a line end."),
    ("token-missing", "credential.missing", "The server wants a token.", "Store a token."),
    ("token-rejected", "credential.invalid", "The server rejects the token.", "Store a new token."),
    ("forbidden", "permission.insufficient", "The server refuses the request.", "Give the token's owner access to this URL."),
    ("not-found", "resource.not-found", "The server does not know the URL.", "Correct the URL."),
    ("rate-limited", "provider.rate-limited", "The server throttles requests.", "Ask less often."),
    ("server-error", "provider.outage", "The server fails.", "Look at the provider's status page."),
    ("other-status", "undetermined", "The server answers with another status than it should.", "Look at what answers there."),
]

DESCRIPTION = {
    "id": "web",
    "version": "1.0.0",
    "title": "Web",
    "publisher": "Lineman's examples",
    "protocol": {"min": 1, "max": 1},
    "operations": ["check", "close"],
    "max_parallel": 64,
    "checks": [
        {"id": "web/answers", "title": "The URL answers", "level": "reach", "calls": [{"call": "GET URL"}]},
        {
            "id": "web/status",
            "title": "The URL answers with the status it should",
            "level": "operation",
            "needs": ["web/answers"],
            "calls": [{"call": "GET URL"}],
        },
    ],
    "settings": {
        "type": "object",
        "additionalProperties": False,
        "required": ["url"],
        "properties": {
            "url": {
                "type": "string",
                "pattern": "^https?://",
                "description": "What to ask for.",
                "examples": ["https://www.example.com/health"],
            },
            "status": {"type": "integer", "minimum": 100, "maximum": 599, "description": "Expected; else any below 400."},
        },
    },
    "secrets": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"token": {"type": "string", "description": "Sent as a bearer token, where there is one."}},
    },
    "hosts": ["{url}"],
    "catalog": {
        "rule": [
            {"code": code, "cause": cause, "message": message, "remedies": [{"text": remedy}]}
            for code, cause, message, remedy in KNOWN
        ]
    },
}

# Kinds of events.
FINDING, PROGRESS, RESULT, ERROR = 1, 2, 3, 4
# The answers to a call of a newer protocol, and to one that is none.
UNKNOWN_OPERATION = 1
BAD_REQUEST = 2

# The pipe to the host, before anybody prints: what is printed goes where complaints go.
PIPE = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)

CHECKS = {check["id"] for check in DESCRIPTION["checks"]}


def send(message):
    body = json.dumps(message).encode()
    PIPE.write(struct.pack("<I", len(body)) + body)
    PIPE.flush()


def emit(call, kind, body):
    send({"event": {"call": call, "kind": kind, "body": body}})


class Stop(Exception):
    """Ends a check with a finding."""

    def __init__(self, name, cause, message, remedy, **more):
        super().__init__(message)
        self.finding = {"code": f"web/{name}", "cause": cause, "message": message, "remedies": [{"text": remedy}], **more}


class Check:
    """One check of one integration: what it was told, what it saw, and what it is doing."""

    def __init__(self, request):
        self.id = request["check"]
        self.seconds = request["deadline_ms"] / 1000
        self.settings = request["integration"]["settings"]
        self.connection = request["integration"]["connection"]
        self.token = request.get("secrets", {}).get("token")
        self.url = urllib.parse.urlsplit(self.settings["url"])
        self.host = self.url.hostname or ""
        self.port = self.url.port or (443 if self.url.scheme == "https" else 80)
        self.evidence, self.phases, self.doing = [], [], "dns"
        if limit := self.connection.get("timeout_ms"):
            self.seconds = min(self.seconds, limit / 1000)

    async def phase(self, name, work):
        self.doing, began, ok = name, time.monotonic(), False
        try:
            result, ok = await work, True
            return result
        finally:
            self.phases.append({"name": name, "duration_ms": since(began), "ok": ok})

    async def run(self):
        """Raises a Stop unless the check passes; gives the result where it does."""
        try:
            async with asyncio.timeout(self.seconds):
                status = await self.get()
        except TimeoutError:
            place = f"{self.host} did not answer in time (during {self.doing})."
            raise Stop("timeout", "network.timeout", place, "Look for a firewall, or raise the timeout.") from None
        except OSError as error:
            raise self.failure(error) from None
        if self.id == "web/status":
            self.judge(status)

    def outcome(self):
        # Said, because the report would otherwise promise what was not tried.
        proxy = {"level": "reach", "what": "the way through the proxy", "why": "this plugin connects directly"}
        return {"phases": self.phases, "not_proved": [proxy] if self.connection.get("proxies") else []}

    async def get(self):
        """One GET, phase by phase; gives the status."""
        loop = asyncio.get_running_loop()
        addresses = await self.phase("dns", loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM))
        stream = await self.phase("tcp", self.connect(addresses))
        with stream:
            secure = {}
            if self.url.scheme == "https":
                ca = self.connection.get("ca") or {}
                context = ssl.create_default_context(cafile=ca.get("file"), capath=ca.get("directory"))
                secure = {"ssl": context, "server_hostname": self.host}
            opening = asyncio.open_connection(sock=stream, **secure)
            reader, writer = await (self.phase("tls", opening) if secure else opening)
            try:
                return await self.phase("http", self.exchange(reader, writer))
            finally:
                # Not waited for: who takes part in a TLS farewell may take his time.
                writer.transport.abort()

    async def connect(self, addresses):
        loop, failure = asyncio.get_running_loop(), OSError("no address")
        for family, kind, protocol, _, address in addresses:
            if ipaddress.ip_address(address[0]).is_link_local and not self.connection.get("allow_link_local"):
                message = f"{self.host} leads to {address[0]}, where no credential may be sent."
                raise Stop("link-local", "config.endpoint-wrong", message, "Correct the URL.")
            began, stream = time.monotonic(), socket.socket(family, kind, protocol)
            stream.setblocking(False)
            try:
                await loop.sock_connect(stream, address)
                return stream
            except OSError as error:
                stream.close()
                shown = f"[{address[0]}]:{address[1]}" if family == socket.AF_INET6 else f"{address[0]}:{address[1]}"
                outcome = error.strerror or type(error).__name__
                self.evidence.append({"kind": "tcp", "address": shown, "outcome": outcome, "duration_ms": since(began)})
                failure = error
            except BaseException:
                stream.close()
                raise
        raise failure

    async def exchange(self, reader, writer):
        began = time.monotonic()
        path = urllib.parse.quote(self.url.path or "/", safe="/%:@!$&'()*+,;=~")
        query = f"?{urllib.parse.quote(self.url.query, safe='/%:@!$&()*+,;=?~')}" if self.url.query else ""
        lines = [f"GET {path}{query} HTTP/1.1", f"Host: {self.url.netloc.rpartition('@')[2]}", "Connection: close"]
        lines += ["User-Agent: lineman-web/1.0.0", "Accept: */*"]
        if self.token is not None:
            if not (self.token.isascii() and self.token.isprintable()):
                message = "The token holds characters that no header may hold."
                raise Stop("token-malformed", "credential.malformed", message, "Store the token again, without a line end.")
            lines.append(f"Authorization: Bearer {self.token}")
        writer.write("\r\n".join([*lines, "", ""]).encode())
        try:
            # At most 64 KiB of it.
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            if isinstance(error, asyncio.IncompleteReadError) and not error.partial:
                raise ConnectionResetError(errno.ECONNRESET, "the connection was closed without an answer") from None
            head = ""
        version, _, rest = head.partition("\r\n")[0].partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            message = f"What answers at {self.host} on port {self.port} does not speak HTTP."
            raise Stop("no-http", "config.endpoint-wrong", message, "Correct the URL: scheme, host and port.")
        shown = f"{self.url.scheme}://{self.url.netloc.rpartition('@')[2]}{path}"
        status = int(rest[:3])
        self.evidence.append(
            {"kind": "http", "method": "GET", "url": shown, "status": status, "duration_ms": since(began)}
        )
        return status

    def judge(self, status):
        expected = self.settings.get("status")
        if status == expected or (expected is None and status < 400):
            return
        said = f"{self.host} answers with status {status}"
        if status == 401 and self.token is None:
            raise Stop("token-missing", "credential.missing", f"{said}: it wants a token.", "Store a token.")
        if status == 401:
            raise Stop("token-rejected", "credential.invalid", f"{said}: it rejects the token.", "Store a new token.")
        if status == 403:
            remedy = "Give the token's owner access to this URL."
            raise Stop("forbidden", "permission.insufficient", f"{said}.", remedy, confidence="likely")
        if status == 404:
            raise Stop("not-found", "resource.not-found", f"{said}.", "Correct the URL.", confidence="likely")
        if status == 429:
            raise Stop("rate-limited", "provider.rate-limited", f"{said}.", "Ask less often.")
        if status >= 500:
            raise Stop("server-error", "provider.outage", f"{said}.", "Look at the provider's status page.")
        wanted = f", not {expected}" if expected else ""
        raise Stop("other-status", "undetermined", f"{said}{wanted}.", "Look at what answers there.")

    def failure(self, error):
        """What an error of the network says."""
        where = f"{self.host} on port {self.port}"
        if isinstance(error, socket.gaierror):
            seen = {"kind": "dns", "name": self.host, "answer": error.strerror or "failed", "servers": ["system"]}
            self.evidence.append(seen)
            return Stop("dns", "network.dns", f"{self.host} has no address.", "Correct the name, or this machine's DNS.")
        if isinstance(error, ssl.SSLCertVerificationError):
            # The codes of OpenSSL: expired; another name or address; else not to be trusted.
            cause = {10: "tls-expired", 62: "tls-hostname", 64: "tls-hostname"}.get(error.verify_code, "tls-untrusted")
            message = f"The certificate of {where} is not accepted: {error.verify_message}."
            return Stop(cause, f"network.{cause}", message, "Renew the certificate, or trust its issuer with ca_file.")
        if isinstance(error, ssl.SSLError):
            message = f"{where} does not speak TLS as this machine does."
            return Stop("tls-protocol", "network.tls-protocol", message, "Correct the port or the scheme.")
        if isinstance(error, ConnectionRefusedError):
            return Stop("refused", "network.refused", f"{where} refuses connections.", "Start the service there.")
        if isinstance(error, (ConnectionResetError, BrokenPipeError)):
            return Stop("reset", "network.reset", f"{where} closed the connection.", "Look at the service's log.")
        return Stop("unreachable", "network.unreachable", f"{where} cannot be reached.", "Look at this machine's routes.")


def since(began):
    return round((time.monotonic() - began) * 1000)


async def answer(call, request):
    """Runs a call to its one terminal event, unless it is cancelled."""
    try:
        check = Check(request)
        try:
            await check.run()
        except Stop as stop:
            emit(call, FINDING, stop.finding | {"evidence": check.evidence})
        emit(call, RESULT, check.outcome())
    except Exception as error:  # Its text is not shown: it may hold a secret.
        emit(call, ERROR, {"cause": "plugin.crashed", "message": f"it failed with a {type(error).__name__}"})


def end(tasks, call, task):
    """Forgets a call. One that was cancelled may not even have begun, so its end is told here."""
    del tasks[call]
    if task.cancelled():
        emit(call, ERROR, {"cause": "plugin.timed-out", "message": "it was cancelled"})


async def receive(reader):
    """The next message; none when the host has closed the pipe."""
    try:
        (length,) = struct.unpack("<I", await reader.readexactly(4))
        ((kind, message),) = json.loads(await reader.readexactly(length)).items()
        return kind, message
    except asyncio.IncompleteReadError:
        return "shutdown", {}


async def main():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    send({"hello": {"description": DESCRIPTION}})
    tasks = {}
    while True:
        kind, message = await receive(reader)
        call = message.get("call")
        if kind == "shutdown":
            return
        elif kind == "cancel" and call in tasks:
            tasks[call].cancel()
        elif kind == "submit" and message["op"] == "check" and message["request"].get("check") not in CHECKS:
            send({"refused": {"call": call, "code": BAD_REQUEST}})
        elif kind == "submit" and message["op"] == "check":
            tasks[call] = asyncio.create_task(answer(call, message["request"]))
            tasks[call].add_done_callback(functools.partial(end, tasks, call))
        elif kind == "submit" and message["op"] == "close":
            # No session, nothing to wipe.
            emit(call, RESULT, {})
        elif kind == "submit":
            send({"refused": {"call": call, "code": UNKNOWN_OPERATION}})
        # A message of a newer protocol is not for this version.


asyncio.run(main())
