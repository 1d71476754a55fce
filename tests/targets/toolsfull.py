"""Every tool id of sys.monitoring that we would take belongs to somebody else (3.12 and later)."""
import sys

from progress import ready, slots

for tool in (3, 4, 5):
    sys.monitoring.use_tool_id(tool, "holder-%d" % tool)


def leaf(n):
    return n + 1


ready()
while True:
    for i in range(100):
        leaf(i)
    slots[0] += 1
