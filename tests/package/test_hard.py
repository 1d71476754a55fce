"""Hard cases: many starts, forks, an attach from outside, a folder that takes no file, ends of all kinds."""

import os
import signal
import subprocess
import sys
import unittest
import warnings

import viztracer
from common import FIB_CALLS, PATIENCE, Case, events, fib, named, names
from viztracer import VizTracer
from viztracer._programs import find


def rss_kb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def descriptors():
    return sorted(os.listdir("/proc/self/fd"))


class Starts(Case):
    def test_ten_thousand_starts_need_no_memory(self):
        tracer = VizTracer(verbose=0)

        def turn(times):
            for _ in range(times):
                tracer.start()
                fib(1)
                tracer.stop()

        # on a machine that gives the daemon no CPU for 1.5 s, the tracer warns and begins anew
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            turn(2000)
            before = rss_kb()
            turn(8000)
        grown = rss_kb() - before
        self.assertGreater(tracer.parse(), 0)
        tracer.clear()
        # shared pages of the arena are counted: the daemon may be late in giving chunks back
        self.assertLess(grown, 16384)

    def test_twenty_sessions_leave_nothing(self):
        fds = None
        for i in range(20):
            with VizTracer(output_file="a.json", verbose=0):
                fib(1)
            fds = fds or descriptors()
        self.assertEqual(descriptors(), fds)
        with self.assertRaises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)

    def test_clear_and_deleting_leave_nothing(self):
        before = descriptors()
        tracer = VizTracer(verbose=0, register_global=False)
        for _ in range(3):
            tracer.start()
            tracer.clear()
        tracer.stop()
        tracer.clear()
        del tracer
        VizTracer._recording = None
        self.assertEqual(descriptors(), before)


class Forks(Case):
    def test_forked_child_is_not_traced_and_may_trace_itself(self):
        code, out, err = self.run_code(
            "import os, viztracer\n"
            "from viztracer import VizTracer\n"
            "def parent(): pass\n"
            "def child(): pass\n"
            "tracer = VizTracer(verbose=0)\n"
            "told = []\n"
            "tracer.set_afterfork(lambda t, x: told.append((t.enable, x)), 7)\n"
            "tracer.start()\n"
            "pid = os.fork()\n"
            "if not pid:\n"
            "    child()\n"
            "    assert told == [(False, 7)], told\n"
            "    assert not viztracer.tracing()\n"
            "    with VizTracer(output_file='child.json', verbose=0): child()\n"
            "    os._exit(0)\n"
            "assert os.waitpid(pid, 0)[1] == 0\n"
            "parent()\n"
            "tracer.stop()\n"
            "tracer.save('parent.json')\n"
        )
        self.assertEqual((code, out, err.replace("DeprecationWarning", "")), (0, "", ""))
        self.assertIn("parent", names("parent.json"))
        self.assertNotIn("child", names("parent.json"))
        self.assertEqual(names("child.json"), ["child"])

    def test_fork_with_a_stopped_tracer_keeps_the_trace(self):
        tracer = VizTracer(verbose=0)
        tracer.start()
        fib(3)
        tracer.stop()
        code, out, err = self.run_code(
            "import os\n"
            "from viztracer import VizTracer\n"
            "def work(): pass\n"
            "tracer = VizTracer(verbose=0)\n"
            "tracer.start(); work(); tracer.stop()\n"
            "pid = os.fork()\n"
            "if not pid: os._exit(0)\n"
            "os.waitpid(pid, 0)\n"
            "tracer.start(); work(); tracer.stop()\n"
            "tracer.save('a.json')\n"
        )
        self.assertEqual((code, out, err), (0, "", ""))
        self.assertEqual(names("a.json").count("work"), 2)
        tracer.save("b.json")
        self.assertEqual(len(names("b.json")), FIB_CALLS[3])

    def test_fork_save_saves_in_a_process(self):
        code, out, err = self.run_code(
            "import multiprocessing\n"
            "from viztracer import VizTracer\n"
            "def work(): pass\n"
            "if __name__ == '__main__':\n"
            "    multiprocessing.set_start_method('fork')\n"
            "    tracer = VizTracer(verbose=0)\n"
            "    tracer.start(); work(); tracer.stop()\n"
            "    process = tracer.fork_save('a.json')\n"
            "    process.join()\n"
            "    assert process.exitcode == 0\n"
        )
        self.assertEqual((code, out, err), (0, "", ""))
        self.assertEqual(names("a.json"), ["work"])


ATTACHED = (
    "import sys, time, viztracer\n"
    "from viztracer import VizTracer\n"
    "{before}\n"
    "print('ready', flush=True)\n"
    "def work():\n"
    "    with viztracer.span('own span', key=1):\n"
    "        viztracer.instant('own instant')\n"
    "        viztracer.counter('own counter', 2)\n"
    "traced = 0\n"
    "while not {enough}:\n"
    "    traced += viztracer.tracing()\n"
    "    work()\n"
    "    time.sleep(0.001)\n"
    "{after}\n"
    "print('end', flush=True)\n"
)


def may_attach(case):
    if os.environ.get("VT_NO_ATTACH"):
        print("\nSKIP an attach to the program: " + os.environ["VT_NO_ATTACH"])
        case.skipTest(os.environ["VT_NO_ATTACH"])


class Attaches(Case):
    def begin(self, before, enough, after):
        with open("program.py", "w") as file:
            file.write(ATTACHED.format(before=before, enough=enough, after=after))
        process = subprocess.Popen(
            [sys.executable, "program.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE
        )
        self.addCleanup(self.end, process)
        self.assertEqual(process.stdout.readline(), b"ready\n", process.stderr.read() if process.poll() else "")
        return process

    def end(self, process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def attach(self, process, *words):
        may_attach(self)
        command = [find("viztracer"), "--attach", str(process.pid), "-t", "100"] + list(words)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        return done.returncode, done.stdout.decode() + done.stderr.decode()

    def test_attach_finds_the_events_of_the_program(self):
        process = self.begin("", "traced > 20", "")
        code, text = self.attach(process, "-o", "a.json")
        self.assertEqual(code, 0, text)
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, out, err), (0, b"end\n", b""))
        found = {(e["ph"], e["name"]) for e in events("a.json")}
        for event in (("X", "own span"), ("i", "own instant"), ("C", "own counter")):
            self.assertIn(event, found)
        spans = [e.get("args", {}).get("func_args") for e in named("a.json", "own span")]
        self.assertIn({"key": "1"}, spans)

    def test_attach_while_the_program_traces_itself_is_refused(self):
        process = self.begin(
            "tracer = VizTracer(verbose=0); tracer.start()",
            "__import__('os').path.exists('stop')",
            "tracer.stop(); tracer.save('own.json')",
        )
        code, text = self.attach(process, "-o", "a.json")
        self.assertEqual(code, 1, text)
        self.assertIn("traced", text)
        self.assertFalse(os.path.exists("a.json"))
        open("stop", "w").close()
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, out, err), (0, b"end\n", b""))
        self.assertIn("own span", [e["name"] for e in events("own.json")])

    def test_program_that_is_attached_to_warns_and_goes_on(self):
        process = self.begin(
            "",
            "viztracer.tracing()",
            "import warnings\n"
            "with warnings.catch_warnings(record=True) as seen:\n"
            "    warnings.simplefilter('always')\n"
            "    tracer = VizTracer(verbose=0); tracer.start(); work(); tracer.stop(); tracer.save('own.json')\n"
            "assert len(seen) == 2 and 'outside' in str(seen[0].message), seen",
        )
        code, text = self.attach(process, "-o", "a.json")
        self.assertEqual(code, 0, text)
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, out, err), (0, b"end\n", b""))
        self.assertFalse(os.path.exists("own.json"))
        self.assertIn("own span", [e["name"] for e in events("a.json")])


class Ends(Case):
    def test_registered_tracer_is_saved_however_the_program_ends(self):
        for how in ("pass", "raise SystemExit(3)", "os._exit(4)", "os.kill(os.getpid(), 9)", "os.kill(os.getpid(), 15)"):
            code, _, err = self.run_code(
                "import os\n"
                "from viztracer import VizTracer\n"
                "def work(): pass\n"
                "tracer = VizTracer(verbose=0)\n"
                "tracer.start()\n"
                "tracer.register_exit()\n"
                "work()\n" + how + "\n"
            )
            self.wait_for("result.json")
            self.assertIn("work", names("result.json"), how)
            self.assertEqual(code, {"p": 0, "r": 3}.get(how[0], {"4": 4, "9": -9, "5": 0}.get(how[-2])), (how, err))
            os.unlink("result.json")

    def wait_for(self, path):
        import time

        for _ in range(PATIENCE * 20):
            if os.path.exists(path):
                return
            time.sleep(0.05)
        self.fail(path + " did not come")

    def test_registered_tracer_forgets_what_was_saved_or_cleared(self):
        for how in ("tracer.save('b.json')", "tracer.clear(); tracer.stop(); tracer.clear()"):
            code, out, err = self.run_code(
                "import os\n"
                "from viztracer import VizTracer\n"
                "tracer = VizTracer(verbose=0)\n"
                "tracer.register_exit()\n"
                "tracer.start()\n"
                "tracer.stop()\n" + how + "\n"
                "with VizTracer(verbose=0, output_file='c.json'): len('')\n"
                "os._exit(0)\n"
            )
            self.assertEqual((code, out, err), (0, "", ""))
            self.assertFalse(os.path.exists("result.json"), how)

    def test_trace_that_was_ended_from_outside_is_told(self):
        tracer = VizTracer(verbose=0)
        tracer.start()
        tracer.stop()
        may_attach(self)
        command = [find("viztracer"), "--uninstall", str(os.getpid())]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stdout.decode())
        with self.assertWarns(RuntimeWarning):
            tracer.start()
        fib(1)
        tracer.stop()
        tracer.save("a.json")
        self.assertEqual(names("a.json").count("fib"), 1)

    def test_unsaved_trace_disturbs_no_end(self):
        for how in ("pass", "tracer.stop()", "del tracer", "os._exit(0)"):
            code, out, err = self.run_code(
                "import os\nfrom viztracer import VizTracer\ntracer = VizTracer()\ntracer.start()\nlen('')\n" + how + "\n", "-X", "dev", "-W", "error"
            )
            self.assertEqual((code, out, err), (0, "", ""), how)

    def test_lost_helper_harms_no_program(self):
        tracer = VizTracer(verbose=0)
        tracer.start()
        fib(2)
        helper = self.helper()
        os.kill(helper, signal.SIGKILL)
        while os.path.exists("/proc/{}/exe".format(helper)):
            try:
                os.readlink("/proc/{}/exe".format(helper))
            except OSError:
                break
        fib(2)
        with self.assertRaises(RuntimeError):
            tracer.stop()
            tracer.save("a.json")
        tracer.clear()
        tracer.start()
        fib(1)
        tracer.stop()
        self.assertEqual(tracer.parse(), 1)

    def helper(self):
        """The process beside this one, by its command line and an environment variable of this test."""
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                with open("/proc/{}/cmdline".format(name), "rb") as file:
                    words = file.read().split(b"\0")
                with open("/proc/{}/environ".format(name), "rb") as file:
                    ours = b"VT_PACKAGE_TEST=" + self.mark in file.read().split(b"\0")
            except OSError:
                continue
            if ours and words[1:2] == [b"--python-session"]:
                found.append(int(name))
        self.assertEqual(len(found), 1)
        return found[0]

    def setUp(self):
        Case.setUp(self)
        self.mark = os.fsencode(self.folder)
        os.environ["VT_PACKAGE_TEST"] = self.folder

    def tearDown(self):
        del os.environ["VT_PACKAGE_TEST"]
        Case.tearDown(self)


class Places(Case):
    def test_program_without_a_home_traces_itself(self):
        os.mkdir("home", 0o500)
        code, out, err = self.run_code(
            "from viztracer import VizTracer\nwith VizTracer(output_file='a.json', verbose=0): len('')\n",
            HOME=os.path.abspath("home"),
            TMPDIR="/nowhere",
        )
        self.assertEqual((code, out, err), (0, "", ""))
        self.assertEqual(names("a.json"), ["builtins.len"])

    def test_program_with_closed_streams_traces_itself(self):
        code, out, err = self.run_code(
            "import os, signal\n"
            "for fd in (0, 1, 2): os.close(fd)\n"
            "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
            "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
            "from viztracer import VizTracer\n"
            "with VizTracer(output_file='a.json', verbose=0): len('')\n"
            "os._exit(0)\n"
        )
        self.assertEqual(code, 0)
        self.assertEqual(names("a.json"), ["builtins.len"])

    def test_install_starts_and_saves_by_signals(self):
        code, out, err = self.run_code(
            "import os, signal\n"
            "from viztracer import VizTracer\n"
            "tracer = VizTracer(verbose=0, output_file='a.json')\n"
            "tracer.install()\n"
            "os.kill(os.getpid(), signal.SIGUSR1)\n"
            "len('')\n"
            "os.kill(os.getpid(), signal.SIGUSR2)\n"
            "try: tracer.install()\n"
            "except RuntimeError: print('refused')\n"
        )
        self.assertEqual((code, out, err), (0, "refused\n", ""))
        self.assertIn("builtins.len", names("a.json"))


if __name__ == "__main__":
    unittest.main()
