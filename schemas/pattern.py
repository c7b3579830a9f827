# SPDX-License-Identifier: ISC
"""Regular expressions of the schemas, compiled to tables that C walks one character at a time.

A pattern must mean the same in ECMA 262, Python and here, so only the part on which all agree is
read: literals, [classes] and [^classes], groups, |, ?, *, +, {n} and {m,n}; no backslash, no dot;
^ first and $ last.  Characters beyond ASCII are all in one class, which [^...] matches.
"""

BEYOND = 128  # stands for every character beyond ASCII
ALPHABET = frozenset(range(1, BEYOND + 1))
STATES = 255
SPECIAL = set("\\.^$*+?{}[]()|")


class PatternError(Exception):
    """A pattern that is not in the part that everybody reads alike."""


class _Parser:
    """Text to a tree: ("set", characters), ("seq", [..]), ("alt", [..]), ("repeat", x, m, n)."""

    def __init__(self, text):
        if len(text) < 2 or text[0] != "^" or text[-1] != "$":
            raise PatternError(f"{text!r} is not anchored with ^ and $")
        self.text = text[1:-1]
        self.at = 0

    def peek(self):
        return self.text[self.at] if self.at < len(self.text) else ""

    def take(self):
        c = self.peek()
        if c == "":
            raise PatternError(f"{self.text!r} ends early")
        self.at += 1
        return c

    def alternatives(self):
        branches = [self.sequence()]
        while self.peek() == "|":
            self.take()
            branches.append(self.sequence())
        return branches[0] if len(branches) == 1 else ("alt", branches)

    def sequence(self):
        items = []
        while self.peek() not in ("", "|", ")"):
            items.append(self.repeated())
        return ("seq", items)

    def repeated(self):
        item = self.atom()
        c = self.peek()
        if c and c in "?*+":
            self.take()
            return ("repeat", item, 1 if c == "+" else 0, 1 if c == "?" else None)
        if c == "{":
            self.take()
            inside = ""
            while self.peek() != "}":
                inside += self.take()
            self.take()
            low, comma, high = inside.partition(",")
            if not low.isdigit() or (comma and not high.isdigit()):
                raise PatternError(f"{{{inside}}}: only {{n}} and {{m,n}} are read")
            return ("repeat", item, int(low), int(high) if comma else int(low))
        return item

    def atom(self):
        c = self.take()
        if c == "[":
            return ("set", self.char_class())
        if c == "(":
            inner = self.alternatives()
            if self.take() != ")":
                raise PatternError("a group is not closed")
            return inner
        if c in SPECIAL:
            raise PatternError(f"{c!r} is not read alike everywhere: write [{c}] or do without")
        return ("set", frozenset([self.code(c)]))

    def char_class(self):
        negated = self.peek() == "^"
        if negated:
            self.take()
        found = set()
        while self.peek() != "]":
            low = high = self.take()
            if low in "\\[":
                raise PatternError(f"{low!r} inside [ ] is not read alike everywhere")
            if self.peek() == "-" and self.text[self.at + 1 : self.at + 2] != "]":
                self.take()
                high = self.take()
            found.update(range(self.code(low), self.code(high) + 1))
        self.take()
        return frozenset(ALPHABET - found if negated else found)

    @staticmethod
    def code(c):
        if not 0 < ord(c) < BEYOND:
            raise PatternError(f"{c!r} is beyond ASCII")
        return ord(c)


class _Nfa:
    """Thompson's construction: edges by characters, and empty edges."""

    def __init__(self):
        self.edges = []
        self.empty = []

    def state(self):
        self.edges.append([])
        self.empty.append([])
        return len(self.edges) - 1

    def add(self, node, start):
        """Add ${node} after state ${start}; returns the state where it ends."""
        kind = node[0]
        if kind == "set":
            end = self.state()
            self.edges[start].append((node[1], end))
            return end
        if kind == "seq":
            for item in node[1]:
                start = self.add(item, start)
            return start
        if kind == "alt":
            end = self.state()
            for branch in node[1]:
                self.empty[self.add(branch, start_of(self, start))].append(end)
            return end
        return self.repeat(node, start)

    def repeat(self, node, start):
        _, item, low, high = node
        for _ in range(low):
            start = self.add(item, start)
        if high is None:
            loop = start_of(self, start)
            self.empty[self.add(item, loop)].append(loop)
            return start_of(self, loop)
        end = self.state()
        self.empty[start].append(end)
        for _ in range(high - low):
            start = self.add(item, start)
            self.empty[start].append(end)
        return end

    def closure(self, states):
        todo, seen = list(states), set(states)
        while todo:
            for to in self.empty[todo.pop()]:
                if to not in seen:
                    seen.add(to)
                    todo.append(to)
        return frozenset(seen)


def start_of(nfa, state):
    fresh = nfa.state()
    nfa.empty[state].append(fresh)
    return fresh


class Pattern:
    """Tables of a pattern: state 0 is dead, 1 is the start.

    class_of: for each of 129 characters (the last one: beyond ASCII) its class.
    next: rows of states, columns of classes.  accept: per state, 0 or 1.
    longest: the most characters that match, or None without bound.
    """

    def __init__(self, text):
        parser = _Parser(text)
        tree = parser.alternatives()
        if parser.at != len(parser.text):
            raise PatternError(f"{text!r}: an unexpected )")
        nfa = _Nfa()
        start = nfa.state()
        final = nfa.add(tree, start)
        self._classes(nfa)
        self._states(nfa, start, final)
        if len(self.next) > STATES:
            raise PatternError(f"{text!r} needs {len(self.next)} states: use maxLength")
        self.longest = self._longest()

    def _classes(self, nfa):
        sets = sorted({s for edges in nfa.edges for s, _ in edges}, key=sorted)
        rows = {}
        self.class_of = [0] * (BEYOND + 1)
        self.member = []
        for c in range(1, BEYOND + 1):
            row = tuple(c in s for s in sets)
            if row not in rows:
                rows[row] = len(rows)
                self.member.append(c)
            self.class_of[c] = rows[row]

    def _states(self, nfa, start, final):
        first = nfa.closure([start])
        number = {frozenset(): 0, first: 1}
        order = [frozenset(), first]
        self.next = []
        for states in order:
            row = []
            for c in self.member:
                to = nfa.closure([t for s in states for chars, t in nfa.edges[s] if c in chars])
                if to not in number:
                    number[to] = len(order)
                    order.append(to)
                row.append(number[to])
            self.next.append(row)
        self.accept = [int(final in states) for states in order]

    def _longest(self):
        """Walk backwards from nothing: the longest path, or None when a live state repeats."""
        memo, walking = {}, set()

        def walk(state):
            if state in walking:
                raise RecursionError
            if state not in memo:
                walking.add(state)
                steps = [walk(t) + 1 for t in set(self.next[state]) if t != 0]
                walking.discard(state)
                memo[state] = max(steps, default=0)
            return memo[state]

        try:
            return walk(1)
        except RecursionError:
            return None
