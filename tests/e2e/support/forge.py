# SPDX-License-Identifier: ISC
"""Writes and reads what docs/FORMAT.md describes, from its text alone: nothing here is satchel's code.

Used as a forger that owns the site's real keys, so that a well-signed lie can be told, and as a second
reader.  Needs PyNaCl (python3-nacl) and the zstd program.
"""
import base64
import hashlib
import io
import os
import re
import struct
import subprocess
import tarfile

import nacl.bindings
import nacl.signing

BLOCK = 1 << 20
COMMENT = b"untrusted comment: satchel signed document\n"


def digest(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def hexdigest(data):
    return digest(data).hex()


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Key:
    """A minisign secret key without passphrase."""

    def __init__(self, path):
        raw = base64.b64decode(read(path).split(b"\n")[1])
        assert raw[:2] == b"Ed" and raw[2:4] == b"\0\0" and raw[4:6] == b"B2"
        self.number, secret, check = raw[54:62], raw[62:126], raw[126:158]
        assert check == digest(b"Ed" + self.number + secret)
        self.signing = nacl.signing.SigningKey(secret[:32])

    def sign(self, message):
        sig = self.signing.sign(message).signature
        return COMMENT + base64.b64encode(b"Ed" + self.number + sig) + b"\n" + message


class Stranger(Key):
    """A key that no site knows."""

    def __init__(self):
        self.number = os.urandom(8)
        self.signing = nacl.signing.SigningKey.generate()


def inner(signed):
    while signed.startswith(COMMENT):
        signed = signed.split(b"\n", 2)[2]
    return signed


def encode(path):
    return "".join(chr(b) if 0x21 <= b <= 0x7E and b != 0x25 else "%%%02X" % b for b in path)


def outer_header(name, size):
    """A plain ustar header as FORMAT.md section 5 fixes it."""
    h = name.encode().ljust(100, b"\0")
    h += b"000644 \0" + b"000000 \0" + b"000000 \0"
    h += b"%011o " % size + b"00000000000 "
    h += b" " * 8 + b"0" + b"\0" * 100 + b"ustar\0" + b"00" + b"\0" * 64
    h += b"000000 \0" + b"000000 \0"
    h = h.ljust(512, b"\0")
    return h[:148] + b"%06o\0 " % sum(h) + h[156:]


def pad(n):
    return b"\0" * (-n % 512)


def inner_tar(changes, members):
    """The payload's tar: `changes` and the members, made by Python's own tarfile."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, bufsize=512) as tar:
        for name, content in [("changes", changes)] + members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o644
            tar.addfile(info, io.BytesIO(content))
    text = out.getvalue()
    end = len(text.rstrip(b"\0"))
    return text[: end + -end % 512] + b"\0" * 1024


def zstd(data, frame=4 << 20):
    out = b""
    for at in range(0, len(data), frame):
        piece = data[at : at + frame]
        out += subprocess.run(
            ["zstd", "-q", "-c", "--no-check", f"--stream-size={len(piece)}"], input=piece, stdout=subprocess.PIPE, check=True
        ).stdout
    return out


def yaml(type_, fields):
    """Block YAML for what the schemas ask for: text, numbers, maps, lists of maps."""

    def scalar(v):
        return str(v) if isinstance(v, int) else '"%s"' % v

    def lines(fields, indent):
        for k, v in fields.items():
            if isinstance(v, dict):
                yield f"{indent}{k}:"
                yield from lines(v, indent + "  ")
            elif isinstance(v, list):
                yield f"{indent}{k}:"
                for item in v:
                    first = True
                    for line in lines(item, ""):
                        yield f"{indent}- {line}" if first else f"{indent}  {line}"
                        first = False
            else:
                yield f"{indent}{k}: {scalar(v)}"

    return ("\n".join([f"satchel: {type_}"] + list(lines(fields, ""))) + "\n").encode()


def keyed(key, *parts):
    return hashlib.blake2b(b"".join(parts), key=key, digest_size=32).digest()


class Sealing:
    """Section 4: what seals one bundle of a channel, and keys the digests of one generation."""

    def __init__(self, content_key, number, salt):
        self.content_key, self.number, self.salt = content_key, number, salt
        self.header = None  # the stream's, once there is one

    def payload(self, plain, last=True):
        state = nacl.bindings.crypto_secretstream_xchacha20poly1305_state()
        self.header = nacl.bindings.crypto_secretstream_xchacha20poly1305_init_push(
            state, keyed(self.content_key, b"satchel channel content 1\n"))
        pieces = [plain[i : i + BLOCK - 17] for i in range(0, len(plain), BLOCK - 17)]
        tags = [0] * (len(pieces) - 1) + [3 if last else 0]  # MESSAGE, FINAL
        return b"".join(
            nacl.bindings.crypto_secretstream_xchacha20poly1305_push(state, piece, tag=tag) for piece, tag in zip(pieces, tags))

    def fields(self):
        salt = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
            self.salt, None, self.header, keyed(self.content_key, b"satchel channel salt 1\n"))
        return {"key-number": self.number, "header": base64.b64encode(self.header).decode(), "salt": base64.b64encode(salt).decode()}

    def tree(self, digest):
        return keyed(self.salt, b"satchel sealed tree 1\n", digest)

    def changes(self, digest):
        return keyed(self.salt, b"satchel sealed changes 1\n", digest)


def bundle(key, fields, changes, members, payload=None, unpacked=None, sealing=None, last=True):
    """A whole bundle file and its prefix; `fields` replaces or adds to the manifest's."""
    tar = inner_tar(changes, members)
    payload = zstd(tar) if payload is None else payload
    payload = sealing.payload(payload, last) if sealing else payload
    blocks = b"".join(digest(payload[i : i + BLOCK]) for i in range(0, len(payload), BLOCK))
    count = {op: 0 for op in "put patch copy link directory meta delete".split()}
    content = 0
    for line in changes.decode().splitlines():
        words = line.split(" ")
        if words[0] in count:
            count[words[0]] += 1
        if words[0] in ("put", "patch", "copy") and words[3].isdigit():
            content += int(words[3])
    m = {
        "created": "2026-11-22T21:00:00Z",
        "minimum": 1,
        "count": count,
        "content": content,
        "unpacked": len(tar) if unpacked is None else unpacked,
        "payload": {"size": len(payload), "block-size": BLOCK, "blocks": hexdigest(blocks)},
        "changes": {"size": len(changes), "digest": hexdigest(changes)},
    }
    if sealing:
        m.update({"minimum": 2, "sealing": sealing.fields()})
        m["changes"] = {"size": len(changes), "digest": sealing.changes(digest(changes)).hex()}
    m.update(fields)
    signed = key.sign(yaml("manifest/2" if sealing else "manifest/1", m))
    prefix = outer_header("manifest", len(signed)) + signed + pad(len(signed))
    prefix += outer_header("blocks", len(blocks)) + blocks + pad(len(blocks))
    prefix += outer_header("payload.tar.zst", len(payload))
    return prefix + payload + pad(len(payload)) + b"\0" * 1024, prefix, hexdigest(inner(signed))


def tree_digest(entries):
    """Section 7; entries: path (bytes) -> (kind, mode, owner, mtime, size, digest of file or link)."""

    def directory(prefix):
        text = b"satchel directory 1\n"
        names = {p[len(prefix) :].split(b"/")[0] for p in entries if p.startswith(prefix)}
        for name in sorted(names):
            kind, mode, owner, mtime, size, d = entries[prefix + name]
            if kind == "d":
                d = directory(prefix + name + b"/")
            text += kind.encode() + struct.pack("<H", len(name)) + name + struct.pack("<H", mode)
            text += struct.pack("<H", len(owner)) + owner + struct.pack("<qQ", mtime, size) + d
        return digest(text)

    return directory(b"")


class Site:
    """The state of a site and its depot, as far as a forger needs it."""

    def __init__(self, state, depot):
        self.depot = depot
        publish = f"{state}/keys/publish.key"  # may have left the server
        self.publish, self.beat = os.path.exists(publish) and Key(publish), Key(f"{state}/keys/beat.key")
        trust = min(os.listdir(f"{depot}/trust"), key=lambda n: int(n.split("-")[0]))
        self.id = hexdigest(inner(read(f"{depot}/trust/{trust}")))

    def newest_beat(self):
        name = max(os.listdir(f"{self.depot}/beats"), key=lambda n: int(n.split("-")[0]))
        return inner(read(f"{self.depot}/beats/{name}")).decode()

    def put(self, path, data, name_digest=None):
        path = f"{self.depot}/{path % (name_digest or hexdigest(data))[:32]}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def shard_text(self, xx, beat):
        d = re.search(rf'"?{xx}"?: "?([0-9a-f]{{64}})', beat)
        if not d:
            return ""
        for name in os.listdir(f"{self.depot}/shards"):
            text = inner(read(f"{self.depot}/shards/{name}"))
            if hexdigest(text) == d.group(1):
                return text.decode()
        return ""

    def announce(self, channel, epoch, generation, head, sequence_step=1, key=None):
        """Post a shard and a beat that name this head for the channel; all else stays as it is."""
        beat = self.newest_beat()
        xx = hexdigest(channel.encode())[:2]
        shard = self.shard_text(xx, beat)
        entry = re.compile(rf"(\"?{channel}\"?:\n\s+epoch: )\d+(\n\s+generation: )\d+(\n\s+head: \"?)[0-9a-f]{{64}}")
        assert entry.search(shard), shard
        shard = entry.sub(rf"\g<1>{epoch}\g<2>{generation}\g<3>{hexdigest(inner(head))}", shard)
        signed = self.beat.sign(shard.encode())
        self.put(f"shards/{xx}-%s.shard", signed)
        beat = re.sub(rf'("?{xx}"?: "?)[0-9a-f]{{64}}', rf"\g<1>{hexdigest(shard.encode())}", beat)
        sequence = int(re.search(r"sequence: (\d+)", beat).group(1)) + sequence_step
        beat = re.sub(r"sequence: \d+", f"sequence: {sequence}", beat)
        return self.put(f"beats/{sequence}-%s.beat", (key or self.beat).sign(beat.encode()))

    def head(self, channel, epoch, generation, tree, bundles, key=None):
        text = yaml(
            "head/1",
            {
                "site": self.id, "channel": channel, "epoch": epoch, "generation": generation, "tree": tree,
                "created": "2026-11-22T21:00:00Z", "bundles": bundles,
            },
        )
        signed = (key or self.publish).sign(text)
        self.put(f"channels/{channel}/{epoch}.{generation}-%s.head", signed)
        return signed

    def head2(self, channel, epoch, generation, tree, bundles, release, key):
        """Of a site with two hands: what `key` says of the ways, around the signed bytes of a release."""
        text = yaml(
            "head/2",
            {
                "site": self.id, "channel": channel, "epoch": epoch, "generation": generation, "tree": tree,
                "created": "2026-11-22T21:00:00Z", "release": base64.b64encode(release).decode(), "bundles": bundles,
            },
        )
        signed = key.sign(text)
        self.put(f"channels/{channel}/{epoch}.{generation}-%s.head", signed)
        return signed

    def newest_release(self, channel):
        return base64.b64decode(re.search(r'release: "?([A-Za-z0-9+/=]+)', self.newest_head(channel)).group(1))

    def post(self, channel, epoch, base, generation, base_tree, tree, changes, members, key=None, fields=None, **more):
        """A bundle, a head that names it alone besides what leads to base, a shard and a beat."""
        f = {"site": self.id, "channel": channel, "epoch": epoch, "base": base, "generation": generation, "base-tree": base_tree, "tree": tree}
        f.update(fields or {})
        data, prefix, manifest = bundle(key or self.publish, f, changes, members, **more)
        path = self.put(f"channels/{channel}/{epoch}.{base}-{generation}-%s.bundle", data, hexdigest(prefix))
        rows = self.bundles_of(channel) if base else []
        rows.append({"base": base, "generation": generation, "size": len(data), "prefix": hexdigest(prefix), "manifest": manifest})
        head = self.head(channel, epoch, generation, tree, rows)
        self.announce(channel, epoch, generation, head)
        return path

    def bundles_of(self, channel):
        text = self.newest_head(channel)
        row = re.compile(r'base: (\d+)\s+generation: (\d+)\s+size: (\d+)\s+prefix: "?([0-9a-f]{64})"?\s+manifest: "?([0-9a-f]{64})')
        return [
            {"base": int(b), "generation": int(g), "size": int(s), "prefix": p, "manifest": m} for b, g, s, p, m in row.findall(text)
        ]

    def newest_head(self, channel):
        names = [n for n in os.listdir(f"{self.depot}/channels/{channel}") if n.endswith(".head")]
        name = max(names, key=lambda n: int(n.split("-")[0].split(".")[1]))
        return inner(read(f"{self.depot}/channels/{channel}/{name}")).decode()

    def newest_tree(self, channel):
        return re.search(r'tree: "?([0-9a-f]{64})', self.newest_head(channel)).group(1)
