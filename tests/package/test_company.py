"""Beside other tools, on many threads, in other interpreters, and where a machine lacks something."""

import os
import subprocess
import sys
import unittest

from common import FIB_CALLS, PATIENCE, Case, events, named, names

FIB = "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\n"
TRACED = FIB + (
    "from viztracer import VizTracer\n"
    "with VizTracer(output_file='a.json', verbose=0):\n"
    "    fib(4)\n"
)


class Threads(Case):
    def test_thousand_threads_are_recorded(self):
        status, _, err = self.run_code(
            FIB + "import threading\n"
            "from viztracer import VizTracer\n"
            "threading.stack_size(128 * 1024)\n"
            "ready, go = threading.Semaphore(0), threading.Event()\n"
            "def work():\n"
            "    ready.release()\n"
            "    go.wait()\n"
            "    fib(3)\n"
            "tracer = VizTracer(output_file='a.json', verbose=0, ignore_c_function=True)\n"
            "threads = [threading.Thread(target=work) for _ in range(1000)]\n"
            "for thread in threads[:500]: thread.start()\n"
            "for _ in range(500): ready.acquire()\n"
            "tracer.start()\n"  # half of them run already
            "for thread in threads[500:]: thread.start()\n"
            "for _ in range(500): ready.acquire()\n"
            "go.set()\n"
            "for thread in threads: thread.join()\n"
            "tracer.stop()\n"
            "tracer.save()\n"
        )
        self.assertEqual((status, err), (0, ""))
        calls = named("a.json", "fib")
        self.assertEqual((len(calls), len({e["tid"] for e in calls})), (1000 * FIB_CALLS[3], 1000))


class Flags(Case):
    def test_flags_of_the_interpreter_change_nothing(self):
        for flags in (("-X", "importtime"), ("-X", "tracemalloc=5"), ("-X", "dev", "-W", "error"), ("-I",), ("-OO",), ("-B", "-E", "-s")):
            if flags[0] in ("-I", "-B"):  # these do not look at PYTHONPATH
                code = "import sys\nsys.path.insert(0, {!r})\n".format(os.environ.get("PYTHONPATH", "").split(os.pathsep)[0]) + TRACED
            else:
                code = TRACED
            status, out, err = self.run_code(code, *flags)
            self.assertEqual((status, out), (0, ""), (flags, err))
            self.assertEqual(names("a.json"), ["fib"] * FIB_CALLS[4], flags)
            os.unlink("a.json")

    def test_memory_of_a_long_trace_is_not_in_the_program(self):
        status, _, err = self.run_code(
            FIB + "import tracemalloc\n"
            "from viztracer import VizTracer\n"
            "tracer = VizTracer(output_file='a.vzt', verbose=0)\n"
            "tracer.start()\n"
            "fib(2)\n"
            "tracemalloc.start()\n"
            "before = tracemalloc.get_traced_memory()[0]\n"
            "fib(20)\n"
            "tracer.stop()\n"
            "tracer.save()\n"
            "grown = tracemalloc.get_traced_memory()[1] - before\n"
            "assert grown < 300000, grown\n"
        )
        self.assertEqual((status, err), (0, ""))


class Tools(Case):
    def test_debugger_and_tracer_see_the_same_calls(self):
        status, out, err = self.run_code(
            FIB + "import bdb\n"
            "from viztracer import VizTracer\n"
            "class Debugger(bdb.Bdb):\n"
            "    calls = 0\n"
            "    def user_call(self, frame, args):\n"
            "        Debugger.calls += frame.f_code.co_name == 'fib'\n"
            "        self.set_step()\n"
            "    def user_line(self, frame): self.set_step()\n"
            "tracer = VizTracer(output_file='a.json', verbose=0)\n"
            "def work():\n"
            "    with tracer:\n"
            "        fib(4)\n"
            "    fib(4)\n"
            "Debugger().runcall(work)\n"
            "print(Debugger.calls)\n"
        )
        self.assertEqual((status, out.strip(), err), (0, str(2 * FIB_CALLS[4]), ""))
        self.assertEqual(names("a.json").count("fib"), FIB_CALLS[4])

    def test_profiler_inside_a_trace_gets_its_calls(self):
        status, out, err = self.run_code(
            FIB + "import cProfile, pstats\n"
            "from viztracer import VizTracer\n"
            "with VizTracer(output_file='a.json', verbose=0):\n"
            "    fib(4)\n"
            "    profile = cProfile.Profile()\n"
            "    profile.enable()\n"
            "    fib(4)\n"
            "    profile.disable()\n"
            "    fib(4)\n"
            "print([row[1] for key, row in pstats.Stats(profile).stats.items() if key[2] == 'fib'])\n"
        )
        self.assertEqual(err, "")
        self.assertEqual((status, out.strip()), (0, "[{}]".format(FIB_CALLS[4])))
        self.assertEqual(names("a.json").count("fib"), 3 * FIB_CALLS[4])

    def test_trace_inside_a_profiler(self):
        status, out, err = self.run_code(
            FIB + "import cProfile, pstats\n"
            "from viztracer import VizTracer\n"
            "profile = cProfile.Profile()\n"
            "profile.enable()\n"
            "with VizTracer(output_file='a.json', verbose=0):\n"
            "    fib(4)\n"
            "profile.disable()\n"
            "print([row[1] for key, row in pstats.Stats(profile).stats.items() if key[2] == 'fib'])\n"
        )
        self.assertEqual((status, out.strip(), err), (0, "[{}]".format(FIB_CALLS[4]), ""))
        self.assertEqual(names("a.json").count("fib"), FIB_CALLS[4])

    def test_coverage_and_trace_see_the_same_code(self):
        code = "import coverage"
        if subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            return print("\nSKIP coverage: it is not installed")
        status, out, err = self.run_code(
            "import coverage, os\n"
            "cov = coverage.Coverage(data_file=None, include=[os.path.abspath('module.py')])\n"
            "with open('module.py', 'w') as file: file.write('def covered():\\n    return 3\\n')\n"
            "cov.start()\n"
            "from viztracer import VizTracer\n"
            "with VizTracer(output_file='a.json', verbose=0):\n"
            "    import module\n"
            "    module.covered()\n"
            "cov.stop()\n"
            "print(sorted(cov.get_data().lines(os.path.abspath('module.py'))))\n",
            PYTHONPATH=os.environ.get("PYTHONPATH", "") + os.pathsep + self.folder,
        )
        self.assertEqual((status, out.strip()), (0, "[1, 2]"), err)
        self.assertEqual(names("a.json").count("covered"), 1)


class Interpreters(Case):
    def test_other_interpreters_are_left_unharmed(self):
        status, out, err = self.run_code(
            FIB + "import sys\n"
            "from viztracer import VizTracer\n"
            "try:\n"
            "    import _interpreters as i\n"
            "    own, shared = (lambda: i.create('isolated')), (lambda: i.create('legacy'))\n"
            "except ImportError:\n"
            "    import _xxsubinterpreters as i\n"
            "    own = shared = i.create\n"
            "    if sys.version_info >= (3, 9): shared = lambda: i.create(isolated=False)\n"
            "run = getattr(i, 'run_string', None) or i.exec\n"
            "code = 'try:\\n    import viztracer\\n    print(viztracer.tracing(), flush=True)\\n"
            "except ImportError as error: print(\"ImportError\", flush=True)\\ndef inside(): pass\\ninside()'\n"
            "with VizTracer(output_file='a.json', verbose=0):\n"
            "    for make in (shared, own):\n"
            "        other = make()\n"
            "        run(other, code)\n"
            "        i.destroy(other)\n"
            "    fib(4)\n"
            "with VizTracer(output_file='b.json', verbose=0): fib(4)\n"
        )
        # one with a GIL of its own cannot import the package
        self.assertEqual((status, out.split()), (0, ["True", "ImportError" if sys.version_info >= (3, 12) else "True"]), err)
        self.assertEqual(names("a.json").count("fib"), FIB_CALLS[4])
        self.assertEqual(names("b.json"), ["fib"] * FIB_CALLS[4])


class Places(Case):
    def test_home_that_takes_no_file_is_not_needed(self):
        status, _, err = self.run_code(TRACED, HOME="/proc/none", XDG_RUNTIME_DIR="/proc/none", XDG_CACHE_HOME="/proc/none", TMPDIR="/proc/none")
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(names("a.json"), ["fib"] * FIB_CALLS[4])

    def test_shared_memory_folder_is_not_needed(self):
        with open("program.py", "w") as file:
            file.write(TRACED)
        script = "mount -t tmpfs -o ro none /dev/shm && exec timeout 60 \"$@\""
        probe = ["unshare", "-m", "sh", "-c", script, "sh"]
        if subprocess.run(probe + ["true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            return print("\nSKIP no /dev/shm: this machine lets nobody mount over it")
        done = subprocess.run(probe + [sys.executable, "program.py"], stderr=subprocess.PIPE, timeout=PATIENCE)
        self.assertEqual((done.returncode, done.stderr.decode()), (0, ""))
        self.assertEqual(names("a.json"), ["fib"] * FIB_CALLS[4])


if __name__ == "__main__":
    unittest.main()
