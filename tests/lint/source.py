# SPDX-License-Identifier: ISC
"""What the lints share: the sources of a tree, taken apart far enough to be judged."""
import os
import re

TOPS = ("core", "bundler", "applier", "watcher", "cli", "console", "tray")
HERE = os.path.dirname(os.path.abspath(__file__))
# A word and a parenthesis that calls no function.
NOT_CALLS = {"if", "while", "for", "switch", "return", "sizeof", "__attribute__", "OWNED"}


def tree_of(argv):
    return argv[1] if len(argv) > 1 else os.path.join(HERE, "../..")


def sources(tree, endings=(".c", ".h"), tops=TOPS):
    for top in tops:
        for folder, _, files in os.walk(os.path.join(tree, top)):
            for name in sorted(files):
                if name.endswith(endings):
                    yield os.path.relpath(os.path.join(folder, name), tree)


def read(tree, path):
    with open(os.path.join(tree, path), encoding="utf-8") as file:
        return file.read()


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def code_of(text):
    """Without comments and the insides of literals; every line stays where it is."""
    text = re.sub(r"/\*.*?\*/", blank, text, flags=re.S)
    return re.sub(r'"(?:[^"\\\n]|\\.)*"', lambda m: '"' + " " * (len(m.group(0)) - 2) + '"', text)


def parameters(text):
    """The names of a prototype's parameters; "..." is one."""
    depth, part, parts = 0, "", []
    for c in text:
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += c
    parts.append(part)
    names = []
    for part in (p.strip() for p in parts):
        if part in ("void", ""):
            continue
        if part == "...":
            names.append("...")
            continue
        pointer = re.search(r"\(\*\s*(\w+)\)\s*\(", part)
        plain = re.search(r"(\w+)\s*(?:\[[^]]*\]\s*)*$", part)
        names.append((pointer or plain).group(1) if pointer or plain else "?" + part)
    return names


def prototypes(text):
    """(line, name, [parameter names]) of every function that a header declares."""
    code = re.sub(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)", blank, code_of(text))
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, code, flags=re.M)
    found = []
    depth = 0
    start = 0
    for i, c in enumerate(code):
        depth += (c == "{") - (c == "}")
        if depth == 0 and c in ";}":
            piece = code[start:i]
            if c == ";" and "=" not in piece and re.match(r"\s*(?!typedef\b|static\b|extern\s+const\b)\w", piece):
                for at, part in declarators(piece):
                    match = re.match(r"[\w\s*]*?\b(\w+)\s*\((.*)\)\s*$", part, re.S)
                    if match and not match.group(1).isupper():
                        line = code.count("\n", 0, start + at + match.start(1)) + 1
                        found.append((line, match.group(1), parameters(match.group(2))))
            start = i + 1
    return found


def declarators(piece):
    """(offset, text) of what one statement declares: two prototypes may share one."""
    depth = begin = 0
    for i, c in enumerate(piece):
        depth += (c in "([{") - (c in ")]}")
        if c == "," and depth == 0:
            yield begin, piece[begin:i]
            begin = i + 1
    yield begin, piece[begin:]
