# SPDX-License-Identifier: ISC
"""The codes that people type and the requests made of them, from docs/FORMAT.md section 9 alone: nothing
here is satchel's code.  Used as a second reader, and as a thief who owns this key or that one.

    codes.py confirm STATION SITE-ID COLLECT.PUB RECEIPT [SEAL.KEY]   the code of what STATION holds
    codes.py mistype CODE POSITION                                     one character exchanged
    codes.py wrong CODE [BIT]                                          another secret or MAC, and a check that fits
    codes.py id CODE                                                   the activation id
    codes.py activate STATION SITE-ID COLLECT.PUB ID CODE ACCOUNT DEPOT NAMED [SIGN.KEY]
                                                                       post a request that the workstation NAMED
                                                                       is said to have made
    codes.py find DIR TEXT...                                          files of DIR that hold one of these
Needs PyNaCl (python3-nacl).
"""
import base64
import hashlib
import os
import sqlite3
import struct
import sys

import forge
import nacl.bindings
import nacl.public

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
SHAPES = {20: (14, b"satchel confirmation 1\n"), 25: (19, b"satchel activation 1\n")}


def keyed(key, *parts):
    h = hashlib.blake2b(digest_size=32, key=key)
    for p in parts:
        h.update(p)
    return h.digest()


def code_number(text):
    chars = [c for c in text.lower() if c not in "- "]
    v = 0
    for c in chars:
        v = v << 5 | ALPHABET.index(c)
    return v, len(chars)


def code_text(v, chars):
    """v: all the bits, those of the check zero."""
    bits, (check_bits, start) = chars * 5, SHAPES[chars]
    size = (bits + 7) // 8
    check = int.from_bytes(forge.digest(start + (v << size * 8 - bits).to_bytes(size, "big"))[:4], "big") >> 32 - check_bits
    v |= check
    text = "".join(ALPHABET[v >> 5 * (chars - 1 - i) & 31] for i in range(chars))
    return "-".join(text[i : i + 5] for i in range(0, chars, 5))


def secret_of(code):
    v, chars = code_number(code)
    assert chars == 25
    return v >> 19 & (1 << 60) - 1


def activation_id(secret):
    return forge.digest(b"satchel activation id 1\n" + struct.pack(">Q", secret))[:8].hex()


def raw_key(path, letters, secret):
    raw = base64.b64decode(forge.read(path).split(b"\n")[1])
    assert raw[:2] == letters
    return raw[62:94] if secret else raw[10:42]


def public_of(path):
    """Of an X25519 secret key file."""
    return nacl.bindings.crypto_scalarmult_base(raw_key(path, b"Ex", True))


def seal_id(public):
    return forge.digest(public)[:8].hex()


def statement(db, site, station, receipt):
    rows = {t: (e, g, d.hex()) for t, e, g, d in db.execute("SELECT tree, epoch, generation, digest FROM applied")}
    text = f"satchel confirm 1\n{site} {station} {receipt}\n"
    for name in sorted(rows):  # "@private" comes first
        text += f"{name} {rows[name][0]} {rows[name][1]} {rows[name][2]}\n"
    return text.encode()


def station_id(station):
    raw = base64.b64decode(forge.read(f"{station}/state/keys/sign.key").split(b"\n")[1])
    return forge.digest(raw[94:126])[:16].hex()


def codes_key(station):
    """The key of confirmation codes; of a machine that enrolled before there was one, the sealing key."""
    own = f"{station}/state/keys/codes.key"
    return own if os.path.exists(own) else f"{station}/state/keys/seal.key"


def confirm(station, site, collect, receipt, seal=None):
    with sqlite3.connect(f"file:{station}/state/state.db?mode=ro", uri=True) as db:
        said = statement(db, site, station_id(station), receipt)
    secret, theirs = raw_key(seal or codes_key(station), b"Ex", True), raw_key(collect, b"Ex", False)
    shared = nacl.bindings.crypto_scalarmult(secret, theirs)
    own = nacl.bindings.crypto_scalarmult_base(raw_key(codes_key(station), b"Ex", True))
    key = forge.digest(b"satchel agreed key 1\n" + shared + own + theirs)
    mac = int.from_bytes(keyed(key, said)[:8], "big") >> 10
    v = int(station_id(station)[:5], 16) << 80 | int(receipt) % 4096 << 68 | mac << 14
    return code_text(v, 20)


def activate(station, site, collect, activation, code, account, sign=None):
    key = forge.Key(sign or f"{station}/state/keys/sign.key")
    secret = struct.pack(">Q", secret_of(code))
    proof = keyed(
        forge.digest(b"satchel activation key 1\n" + secret),
        b"satchel activate 1\n", bytes.fromhex(site), bytes(key.signing.verify_key), account.encode(),
    )
    text = forge.yaml(
        "request/1",
        {
            "site": site, "kind": "activate", "workstation": station_id(station), "sequence": 77, "written": "2026-11-22T21:00:00Z",
            "activation": activation, "account": account, "proof": proof.hex(),
        },
    )
    public = raw_key(collect, b"Ex", False)
    sealed = nacl.public.SealedBox(nacl.public.PublicKey(public)).encrypt(key.sign(text))
    return b"satchel-sealed/1 " + seal_id(public).encode() + b"\n" + sealed


def post(depot, station, sealed):
    """Into the inbox, under the name of the workstation."""
    xx = forge.digest(station.encode())[:1].hex()
    path = f"{depot}/inbox/{xx}/{station}-77-{forge.hexdigest(sealed)[:32]}.request"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(sealed)
    return path


def find(top, texts):
    found = False
    for where, _, files in os.walk(top):
        for name in files:
            data = forge.read(os.path.join(where, name)) + name.encode()
            for t in texts:
                if t in data:
                    print(os.path.join(where, name), t)
                    found = True
    return found


def main(verb, *a):
    if verb == "confirm":
        print(confirm(*a))
    elif verb == "mistype":
        text, at = a[0], int(a[1])
        at = [i for i, c in enumerate(text) if c != "-"][at]
        print(text[:at] + ALPHABET[(ALPHABET.index(text[at]) + 1) % 32] + text[at + 1 :])
    elif verb == "wrong":
        v, chars = code_number(a[0])
        check = SHAPES[chars][0]
        bit = int(a[1]) if len(a) > 1 else 0
        print(code_text((v >> check ^ 1 << bit) << check, chars))
    elif verb == "id":
        print(activation_id(secret_of(a[0])))
    elif verb == "activate":  # STATION SITE COLLECT ID CODE ACCOUNT DEPOT NAMED [SIGN]
        print(post(a[6], a[7], activate(*a[:6], *a[8:])))
    elif verb == "find":
        texts = []
        for t in a[1:]:
            texts.append(t.encode())
            v, chars = code_number(t) if all(c in ALPHABET + "-" for c in t) else (0, 0)
            if chars == 25:  # the code without separators, its secret, and the digests of that
                secret = struct.pack(">Q", v >> 19 & (1 << 60) - 1)
                texts += [t.replace("-", "").encode(), secret[1:], secret[1:].hex().encode(), activation_id(v >> 19 & (1 << 60) - 1).encode()]
        sys.exit(1 if find(a[0], texts) else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
