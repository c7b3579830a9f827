# SPDX-License-Identifier: ISC
"""What a scripted day left behind, looked at from outside; docs/FORMAT.md and the schemas alone, nothing of satchel's code.

    day.py validate DAY SITE-STATE    every document of the day, by python3-jsonschema
    day.py search DIR NEEDLES         does a file below DIR hold a line of NEEDLES, in any form?
    day.py colours LOOK               subject, name, colour and reason, a line each
    day.py rules LOOKS WANTED         did every rule of WANTED (subject colour slug) give a colour in one of LOOKS?

DAY holds copies: depot/ (every file that ever lay there), site/N/, private/N/ and config/N/.
Needs PyNaCl (python3-nacl) and python3-jsonschema.
"""
import base64
import importlib.machinery
import importlib.util
import json
import os
import re
import subprocess
import sys
import tarfile

import forge
import nacl.public

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")


def agree():
    loader = importlib.machinery.SourceFileLoader("agree", os.path.join(TOP, "tests/schemas/agree"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("agree", loader))
    loader.exec_module(module)
    return module


def files(directory):
    for folder, _, names in os.walk(directory):
        for name in sorted(names):
            yield os.path.join(folder, name)


class Sealed:
    """Opens what was sealed to a key without passphrase."""

    def __init__(self, state):
        self.boxes = []
        for path in files(os.path.join(state, "keys")):
            if os.path.basename(path).startswith("collect") and path.endswith(".key"):
                raw = base64.b64decode(forge.read(path).split(b"\n")[1])
                assert raw[:2] == b"Ex" and raw[2:4] == b"\0\0"
                self.boxes.append(nacl.public.SealedBox(nacl.public.PrivateKey(raw[62:94])))

    def open(self, data):
        line, _, box = data.partition(b"\n")
        assert line.startswith(b"satchel-sealed/1 ")
        for opener in self.boxes:
            try:
                return opener.decrypt(box)
            except Exception:  # another key's
                continue
        raise AssertionError("sealed to a key that is not there")


def manifest(path):
    with tarfile.open(path) as tar:
        return forge.inner(tar.extractfile("manifest").read())


def documents(day, state):
    """(where it was found, kind, bytes)"""
    sealed = Sealed(state)
    for path in files(os.path.join(day, "depot")):
        kind = path.rsplit(".", 1)[1]
        if os.path.basename(path) == "satchel.yaml":
            yield path, "depot", forge.read(path)
        elif kind in ("trust", "beat", "shard", "head"):
            inner = forge.inner(forge.read(path))
            second = inner.startswith(b"satchel: %s/2\n" % kind.encode())
            yield path, f"{kind}-2" if second else kind, inner
            if kind == "head" and second:
                release = re.search(rb'release: "?([A-Za-z0-9+/=]+)', inner).group(1)
                yield path, "release", forge.inner(base64.b64decode(release))
        elif kind in ("receipt", "request"):
            yield path, kind, forge.inner(sealed.open(forge.read(path)))
        elif kind == "bundle":
            inner = manifest(path)
            yield path, "manifest-2" if inner.startswith(b"satchel: manifest/2\n") else "manifest", inner
        else:
            raise AssertionError(f"{path} is no file of a depot")
    for path in files(os.path.join(day, "site")):
        folder = os.path.basename(os.path.dirname(path))
        yield path, agree().KINDS.get(folder, "site"), forge.read(path)
    for path in files(os.path.join(day, "private")):
        folder, name = path.split(os.sep)[-2:]
        if folder in ("secrets", "channel-keys"):
            assert len(forge.read(path)) == 32
            continue
        if name == "x-padding":  # that nobody reads
            continue
        kind = {"channels": "subscription", "messages": "message", "people": "person"}.get(folder, "membership")
        yield path, "effective" if name.endswith("policy.yaml") else kind, forge.read(path)
    for path in files(os.path.join(day, "config")):
        yield path, "workstation-config", forge.read(path)


def validate(day, state):
    judge, counts, wrong, seen = agree().Judge(), {}, 0, set()
    for path, kind, data in documents(day, state):
        if (kind, data) in seen:
            continue
        seen.add((kind, data))
        counts[kind] = counts.get(kind, 0) + 1
        with open("document", "wb") as out:
            out.write(data)
        if not judge.accepts("document", kind):
            print(f"{path} is not what the schema of {kind} says:\n{data.decode(errors='replace')}")
            wrong += 1
    absent = sorted(set(judge.validators) - set(counts) - {"server", "watch"} - {"trust", "head"})  # of the machine; of older sites
    print(", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())))
    if absent:
        print(f"the day has no {', '.join(absent)}")
    return 1 if wrong or absent else 0


def forms(needle):
    """As it is, in other letters, and as people and programs write bytes."""
    yield needle
    yield needle.lower()
    yield needle.upper()
    yield needle.hex().encode()
    yield needle.hex().upper().encode()
    try:
        yield needle.decode().encode("utf-16-le")
    except UnicodeDecodeError:
        pass
    for start in range(3):  # base64 depends on where in its line the needle begins
        text = base64.b64encode(b"\0" * start + needle).rstrip(b"=")
        yield text[4 if start else 0 : len(text) - (1 if (start + len(needle)) % 3 else 0)]
    digest = forge.digest(needle)
    yield digest
    yield digest[:8]
    yield digest.hex()[:16].encode()


def contents(path):
    """The bytes of a file, and of a bundle also what is packed in it."""
    data = forge.read(path)
    yield path, data
    if path.endswith(".bundle") and data.find(b"payload.tar.zst") >= 0:
        with tarfile.open(path) as tar:
            packed = tar.extractfile("payload.tar.zst").read()
        done = subprocess.run(["zstd", "-dc"], input=packed, capture_output=True, check=False)
        yield f"{path} (unpacked)", done.stdout


def search(directory, needles):
    """NEEDLES: a line each: a word that says what it is, and hexadecimal digits or text after "text "."""
    wanted = []
    with open(needles, encoding="utf-8") as f:
        for line in f:
            what, form, value = line.rstrip("\n").split(" ", 2)
            raw = bytes.fromhex(value) if form == "hex" else value.encode()
            wanted += [(what, one) for one in set(forms(raw)) if len(one) >= 6]
    found = set()
    for path in files(directory):
        for where, data in contents(path):
            found |= {(what, where) for what, one in wanted if one in data}
    for what, where in sorted(found):
        print(f"{what} {os.path.relpath(where, directory)}")
    return 1 if found else 0


def listed(path, subject):
    with open(path, encoding="utf-8") as f:
        return [(one.get("email", one["name"]), one) for one in json.load(f)[subject]]


def colours(look):
    for subject in ("workstations", "users"):
        for name, one in listed(look, subject):
            print(subject, name, one["colour"], one["reason"])
    return 0


def rules(looks, wanted):
    seen = {}
    for path in files(looks):
        for subject in ("workstations", "users"):
            for name, one in listed(path, subject):
                slug = one["reasons"][0]["rule"] if one["reasons"] else "green"
                seen.setdefault((subject, one["colour"], slug), set()).add(name)
    missing = 0
    with open(wanted, encoding="utf-8") as f:
        for line in f:
            if tuple(line.split()) not in seen:
                print(f"never seen: {line.strip()}")
                missing += 1
    print(f"{len(seen)} rules gave a colour, in {len(os.listdir(looks))} looks")
    return 1 if missing else 0


if __name__ == "__main__":
    verbs = {f.__name__: f for f in (validate, search, colours, rules)}
    sys.exit(verbs[sys.argv[1]](*sys.argv[2:]))
