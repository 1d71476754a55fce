"""FuncTree: the calls of one thread of a trace as a tree."""

import bisect
import re

_NAME = re.compile(r"(.*) \((.*?):([0-9]+)\)")


class FuncTreeNode(object):
    """One call. event: its dict; None makes a root."""

    def __init__(self, event=None):
        self.event = dict(event) if event is not None else {"name": "__ROOT__"}
        self.fullname = self.event["name"]
        self.start = event["ts"] if event is not None else float("-inf")
        self.end = event["ts"] + event["dur"] if event is not None else float("inf")
        self.parent = None
        self.children = []
        found = _NAME.match(self.fullname)
        self.is_python = bool(found)
        self.funcname = found.group(1) if found else None
        self.filename = found.group(2) if found else None
        self.lineno = int(found.group(3)) if found else None

    def is_ancestor(self, other):
        """Does the other call lie inside this one?"""
        return self.start < other.start and self.end > other.end

    def is_same(self, other):
        """The same names in the same order, here and below?"""
        pending = [(self, other)]
        while pending:
            a, b = pending.pop()
            if a.fullname != b.fullname or len(a.children) != len(b.children):
                return False
            pending += zip(a.children, b.children)
        return True

    def adopt(self, other):
        """Puts the other call below this one, at its place."""
        node = self
        while True:
            starts = [child.start for child in node.children]
            at = bisect.bisect_left(starts, other.start)
            around = next((child for child in node.children[max(at - 1, 0) : at + 1] if child.is_ancestor(other)), None)
            if around is None:
                break
            node = around
        inside = [child for child in node.children if other.is_ancestor(child)]
        for child in inside:
            node.children.remove(child)
            child.parent = other
        other.children = inside + other.children
        other.parent = node
        node.children.insert(bisect.bisect_left([child.start for child in node.children], other.start), other)


class FuncTree(object):
    """Events may be added in any order."""

    def __init__(self, pid=0, tid=0):
        self.pid = pid
        self.tid = tid
        self.root = FuncTreeNode()

    def is_same(self, other):
        return self.root.is_same(other.root)

    def add_event(self, event):
        """event: a dict with ph "X"."""
        self.root.adopt(FuncTreeNode(event))

    def first_node(self):
        return self.root.children[0]

    def first_ts(self):
        return self.first_node().event["ts"]

    def node_by_timestamp(self, ts):
        """The innermost call at that time; the root if there is none."""
        node = self.root
        while True:
            inner = next((child for child in node.children if child.start <= ts <= child.end), None)
            if inner is None:
                return node
            node = inner

    def inorder_traverse(self):
        """All calls, each before those that it makes."""
        pending = list(reversed(self.root.children))
        while pending:
            node = pending.pop()
            yield node
            pending += reversed(node.children)

    def normalize(self, first_ts):
        """Times from here on count from first_ts."""
        for node in self.inorder_traverse():
            node.start -= first_ts
            node.end -= first_ts
