"""Runs VizTracer's own tests: run.py SDIST-OR-FOLDER BUILD PAGE [MODULE...]. VIZTRACER_TESTS_LOGS names a folder for logs of modules that fail.

The tests are copied into a folder of their own, with the files of support/ where an sdist lacks them. Each module runs in a process of
its own. What does not pass must be in the tables of PAGE below "VizTracer's own tests": rows are "| `module.Class.test`, ... | cause |",
and those of tests of private internals are in the second table.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE = 240  # seconds for a module: a guard against hangs
GOAL = 95  # percent of the tests of the package
# Modules that test programs, not the package.
PROGRAMS = ["test_cmdline", "test_multiprocess", "test_patch", "test_regression.TestWaitForChild", "test_regression.TestIssue162", "test_remote", "test_viewer", "test_vcompressor"]

EACH = """
import json, sys, unittest
class Result(unittest.TextTestResult):
    def tell(self, test, what):
        print(json.dumps([name_of(test), what]), file=out, flush=True)
    def startTest(self, test): self.tell(test, "hang"); super().startTest(test)
    def addSuccess(self, test): self.tell(test, "pass"); super().addSuccess(test)
    def addFailure(self, test, error): self.tell(test, "fail"); super().addFailure(test, error)
    def addError(self, test, error): self.tell(test, "fail"); super().addError(test, error)
    def addSkip(self, test, reason): self.tell(test, "skip: " + reason); super().addSkip(test, reason)
    def addSubTest(self, test, part, error):
        if error: self.tell(test, "fail")
        super().addSubTest(test, part, error)
def name_of(test): return test.id().split("tests.", 1)[-1].split(" ")[0]
def flat(suite):
    for test in suite:
        yield from flat(test) if isinstance(test, unittest.TestSuite) else [test]
module, out, done = sys.argv[1], open(sys.argv[2], "a"), sys.argv[3:]
sys.argv = sys.argv[:1]
tests = [test for test in flat(unittest.defaultTestLoader.loadTestsFromName(module)) if name_of(test) not in done]
unittest.TextTestRunner(resultclass=Result, verbosity=2).run(unittest.TestSuite(tests))
"""


def unpack(source, folder):
    """The tests as the package `tests` in folder."""
    tests = os.path.join(folder, "tests")
    if os.path.isfile(source):
        os.mkdir(tests)
        with tarfile.open(source) as archive:
            for member in archive:
                found = re.search(r"^[^/]+/tests/(.+)$", member.name)
                if found and member.isfile() and ".." not in member.name:
                    target = os.path.join(tests, found[1])
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    with open(target, "wb") as file:
                        shutil.copyfileobj(archive.extractfile(member), file)
    else:
        shutil.copytree(os.path.join(source, "tests") if os.path.isdir(os.path.join(source, "tests")) else source, tests)
    added = []
    for here, _, names in os.walk(os.path.join(HERE, "support")):
        for name in names:
            inside = os.path.relpath(os.path.join(here, name), os.path.join(HERE, "support"))
            target = os.path.join(tests, inside)
            if name.endswith(".pyc") or os.path.exists(target):
                continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(os.path.join(here, name), target)
            added.append(inside)
    return tests, added


def make_data(tests, folder, env):
    """Traces that the tests read: an sdist has none."""
    data = os.path.join(tests, "data")
    os.makedirs(data, exist_ok=True)
    for name in ("multithread", "vdb_basic", "fib"):
        target = os.path.join(data, name + ".json")
        if not os.path.exists(target):
            program = os.path.join(data, name + ".py")
            subprocess.run(["viztracer", "--quiet", "-o", target, program], env=env, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def environment(folder, build):
    programs = os.path.join(folder, "bin")
    os.mkdir(programs)
    for name in ("python", "python3"):
        os.symlink(sys.executable, os.path.join(programs, name))
    path = os.pathsep.join([programs, os.path.join(build, "bin"), os.environ["PATH"]])
    return dict(os.environ, PATH=path, PYTHONPATH=os.path.join(build, "python") + os.pathsep + folder)


def known(page):
    """{test: cause}, names of tests of internals"""
    with open(page, encoding="utf-8") as file:
        text = file.read()
    part = text.partition("\n## VizTracer's own tests\n")[2].partition("\n## ")[0]
    differ, _, internal = part.partition("\nTests of VizTracer's internals:\n")
    rows = lambda text: {name: cause for names, cause in re.findall(r"^\| (`.*`) \| (.*) \|$", text, re.M) for name in re.findall(r"`([\w.]+)`", names)}
    return rows(differ), rows(internal)


def is_named(test, rows):
    """A row may name a test, a class or a module."""
    parts = test.split(".")
    return any(".".join(parts[:n]) in rows for n in range(1, len(parts) + 1))


def run(module, folder, env):
    """{test: pass, fail, hang or skip}, the path of the log. A test that hangs, or ends the process, takes none of the others with it."""
    results = os.path.join(folder, "results")
    log = os.path.join(folder, "log-" + module)
    found = {}
    open(results, "w").close()
    while True:
        before = len(found)
        with open(log, "ab") as file:
            process = subprocess.Popen(
                [sys.executable, "-c", EACH, "tests." + module, results] + sorted(found), cwd=folder, env=env, stdin=subprocess.DEVNULL,
                stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            )
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(process.pid, signal.SIGKILL)  # programs that a test has left, too
            except ProcessLookupError:
                pass
            process.wait()
        with open(results) as file:
            for line in file:
                name, what = json.loads(line)
                if found.get(name) != "fail":
                    found[name] = what
        if process.returncode == 0 or len(found) == before:
            break
    if not found or any(name.startswith("unittest.loader") for name in found):
        found = {module: "fail"}
    return found, log


def main():
    source, build, page = (os.path.abspath(name) for name in sys.argv[1:4])
    differ, internal = known(page)
    folder = tempfile.mkdtemp(prefix="viztracer-tests-")
    try:
        tests, added = unpack(source, folder)
        env = environment(folder, build)
        make_data(tests, folder, env)
        modules = sys.argv[4:] or sorted(name[:-3] for name in os.listdir(tests) if name.startswith("test_") and name.endswith(".py"))
        if added:
            print("of our own, because the tests come without them:", " ".join(sorted(added)))
        results, bad = {}, []
        for module in modules:
            if is_named(module, internal):
                print("SKIP viztracer {}: tests of internals".format(module))
                continue
            found, log = run(module, folder, env)
            results.update(found)
            wrong = [test for test, what in sorted(found.items()) if what in ("fail", "hang") and not is_named(test, differ) and not is_named(test, internal)]
            bad += wrong
            print("{}: {} pass, {} not{}".format(module, list(found.values()).count("pass"), sum(w in ("fail", "hang") for w in found.values()),
                  "".join("\n    {} {}".format(found[test], test) for test in wrong)), flush=True)
            if wrong and os.environ.get("VIZTRACER_TESTS_LOGS"):
                shutil.copy(log, os.environ["VIZTRACER_TESTS_LOGS"])
        for test, what in sorted(results.items()):
            if what.startswith("skip"):
                print("SKIP viztracer {}: {}".format(test, what[6:]))
        for title, programs in (("the package", False), ("programs", True)):
            counted = [w for t, w in results.items() if not w.startswith("skip") and not is_named(t, internal) and is_named(t, PROGRAMS) == programs]
            share = 100 * counted.count("pass") / max(len(counted), 1)
            print("viztracer: {} of {} tests of {} that are not of internals pass: {:.1f} %".format(counted.count("pass"), len(counted), title, share))
            if not programs and not sys.argv[4:] and share < GOAL:
                bad.append("less than {} %".format(GOAL))
        for test in sorted(test for test, what in results.items() if what == "pass" and is_named(test, differ)):
            print("passes, but {} names it: {}".format(os.path.basename(page), test))
            if test in differ:
                bad.append(test)
        if bad:
            sys.exit(1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
