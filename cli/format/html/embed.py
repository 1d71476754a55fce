#!/usr/bin/env python3
"""Puts page.html, page.css and the scripts of a folder together and prints them as a C header: page_head is what stands before
the trace, page_tail what stands behind it; frame_page is frame.html. The page lets only its own script run, which it knows by its hash."""
import base64
import hashlib
import os
import sys

# One script in the page: functions may be used before their file, values only after it.
SCRIPTS = ("trace", "base", "theme", "layout", "timeline", "overview", "move", "selection", "functions", "search", "input", "main")

def bytes_of(name, data):
    lines = [", ".join("%d" % b for b in data[i : i + 32]) for i in range(0, len(data), 32)]
    return "__attribute__((unused)) static const unsigned char %s[] = {\n%s\n};\n" % (name, ",\n".join(lines))


def main(folder):
    def read(name):
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            return f.read()

    script = "\n".join(read(name + ".js") for name in SCRIPTS)
    if "</script" in script:
        sys.exit("the script holds the end of a script element")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = read("page.html").replace("{{style}}", read("page.css")).replace("{{hash}}", digest)
    head, tail = page.split("{{trace}}\n")
    tail = tail.replace("{{script}}", script)
    print("/* generated from cli/html */")
    print(bytes_of("page_head", head.encode()))
    print(bytes_of("page_tail", tail.encode()))
    print(bytes_of("frame_page", read("frame.html").encode()))


if __name__ == "__main__":
    main(sys.argv[1])
