"""Runs programs of other people (programs.py) bare and under trace and compares what they print and how they end:
run.py VIZTRACER PYTHON [NAME...]. Prints a table for docs/tested-and-limits.md; a program whose package PYTHON has not is skipped by
name. Exit status 1: a result differs."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from programs import PROGRAMS

LIMIT = 900  # seconds for one run: a guard against hangs


def has(python, needs):
    if "/" in needs:
        return os.access(needs.replace("$BIN", os.path.dirname(python)), os.X_OK)
    code = "import importlib.util, sys\nfor n in sys.argv[1].split('|'):\n    try:\n        found = importlib.util.find_spec(n)\n    except ImportError:\n        found = None\n    if found: sys.exit(0)\nsys.exit(1)"
    return subprocess.call([python, "-c", code, needs], stderr=subprocess.DEVNULL, cwd="/") == 0


def version(python, needs):
    if "/" in needs:
        name = os.path.basename(needs)
        name = {"hg": "mercurial"}.get(name, name)
    else:
        name = needs.split(".")[0].split("|")[0]
    name = {"xdist": "pytest-xdist", "ansible": "ansible-core"}.get(name, name)
    code = "import sys, importlib.metadata as m\ntry:\n    print(m.version(sys.argv[1]))\nexcept Exception:\n    print('%d.%d.%d' % sys.version_info[:3])"
    return subprocess.run([python, "-c", code, name], stdout=subprocess.PIPE, cwd="/").stdout.decode().strip()


def run(python, tool, files, command):
    """(exit status, stdout, stderr) in a folder of its own."""
    folder = tempfile.mkdtemp(prefix="vt-real-")
    try:
        for name, text in files.items():
            with open(os.path.join(folder, name), "w") as f:
                f.write(text)
        line = ["sh", "-c", command]
        env = dict(os.environ, PY=python, BIN=os.path.dirname(python), PYTHONHASHSEED="0", LC_ALL="C.UTF-8", HOME=folder, COLUMNS="80", TMPDIR=folder, PYTHONDONTWRITEBYTECODE="1")
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = subprocess.Popen(tool + line, cwd=folder, env=env, stdout=out, stderr=err, stdin=subprocess.DEVNULL, start_new_session=True)
            try:
                status = child.wait(LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                status = "hangs (%d)" % child.wait()
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(stream.read().decode("utf-8", "replace").replace(folder, "FOLDER"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return (status, texts[0], texts[1])


def compared(result, what):
    status, out, err = result
    text = out if what == "out" else out + err if what == "all" else "\n".join(line for line in (out + err).splitlines() if re.search(what, line))
    text = re.sub(r"0x[0-9a-f]+", "0x", text)
    text = re.sub(r"\b\d+\.\d+ ?s(econds)?\b", "TIME", text)
    text = re.sub(r"\(?\d+:\d+:\d+\)?", "TIME", text)
    return status, text


def short(text, what):
    lines = [line for line in text.splitlines() if re.search(r"^Ran|^OK|^FAILED \(|passed", line)] if what not in ("all", "out") else []
    return "; ".join(line.strip("= ") for line in lines) or "%d lines" % len(text.splitlines())


def one(viztracer, python, row):
    name, needs, files, command, what = row
    if not has(python, needs):
        print("SKIP %s: %s has no %s" % (name, python, needs), file=sys.stderr)
        return True
    trace = tempfile.mktemp(prefix="vt-real-", suffix=".vzt")
    said = tempfile.mktemp(prefix="vt-real-said-")
    began = time.monotonic()
    bare = compared(run(python, [], files, command), what)
    took = time.monotonic() - began
    result = run(python, [viztracer, "-o", trace, "--"], files, command)
    told = [line for line in result[2].splitlines() if trace in line]
    result = (result[0], result[1], "".join(line + "\n" for line in result[2].splitlines() if trace not in line))
    traced = compared(result, what)
    took_traced = time.monotonic() - began - took
    calls = processes = "–"
    if os.path.exists(trace):
        report = subprocess.run([viztracer, "report", "--json", trace], stdout=subprocess.PIPE).stdout
        try:
            rows = json.loads(report)["processes"]
            calls, processes = "{:,}".format(sum(r["calls"] for r in rows)), str(len(rows))
        except (ValueError, KeyError):
            pass
        os.unlink(trace)
    lost = re.search(r"(\d+) other process", " ".join(told))
    same = bare == traced
    print("| %s %s | %s, status %s | %s | %s | %s%s | %.1f / %.1f s |" % (
        name, version(python, needs), short(bare[1], what), bare[0], "the same" if same else "DIFFERENT", calls, processes,
        " (+%s not traced)" % lost.group(1) if lost else "", took, took_traced), flush=True)
    if not same:
        for title, (status, text) in (("bare", bare), ("traced", traced)):
            print("---- %s: status %s\n%s" % (title, status, text), file=sys.stderr, flush=True)
    return same


def main():
    viztracer, python = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    print("| program | bare | traced | calls | processes | bare / traced |\n|---|---|---|---|---|---|", flush=True)
    good = True
    for row in PROGRAMS:
        if not sys.argv[3:] or row[0] in sys.argv[3:]:
            good = one(viztracer, python, row) and good
    sys.exit(0 if good else 1)


main()
