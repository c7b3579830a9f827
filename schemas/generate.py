# SPDX-License-Identifier: ISC
"""generate.py SCHEMA.yaml...: write the C tables of core/format/yaml/yaml.h to stdout.

Only the part of JSON Schema 2020-12 that schemas/README.md names is read; everything else is an
error here, at build time, so that no rule of a schema can be lost on the way to the decoder.
"""

import json
import sys

import yaml
from pattern import Pattern, PatternError

NUMBER = 2**53 - 1
BASE = "https://satchel.example/"
ANNOTATIONS = {"title", "description", "default", "$ref"}
KEYWORDS = {
    "string": {"type", "enum", "const", "pattern", "maxLength", "minLength", "format"},
    "integer": {"type", "minimum", "maximum"},
    "boolean": {"type"},
    "object": {
        "type",
        "properties",
        "required",
        "additionalProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
    },
    "array": {"type", "items", "minItems", "maxItems"},
}
DOCUMENT = {"$schema", "$id", "$defs", "x-style"}


class SchemaError(Exception):
    """A schema that this program cannot turn into tables without losing something."""


def quote(text):
    return json.dumps(text, ensure_ascii=True)


class Tables:
    """The C text, with equal schemas, patterns and lists written once."""

    def __init__(self):
        self.text = []
        self.known = {}

    def once(self, kind, key, make):
        """The C name of a table; ${make}(name) gives its text when it is new."""
        if (kind, key) not in self.known:
            name = f"{kind}_{sum(k == kind for k, _ in self.known)}"
            self.known[kind, key] = name
            self.text.append(make(name))
        return self.known[kind, key]

    def pattern(self, text):
        p = Pattern(text)
        rows = ",\n\t".join(", ".join(map(str, row)) for row in p.next)
        return p, self.once(
            "pattern",
            text,
            lambda name: f"/* {text.encode('unicode_escape').decode().replace('*/', '* /')} */\n"
            f"static const uint8_t {name}_class[] = {{{', '.join(map(str, p.class_of))}}};\n"
            f"static const uint8_t {name}_next[] = {{\n\t{rows}}};\n"
            f"static const uint8_t {name}_accept[] = {{{', '.join(map(str, p.accept))}}};\n"
            f"static const struct schema_pattern {name} = {{{name}_class, {name}_next,\n"
            f"\t{name}_accept, {len(p.member)}}};\n",
        )

    def choices(self, values):
        items = "".join(f"{quote(v)}, " for v in values)
        return self.once(
            "choices",
            tuple(values),
            lambda name: f"static const char *const {name}[] = {{{items}NULL}};\n",
        )


class Document:
    """One schema file."""

    def __init__(self, path, tables, meanings):
        self.path = path
        self.tables = tables
        with open(path, encoding="utf-8") as f:
            self.root = yaml.safe_load(f)
        # An absolute URI, because validators resolve "#/..." against it; the rest is our name.
        self.id = self.root["$id"].removeprefix(BASE)
        if self.id == self.root["$id"] or self.id.count("/") != 1:
            self.fail("$id", f"is not {BASE}TYPE/FORMAT")
        self.defs = self.root.get("$defs", {})
        for name, meaning in self.defs.items():
            if meanings.setdefault(name, meaning) != meaning:
                self.fail(f"$defs/{name}", "means something else in another schema")

    def fail(self, where, what):
        raise SchemaError(f"{self.path}: {where}: {what}")

    def resolve(self, s, where):
        """Follow $ref; only annotations may stand beside it."""
        if "$ref" not in s:
            return s
        if not set(s) <= ANNOTATIONS:
            self.fail(where, "only annotations may stand beside $ref")
        prefix, _, name = s["$ref"].rpartition("/")
        if prefix != "#/$defs" or name not in self.defs:
            self.fail(where, f"cannot find {s['$ref']}")
        return self.resolve(self.defs[name], where)

    def schema(self, s, where, document=False):
        """The C name of the table of ${s}."""
        if s is True or s == {}:
            return self.emit({"type": "SCHEMA_ANY"})
        s = self.resolve(s, where)
        kind = "string" if "const" in s else s.get("type")
        if kind not in KEYWORDS:
            self.fail(where, "has no type that is read here")
        extra = set(s) - KEYWORDS[kind] - ANNOTATIONS - (DOCUMENT if document else set())
        if extra:
            self.fail(where, f"uses {', '.join(sorted(extra))}, which is not read here")
        row = getattr(self, f"{kind}_row")(s, where)
        if "title" in s:
            row["title"] = quote(s["title"])
        if document:
            row["document"] = quote(self.id)
            row["block"] = str(s.get("x-style") == "block").lower()
        return self.emit(row)

    def emit(self, row):
        body = "".join(f"\t.{k} = {v},\n" for k, v in row.items())
        return self.tables.once(
            "schema", body, lambda name: f"static const struct schema {name} = {{\n{body}}};\n"
        )

    def string_row(self, s, where):
        row = {"type": "SCHEMA_STRING"}
        if "const" in s or "enum" in s:
            if s.get("type", "string") != "string" or set(s) & {"pattern", "maxLength", "format"}:
                self.fail(where, "a const or enum stands alone, and is text")
            row["choices"] = self.tables.choices(s.get("enum") or [s["const"]])
            return row
        longest = None
        if "pattern" in s:
            try:
                pattern, name = self.tables.pattern(s["pattern"])
            except PatternError as e:
                self.fail(where, e)
            longest = pattern.longest
            row["pattern"] = f"&{name}"
            if "title" not in s:
                self.fail(where, "a pattern needs a title, for messages")
        if s.get("format", "date-time") != "date-time":
            self.fail(where, "date-time is the only format")
        row["time"] = str("format" in s).lower()
        if s.get("maxLength", longest) is None:
            self.fail(where, "text without a bound: give maxLength")
        row["minimum"] = s.get("minLength", 0)
        row["maximum"] = s.get("maxLength", longest)
        return row

    def integer_row(self, s, where):
        low, high = s.get("minimum", -1), s.get("maximum", NUMBER + 1)
        if not 0 <= low <= high <= NUMBER:
            self.fail(where, "needs minimum and maximum from 0 to 2^53-1")
        return {"type": "SCHEMA_INTEGER", "minimum": f"{low}u", "maximum": f"{high}u"}

    def boolean_row(self, s, where):
        return {"type": "SCHEMA_BOOLEAN"}

    def array_row(self, s, where):
        if "items" not in s or "maxItems" not in s:
            self.fail(where, "a list needs items and maxItems")
        return {
            "type": "SCHEMA_LIST",
            "minimum": s.get("minItems", 0),
            "maximum": s["maxItems"],
            "items": "&" + self.schema(s["items"], where + "[]"),
        }

    def object_row(self, s, where):
        row = {"type": "SCHEMA_MAP"}
        free = s.get("additionalProperties", True)
        if "properties" in s:
            if free is not False or set(s) & {"propertyNames", "minProperties", "maxProperties"}:
                self.fail(where, "named fields and free ones do not mix")
            row["fields"], row["field_count"] = self.fields(s, where)
            return row
        if "required" in s or free is False:
            self.fail(where, "a map without properties requires and refuses nothing")
        row["items"] = "&" + self.schema(free, where + ".*")
        if "propertyNames" in s:
            row["keys"] = "&" + self.schema(s["propertyNames"], where + " (key)")
        if free is not True and "maxProperties" not in s:
            self.fail(where, "a map with free keys needs maxProperties")
        row["minimum"] = s.get("minProperties", 0)
        row["maximum"] = s.get("maxProperties", f"{NUMBER}u")
        return row

    def fields(self, s, where):
        required = set(s.get("required", []))
        if not required <= set(s["properties"]):
            self.fail(where, "requires a field that it does not have")
        rows = "".join(
            f"\t{{{quote(name)}, &{self.schema(p, f'{where}.{name}')}, "
            f"{str(name in required).lower()}}},\n"
            for name, p in s["properties"].items()
        )
        name = self.tables.once(
            "fields", rows, lambda n: f"static const struct schema_field {n}[] = {{\n{rows}}};\n"
        )
        return name, len(s["properties"])


def main(paths):
    tables, meanings, roots = Tables(), {}, []
    for path in sorted(paths):
        d = Document(path, tables, meanings)
        if list(d.root["properties"])[0] != "satchel" or "satchel" not in d.root["required"]:
            d.fail("properties", "the first field must be satchel, and required")
        if d.resolve(d.root["properties"]["satchel"], "satchel") != {"const": d.id}:
            d.fail("satchel", f"must be the constant {d.id}")
        roots.append(d.schema(d.root, d.id, document=True))
    print("/* Generated from schemas/ by schemas/generate.py: do not edit. */")
    print('#include <string.h>\n\n#include "core/format/yaml/yaml.h"\n')
    print("\n".join(tables.text))
    print("static const struct schema *const documents[] = {")
    print("".join(f"\t&{root},\n" for root in roots) + "};\n")
    print("const struct schema *schema_find(const char *type)\n{")
    print("\tfor (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++)")
    print("\t\tif (strcmp(documents[i]->document, type) == 0)\n\t\t\treturn documents[i];")
    print("\treturn NULL;\n}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SchemaError as e:
        sys.exit(f"generate.py: {e}")
