"""Programs that the command line program starts: options for which Python code runs in them, and the tracer that they find."""

import os
import subprocess
import sys
import unittest

from common import PATIENCE, Case, events, named, names, read
from viztracer._programs import find

PLUGIN = """
import os, threading
from viztracer import get_tracer, tracing
from viztracer.vizplugin import VizPluginBase

told = threading.Event()

class Plugin(VizPluginBase):
    def __init__(self, words):
        self.words, self.over = words, threading.Event()

    def support_version(self):
        return "1.0.0"

    def work(self):
        while not tracing():
            self.over.wait(0.01)
        get_tracer().add_counter("plugin", {"value": 1})
        told.set()
        self.over.wait()

    def message(self, kind, payload):
        os.write(2, "{} {} {}\\n".format(self.words, kind, sorted(payload.values())).encode())
        if payload.get("when") == "pre-start":
            threading.Thread(target=self.work).start()
        if payload.get("when") == "post-stop":
            self.over.set()
        return {"success": True} if kind == "command" else {}

def get_vizplugin(words):
    return Plugin(words)
"""
CHANGING = """
from viztracer.vizplugin import VizPluginBase

class Changing(VizPluginBase):
    def support_version(self):
        return "1.0.0"

    def message(self, kind, payload):
        if kind == "command":
            return {"success": True}
        return {"action": "handle_data", "handler": print} if payload["when"] == "pre-save" else {}

def get_vizplugin(words):
    return Changing()
"""


class Launch(Case):
    def launch(self, options, code, status=0):
        """Runs a program under `viztracer OPTIONS` into a.json; -> stdout, stderr."""
        with open("program.py", "w") as file:
            file.write(code)
        command = [find("viztracer"), "--quiet", "-o", "a.json", "--python", sys.executable] + options + ["--", "program.py"]
        env = dict(os.environ)
        env["PYTHONPATH"] = os.pathsep.join([os.getcwd(), env.get("PYTHONPATH", "")])
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout.decode(), done.stderr.decode()

    def test_sparse_launch_has_only_what_is_asked_for(self):
        code = """
import os, subprocess, sys
from viztracer import get_tracer, log_sparse

@log_sparse
def wanted():
    return unwanted()

def unwanted():
    return 1

wanted()
get_tracer().log_instant("moment")
with get_tracer().log_event("block"):
    unwanted()
pid = os.fork()
if not pid:
    wanted()
    os._exit(0)
os.waitpid(pid, 0)
if not sys.argv[1:]:
    subprocess.check_call([sys.executable, __file__, "below"])
"""
        self.launch(["--log_sparse"], code)
        self.assertEqual(sorted(names("a.json")), ["block", "block", "moment", "moment"] + ["wanted"] * 4)
        self.assertEqual(len(set(event["pid"] for event in named("a.json", "wanted"))), 4)
        self.launch([], code)
        self.assertEqual((len(named("a.json", "wanted")), len(named("a.json", "unwanted"))), (4, 6))

    def test_program_finds_the_tracer_of_its_launch(self):
        code = """
import warnings
from viztracer import get_tracer
warnings.simplefilter("error")
tracer = get_tracer()
assert tracer is get_tracer() and tracer.enable and tracer.collecting and not tracer.log_sparse
tracer.start()
tracer.log_instant("moment")
tracer.add_counter("queue", {"n": 3})
for name, args in (("stop", ()), ("pause", ()), ("clear", ()), ("parse", ()), ("save", ()), ("add_raw", ({},)), ("set_sync_marker", ())):
    try:
        getattr(tracer, name)(*args)
    except RuntimeWarning as warning:
        print(warning)
tracer.log_instant("still")
"""
        out, err = self.launch([], code)
        self.assertEqual((out.count("does nothing"), err), (7, ""))
        self.assertEqual([e["name"] for e in events("a.json") if e["ph"] in "iC"], ["moment", "queue", "still"])

    def test_plugins_live_in_the_program(self):
        with open("the_plugin.py", "w") as file:
            file.write(PLUGIN)
        out, err = self.launch(["--plugins", "the_plugin -x 1"], "import the_plugin; print(the_plugin.told.wait(60))")
        self.assertEqual(out, "True\n")
        told = ["event ['initialize']", "event ['pre-start']", "event ['post-stop']", "event ['pre-save']", "command ['terminate']"]
        self.assertEqual(err.splitlines(), ["the_plugin -x 1 " + text for text in told])
        self.assertEqual([e["args"] for e in named("a.json", "plugin")], [{"value": 1}])
        self.assertNotIn("message", names("a.json"))

    def test_plugin_that_would_change_the_trace_is_told_where_it_can(self):
        with open("the_plugin.py", "w") as file:
            file.write(CHANGING)
        out, err = self.launch(["--plugins", "the_plugin"], "print(3)")
        self.assertEqual(out, "3\n")
        self.assertIn("The plugin Changing wants to change the trace", err)
        self.assertIn("<module>", names("a.json"))

    def test_plugin_that_is_not_there_is_refused(self):
        with open("the_plugin.py", "w"):
            pass
        for name, why in (("no_such_plugin", "There's no module named no_such_plugin"), ("the_plugin", "find get_vizplugin")):
            out, err = self.launch(["--plugins", name], "print(3)", 1)
            self.assertEqual(out, "3\n")
            self.assertIn("--plugins: ", err)
            self.assertIn(why, err)
            self.assertFalse(os.path.exists("a.json"))


if __name__ == "__main__":
    unittest.main()
