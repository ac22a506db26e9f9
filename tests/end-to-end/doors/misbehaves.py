#!/usr/bin/python3 -I
"""A program behind the door for programs whose one check does what its setting `behaviour` says.
Nothing here is an example to follow."""

import json
import os
import signal
import struct
import sys
import threading

DESCRIPTION = {
    "id": "exec-door",
    "version": "1.0.0",
    "title": "Program",
    "publisher": "Lineman's tests",
    "protocol": {"min": 1, "max": 1},
    "operations": ["check", "close"],
    "checks": [{"id": "exec-door/act", "title": "It behaves", "level": "config"}],
    "settings": {"type": "object", "properties": {"behaviour": {"type": "string"}}},
    "secrets": {"type": "object", "properties": {"token": {"type": "string"}}},
}
FINDING, PROGRESS, RESULT, ERROR = 1, 2, 3, 4
LOCK = threading.Lock()


def raw(data):
    with LOCK:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def send(message):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    raw(struct.pack("<I", len(body)) + body)


def say(call, kind, body):
    send({"event": {"call": call, "kind": kind, "body": body}})


def finding(text="One of many.", **more):
    return {"code": "exec-door/x", "cause": "undetermined", "message": text, **more}


def tell(call, token):
    sys.stderr.write(f"stderr {token}\n")
    sys.stderr.flush()
    say(call, PROGRESS, {"text": f"progress {token}"})
    half = len(token) // 2
    broken = f"{token[:half]}\x1b[1m\u200b{token[half:]}"
    evidence = [{"kind": "log", "source": "s", "lines": [token]}, {"kind": "new", token: 1}]
    say(call, FINDING, finding(f"message {token}", detail=f"detail {broken}", evidence=evidence))
    # The most that is shown of a text ends in the middle of it.
    say(call, FINDING, finding("x" * (4096 - 15) + token))


def act(call, behaviour, token):
    done = lambda: say(call, RESULT, {})
    if behaviour == "well":
        done()
    elif behaviour == "well-in-a-while":
        threading.Timer(0.3, done).start()
    elif behaviour == "complain":
        sys.stderr.write("a line that is nobody's business\n" * 10000)
        done()
    elif behaviour == "two-results":
        done()
        say(call, ERROR, {"cause": "plugin.crashed", "message": "a second word"})
    elif behaviour == "unknown-kinds":
        say(call, 77, "whatever")
        done()
    elif behaviour == "another-hello":
        send({"hello": {"description": {}}})
        done()
    elif behaviour == "much-progress":
        for _ in range(20000):
            say(call, PROGRESS, {"text": "still here"})
        done()
    elif behaviour == "print":
        print("asking the provider", flush=True)
    elif behaviour == "huge-frame":
        raw(b"\xff\xff\xff\x7f")
    elif behaviour == "no-json":
        send(b"}{")
    elif behaviour == "unknown-message":
        send({"frobnicate": {"token": token}})
    elif behaviour == "too-deep":
        send(b'{"event":{"call":1,"kind":1,"body":' + b"[" * 100000)
    elif behaviour == "not-a-finding":
        say(call, FINDING, {"a": 1})
    elif behaviour == "not-a-result":
        say(call, RESULT, [1, 2])
    elif behaviour == "huge-finding":
        say(call, FINDING, finding("x" * (2 << 20)))
    elif behaviour == "flood-findings":
        while True:
            say(call, FINDING, finding())
    elif behaviour == "flood-secrets":
        for number in range(200):
            secret = {"name": "secret", "value": f"secret number {number}"}
            send({"host_call": {"call": call, "op": "secret", "body": secret}})
        done()
    elif behaviour == "exit-zero":
        os._exit(0)
    elif behaviour == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif behaviour == "half-a-frame":
        raw(struct.pack("<I", 100) + b"{")
        os._exit(0)
    elif behaviour == "close-the-pipe":
        os.close(1)
    elif behaviour == "eat-memory":
        eaten = []
        try:
            while True:
                eaten.append(bytearray(16 << 20))
        except MemoryError:
            os._exit(9)
    elif behaviour == "refuse":
        send({"refused": {"call": call, "code": 3}})
    elif behaviour == "environment":
        # What it was given: an environment, arguments, a directory, descriptors.
        seen = [list(os.environ), os.listdir("."), sorted(os.listdir("/proc/self/fd"))]
        say(call, FINDING, finding(json.dumps(seen)))
        done()
    elif behaviour == "tell":
        tell(call, token)
        say(call, RESULT, {"not_proved": [{"level": "config", "what": f"what {token}", "why": token}]})
    elif behaviour == "tell-and-fail":
        tell(call, token)
        say(call, ERROR, {"cause": "plugin.crashed", "message": "x" * 490 + token})
    elif behaviour == "tell-and-print":
        tell(call, token)
        raw(token.encode())
    # Whatever else was asked for, such as `no-result`, is not answered.


def receive():
    prefix = sys.stdin.buffer.read(4)
    if len(prefix) < 4:
        return None
    return json.loads(sys.stdin.buffer.read(struct.unpack("<I", prefix)[0]))


send({"hello": {"description": DESCRIPTION}})
while (message := receive()) and "shutdown" not in message:
    submit = message.get("submit")
    if submit and submit["op"] == "check":
        request = submit["request"]
        asked = request["integration"]["settings"]["behaviour"], request["secrets"].get("token", "")
        threading.Thread(target=act, args=(submit["call"], *asked), daemon=True).start()
    elif submit:
        say(submit["call"], RESULT, {})
os._exit(0)
