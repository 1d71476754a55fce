#!/bin/bash
# What the Python package says to the daemon has the layout of proto/abi/launch.h: python/viztracer/_session.py has it a second time.
set -u
cd "$(dirname "$0")/../.." || exit 1
exec python3 - <<'EOF'
import re, struct, sys

header, session = open("proto/abi/launch.h").read(), open("python/viztracer/_session.py").read()
bad = 0
for name in ("hello", "answer"):
    size = int(re.search(r"sizeof\(struct vt_launch_%s\) == (\d+)" % name, header)[1])
    magic = int(re.search(r"VT_LAUNCH_%s_MAGIC (0x\w+)ull" % name.upper(), header)[1], 16)
    layout = re.search(r'_%s = struct.Struct\("([^"]+)"\)' % name.upper(), session)[1]
    ours = int(re.search(r"_%s_MAGIC = (0x\w+)" % name.upper(), session)[1], 16)
    if struct.calcsize(layout) != size or magic != ours:
        print("python/viztracer/_session.py: %s has %d bytes and the magic %x, in proto/abi/launch.h %d and %x"
              % (name, struct.calcsize(layout), ours, size, magic))
        bad = 1
sys.exit(bad)
EOF
