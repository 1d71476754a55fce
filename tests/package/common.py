"""What the tests of the package share: a folder for each test, reading traces, programs of their own."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

PATIENCE = 120  # seconds: a guard against hangs


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


FIB_CALLS = {1: 1, 2: 3, 3: 5, 4: 9, 5: 15}


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def events(path):
    """All events but metadata, in the order of their ends."""
    return [event for event in read(path)["traceEvents"] if event["ph"] != "M"]


def names(path):
    """Their names without places."""
    return [event["name"].split(" (")[0] for event in events(path)]


def named(path, name):
    """The events of this name, in the order of time."""
    found = [event for event in events(path) if event["name"].split(" (")[0] == name]
    return sorted(found, key=lambda event: event["ts"])


class Case(unittest.TestCase):
    """Each test runs in a new folder, which is removed afterwards."""

    def setUp(self):
        self.before = os.getcwd()
        self.folder = tempfile.mkdtemp(prefix="viztracer-test-")
        os.chdir(self.folder)

    def tearDown(self):
        os.chdir(self.before)
        shutil.rmtree(self.folder)

    def run_code(self, code, *flags, **changes):
        """Runs a program of its own; -> status, stdout, stderr."""
        with open("program.py", "w") as file:
            file.write(code)
        env = dict(os.environ, **{name: value for name, value in changes.items() if value is not None})
        command = [sys.executable] + list(flags) + ["program.py"]
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        return done.returncode, done.stdout.decode(), done.stderr.decode()
