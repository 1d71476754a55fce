#!/bin/bash
# The documentation is true to the tree: links and file names in it exist, README stays short, and the index names every page.
# docs/troubleshooting.md explains the messages that the sources print: each of its lines is in a source, and each refusal of the
# sources is in one of its lines.
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
    for folder in ("agent", "attach", "launch", "cli", "daemon", "options", "outside", "proto", "tools"):
        for path in glob.glob(folder + "/**/*.[ch]", recursive=True):
            source = re.sub(r'"\s*\n\s*"', "", open(path).read())
            texts += re.findall(r'"((?:[^"\\\n]|\\.)*)"', source)
    return "\n".join(texts)


def documented(page):
    """(where, parts) of each message in the first column of the page's tables; between the parts something is filled in."""
    for number, line in without_code(open(page).read().split("\n")):
        if line.startswith("| `"):
            for message in re.findall(r"`([^`]+)`", line.split(" | ")[0]):
                yield "%s:%d" % (page, number), message.split("...")


# Refusals that users do not see as they are: the first is of builds with fault points, the second falls back to a private daemon,
# the third ends with one of the texts that the page lists.
UNEXPLAINED = {"rung %s failed on request", "no system daemon wanted", "%s: %s is not %s"}


def refusals():
    """(where, format) of each refusal in the sources. A format without words of its own hands the text of another one on, and
    "WHAT: %s" with a few words only names the place of an error of the kernel."""
    for folder in ("attach", "cli", "daemon", "options", "outside", "proto"):
        for path in sorted(glob.glob(folder + "/**/*.c", recursive=True)):
            source = re.sub(r'"\s*\n\s*"', lambda m: "\n" * m[0].count("\n"), open(path).read())
            for call in re.finditer(r'\b(?:vt_err_set|cli_fail|cli_usage|refuse)\((?:[^()";]|\([^()"]*\))*"((?:[^"\\]|\\.)*)"', source):
                where = "%s:%d" % (path, source.count("\n", 0, call.start()) + 1)
                text = call[1].replace("\n", "")
                words = re.findall(r"[A-Za-z]{2,}", re.sub(r"%[-+ #0-9.*]*(?:hh|h|ll|l|z|j)?[a-zA-Z]", " ", text))
                if not words or (len(words) <= 3 and text.endswith(": %s")) or text in UNEXPLAINED or path.startswith("cli/view/") and text.endswith("\\n"):
                    continue
                yield where, text


def check_refusals(page):
    messages = [parts for _, parts in documented(page)]
    for where, text in refusals():
        if not any(all(words in text for words in parts) for parts in messages):
            fail(where, "%s explains no line with \"%s\"" % (page, text))


def check_messages(page):
    """First column of its tables: parts of messages, in backticks; "..." for what is filled in."""
    texts = literals()
    for where, parts in documented(page):
        if not all(words in texts for words in parts):
            fail(where, "no source prints \"%s\"" % "...".join(parts))


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
check_refusals("docs/troubleshooting.md")
sys.exit(bad)
EOF
