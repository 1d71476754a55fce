#!/bin/bash
# The documentation is true to the tree: links and file names in it exist, README stays short, the index names every page, and each message
# that docs/troubleshooting.md explains is one that the sources print.
set -u
cd "$(dirname "$0")/../.." || exit 1
exec python3 - <<'EOF'
import glob, os, re, sys

README_LINES = 140
bad = 0


def fail(where, text):
    global bad
    bad = 1
    print("%s: %s" % (where, text))


def slug(heading):
    """The anchor that a heading gets."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def without_code(lines):
    """(number, line) of what is not in a block of code."""
    inside = False
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside:
            yield number, line


def anchors(path):
    return {slug(line.lstrip("#")) for _, line in without_code(open(path).read().split("\n")) if re.match(r"#+ ", line)}


def check_link(where, page, link):
    target, _, anchor = link.partition("#")
    path = os.path.normpath(os.path.join(os.path.dirname(page), target)) if target else page
    if not os.path.exists(path):
        fail(where, "the link %s leads to no file" % link)
    elif anchor and anchor not in anchors(path):
        fail(where, "%s has no heading for #%s" % (path, anchor))


ENDINGS = (".c", ".h", ".py", ".sh", ".js", ".md", ".mk", ".map", ".proto", ".html", ".css", ".ld")
FOLDERS = tuple(f for f in os.listdir(".") if os.path.isdir(f) and not f.startswith((".git", ".cache", "build")))


def is_path(name):
    """A name with a slash that means a file of this tree: in one of its folders, or with the ending of a source."""
    if not re.fullmatch(r"[\w.*-]+(/[\w.*-]+)+/?", name) or name.startswith(("build/", "build-")) or "NAME" in name:
        return False
    return name.split("/")[0] in FOLDERS or name.endswith(ENDINGS)


def check_page(page):
    lines = open(page).read().split("\n")
    open_mark = None
    for number, line in enumerate(lines, 1):
        mark = re.match(r"<!-- (generated: [\w-]+|end) -->$", line)
        if line.startswith(("<!-- generated", "<!-- end")) and not mark:
            fail("%s:%d" % (page, number), "a damaged mark of a generated table")
        if mark and (mark[1] == "end") != bool(open_mark):
            fail("%s:%d" % (page, number), "a generated table without its begin or end")
        if mark:
            open_mark = None if mark[1] == "end" else mark[1]
    if open_mark:
        fail(page, "%s has no end" % open_mark)
    for number, line in without_code(lines):
        where = "%s:%d" % (page, number)
        for link in re.findall(r"\]\(([^)\s]+)\)", line):
            if not re.match(r"[a-z]+:", link):
                check_link(where, page, link)
        for name in re.findall(r"`([^`]+)`", line):
            name = re.sub(r":\d+$", "", name)
            if is_path(name) and not glob.glob(name):
                fail(where, "there is no %s: was it moved? Name its new place" % name)


def literals():
    """Every text in the C sources, adjacent literals joined as the compiler does."""
    texts = []
    for folder in ("agent", "attach", "cli", "daemon", "options", "proto", "tools"):
        for path in glob.glob(folder + "/**/*.[ch]", recursive=True):
            source = re.sub(r'"\s*\n\s*"', "", open(path).read())
            texts += re.findall(r'"((?:[^"\\\n]|\\.)*)"', source)
    return "\n".join(texts)


def check_messages(page):
    """First column of its tables: parts of messages, in backticks; "..." for what is filled in."""
    texts = literals()
    for number, line in without_code(open(page).read().split("\n")):
        if not line.startswith("| `"):
            continue
        for part in re.findall(r"`([^`]+)`", line.split(" | ")[0]):
            if not all(words in texts for words in part.split("...")):
                fail("%s:%d" % (page, number), "no source prints \"%s\"" % part)


pages = ["README.md", "CONTRIBUTING.md", "proto/FORMAT.md"] + sorted(glob.glob("docs/*.md"))
for page in pages:
    check_page(page)
lines = len(open("README.md").read().split("\n")) - 1
if lines > README_LINES:
    fail("README.md", "%d lines, at most %d: move something into docs/" % (lines, README_LINES))
index = open("docs/README.md").read()
for page in pages[3:]:
    if page != "docs/README.md" and "(%s)" % os.path.basename(page) not in index:
        fail("docs/README.md", "does not link %s" % page)
check_messages("docs/troubleshooting.md")
sys.exit(bad)
EOF
