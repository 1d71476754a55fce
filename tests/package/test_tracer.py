"""VizTracer: starting, stopping, saving, and what it takes as arguments."""

import os
import subprocess
import sys
import unittest

from common import FIB_CALLS, PATIENCE, Case, events, fib, named, names, read
from viztracer import VizTracer, get_tracer


class Recording(Case):
    def test_tracer_records_between_start_and_stop(self):
        tracer = VizTracer(verbose=0)
        fib(2)
        tracer.start()
        fib(5)
        tracer.stop()
        fib(2)
        tracer.save("a.json")
        self.assertEqual(names("a.json"), ["fib"] * FIB_CALLS[5])

    def test_tracer_goes_on_in_the_same_trace(self):
        tracer = VizTracer(verbose=0)
        for n in (1, 2, 3):
            tracer.start()
            fib(n)
            tracer.stop()
            fib(1)
        tracer.save("a.json")
        self.assertEqual(names("a.json"), ["fib"] * (FIB_CALLS[1] + FIB_CALLS[2] + FIB_CALLS[3]))

    def test_tracer_pauses(self):
        tracer = VizTracer(verbose=0)
        tracer.start()
        tracer.pause()
        fib(3)
        self.assertTrue(tracer.enable)
        self.assertFalse(tracer.collecting)
        tracer.resume()
        fib(1)
        tracer.stop()
        tracer.save("a.json")
        self.assertEqual(names("a.json"), ["fib"])

    def test_open_calls_end_where_recording_stops(self):
        tracer = VizTracer(verbose=0)

        def outer():
            len("")
            tracer.stop()
            fib(4)
            tracer.start()
            fib(1)

        tracer.start()
        outer()
        fib(1)
        tracer.stop()
        tracer.save("a.json")
        self.assertEqual(sorted(names("a.json")), sorted(["builtins.len", self._name(outer), "fib", "fib"]))
        call, first = named("a.json", self._name(outer))[0], named("a.json", "fib")[0]
        self.assertLessEqual(call["ts"] + call["dur"], first["ts"])

    def _name(self, function):
        return function.__qualname__ if sys.version_info >= (3, 11) else function.__name__

    def test_context_manager_saves_and_unregisters(self):
        with VizTracer(output_file="folder/a.json", verbose=0) as tracer:
            found = get_tracer()
            fib(3)
        self.assertIs(found, tracer)
        self.assertIsNone(get_tracer())
        self.assertEqual(names("folder/a.json"), ["fib"] * FIB_CALLS[3])

    def test_save_goes_on_with_a_new_trace(self):
        tracer = VizTracer(verbose=0)
        tracer.start()
        fib(3)
        tracer.save("a.json")
        fib(1)
        tracer.stop()
        tracer.save("b.json")
        self.assertEqual((len(names("a.json")), len(names("b.json"))), (FIB_CALLS[3], FIB_CALLS[1]))

    def test_save_writes_the_format_of_the_suffix(self):
        tracer = VizTracer(verbose=0)
        tracer.start()
        fib(3)
        tracer.stop()
        begins = {"json": b'{"traceEvents"', "json.gz": b"\x1f\x8b", "html": b"<!", "vzt": b"VZTRACE", "folded": None, "pftrace": b"\n"}
        for suffix, begin in begins.items():
            tracer.save("a." + suffix)
            with open("a." + suffix, "rb") as file:
                data = file.read()
            self.assertGreater(len(data), 20, suffix)
            if begin and suffix != "vzt":
                self.assertTrue(data.startswith(begin), (suffix, data[:20]))
        with self.assertRaises(Exception):
            tracer.save("a.unknown")
        self.assertFalse(os.path.exists("a.unknown"))

    def test_save_to_a_folder_that_takes_no_file_raises(self):
        tracer = VizTracer(verbose=0)
        tracer.start()
        tracer.stop()
        with open("file", "w"):
            pass
        with self.assertRaises(OSError):
            tracer.save("file/a.json")
        with self.assertRaises(ValueError):
            tracer.save(3)

    def test_save_without_a_start_says_so(self):
        tracer = VizTracer(verbose=0)
        with self.assertWarns(RuntimeWarning):
            tracer.save("a.json")
        self.assertFalse(os.path.exists("a.json"))

    def test_parse_gives_the_events(self):
        tracer = VizTracer(verbose=0)
        tracer.start()
        fib(4)
        tracer.stop()
        self.assertEqual(tracer.parse(), FIB_CALLS[4])
        self.assertEqual(sum(event["ph"] == "X" for event in tracer.data["traceEvents"]), FIB_CALLS[4])
        tracer.data["traceEvents"].append({"ph": "i", "pid": 1, "tid": 1, "ts": 1, "name": "mine", "s": "t"})
        tracer.save("a.json")
        self.assertIn("mine", names("a.json"))
        tracer.save("a.vzt")

    def test_clear_forgets(self):
        tracer = VizTracer(verbose=0)
        tracer.start()
        fib(4)
        tracer.clear()
        fib(1)
        tracer.stop()
        self.assertEqual(tracer.parse(), 1)

    def test_run_traces_code(self):
        VizTracer(verbose=0).run("import math\nmath.floor(1.5)", output_file="a.json")
        self.assertIn("math.floor", names("a.json"))

    def test_all_threads_are_recorded(self):
        import threading

        ready, go = threading.Event(), threading.Event()

        def work():
            ready.set()
            go.wait(PATIENCE)
            fib(4)

        thread = threading.Thread(target=work, name="worker")
        thread.start()
        ready.wait(PATIENCE)
        with VizTracer(output_file="a.json", verbose=0):
            go.set()
            thread.join()
        self.assertEqual(len({event["tid"] for event in named("a.json", "fib")}), 1)
        self.assertEqual(len(named("a.json", "fib")), FIB_CALLS[4])
        self.assertIn("worker", [e["args"]["name"] for e in read("a.json")["traceEvents"] if e["name"] == "thread_name"])

    def test_a_second_tracer_takes_over_and_both_save(self):
        first, second = VizTracer(verbose=0), VizTracer(verbose=0)
        first.start()
        fib(3)
        code, out, _ = 0, [], None
        import builtins

        before, builtins.print = builtins.print, lambda *words, **more: out.append(words[0])
        try:
            second.start()
        finally:
            builtins.print = before
        fib(1)
        second.stop()
        self.assertTrue(out[0].startswith("Warning! Overwrite tracer!"))
        first.save("a.json")
        second.save("b.json")
        self.assertEqual((len(names("a.json")), len(names("b.json"))), (FIB_CALLS[3], FIB_CALLS[1]))


class Arguments(Case):
    def test_filters_leave_out_calls(self):
        with VizTracer(output_file="a.json", verbose=0, max_stack_depth=2):
            fib(4)
        self.assertEqual(names("a.json"), ["fib"] * 3)
        with VizTracer(output_file="a.json", verbose=0, ignore_c_function=True):
            len("")
            fib(1)
        self.assertEqual(names("a.json"), ["fib"])
        with VizTracer(output_file="a.json", verbose=0, exclude_files=[fib.__code__.co_filename]):
            len("")
            fib(3)
        self.assertEqual(names("a.json"), ["builtins.len"])
        with VizTracer(output_file="a.json", verbose=0, min_duration=1e9):
            fib(3)
        self.assertEqual(names("a.json"), [])

    def test_arguments_and_results_are_recorded(self):
        with VizTracer(output_file="a.json", verbose=0, log_func_args=True, log_func_retval=True):
            fib(1)
        self.assertEqual(events("a.json")[0]["args"], {"func_args": {"n": "1"}, "return_value": "1"})

    def test_values_are_told_by_a_function_of_the_program(self):
        def tell(value):
            fib(2)
            return "<%s>" % (value if value != 2 else 1 // 0)

        with VizTracer(output_file="a.json", verbose=0, log_func_args=True, log_func_retval=True, log_func_repr=tell):
            fib(1)
            "".join([])
        with VizTracer(output_file="b.json", verbose=0, log_func_args=True):
            fib(1)
        with VizTracer(output_file="c.json", verbose=0, log_func_repr=tell):
            fib(1)
        with VizTracer(output_file="d.json", verbose=0, log_func_args=True, log_func_repr=tell):
            fib(2)
        self.assertEqual(names("a.json").count("fib"), 1)
        self.assertEqual(events("a.json")[0]["args"], {"func_args": {"n": "<1>"}, "return_value": "<1>"})
        self.assertEqual(events("b.json")[0]["args"], {"func_args": {"n": "1"}})
        self.assertNotIn("args", events("c.json")[0])
        self.assertIn("ZeroDivisionError", str([event.get("args") for event in events("d.json")]))
        with self.assertRaises(TypeError):
            VizTracer(log_func_repr=3)

    def test_objprint_tells_values_where_it_is_installed(self):
        code = (
            "from viztracer import VizTracer\n"
            "def f(n): return n\n"
            "with VizTracer(output_file='a.json', verbose=0, log_func_args=True, log_func_with_objprint=True): f(1)\n"
        )
        absent = "import sys; sys.modules['objprint'] = None\n"
        self.assertIn("objprint", self.run_code(absent + code)[2])
        with open("objprint.py", "w") as file:
            file.write("def objstr(value): return 'told ' + str(value)\n")
        self.assertEqual(self.run_code(code)[0], 0)
        self.assertEqual(events("a.json")[0]["args"], {"func_args": {"n": "told 1"}})

    def test_audit_events_are_recorded_while_the_tracer_is_on(self):
        with VizTracer(output_file="a.json", verbose=0, log_audit=["my[.].*"]):
            sys.audit("my.event", 1, "two", self)
            sys.audit("other.event")
        sys.audit("my.event", "after")
        with VizTracer(output_file="b.json", verbose=0):
            sys.audit("my.event")
        with VizTracer(output_file="c.json", verbose=0, log_audit=[]):
            sys.audit("other.event", 3)
        found = [e for e in events("a.json") if e["ph"] == "i"]
        self.assertEqual([(e["name"], e["args"]["args"][:2], e["s"]) for e in found], [("my.event", ["1", "two"], "t")])
        self.assertEqual([e for e in events("b.json") if e["ph"] == "i"], [])
        self.assertIn("other.event", [e["name"] for e in events("c.json")])
        with self.assertRaises(ValueError):
            VizTracer(verbose=0, log_audit=["("]).start()

    def test_newest_entries_are_kept(self):
        with VizTracer(output_file="a.json", verbose=0, tracer_entries=4):
            fib(5)
        self.assertEqual(len(names("a.json")), 4)

    def test_print_is_logged(self):
        with VizTracer(output_file="a.json", verbose=0, log_print=True):
            print("seen", 1)
        self.assertEqual([(e["name"], e["s"]) for e in events("a.json") if e["ph"] == "i"], [("print - seen 1\n", "g")])

    def test_names_of_files_and_processes(self):
        with VizTracer(output_file="a.json", verbose=0, pid_suffix=True, process_name="mine", file_info=False):
            fib(1)
        path = "a_{}.json".format(os.getpid())
        self.assertIn("mine", [e["args"]["name"] for e in read(path)["traceEvents"] if e["name"] == "process_name"])

    def test_wrong_types_are_refused(self):
        tracer = VizTracer(verbose=0)
        for name, value, text in (
            ("verbose", "1", "verbose must be an integer"),
            ("log_gc", 1, "log_gc must be a boolean"),
            ("include_files", "a", "include_files must be a list or None"),
            ("process_name", 1, "process_name must be a string"),
        ):
            with self.assertRaises(TypeError) as caught:
                setattr(tracer, name, value)
            self.assertEqual(str(caught.exception), text)
            with self.assertRaises(TypeError):
                VizTracer(**{name: value})
            with self.assertRaises(AttributeError):
                delattr(tracer, name)
        with self.assertRaises(ValueError):
            VizTracer(pid_suffix="x")
        with self.assertRaises(ValueError):
            VizTracer(log_func_repr=repr, log_func_with_objprint=True)
        with self.assertRaises(Exception):
            VizTracer(verbose=0, include_files=["a"], exclude_files=["b"]).start()

    def test_init_kwargs_make_the_same_tracer(self):
        tracer = VizTracer(verbose=0, max_stack_depth=7)
        tracer.log_gc = True
        other = VizTracer(**tracer.init_kwargs)
        self.assertEqual((other.max_stack_depth, other.log_gc, other.verbose), (7, True, 0))

    def test_verbose_tells_how_to_open_the_report(self):
        code, out, _ = self.run_code("from viztracer import VizTracer\nwith VizTracer(output_file='x y.json'): len('')\n")
        self.assertEqual(code, 0)
        self.assertIn("Total Entries: 1", out)
        self.assertIn('vizviewer "{}/x y.json"'.format(os.path.realpath(".")), out)


class Programs(Case):
    def test_without_programs_one_line_says_so(self):
        import shutil

        import viztracer

        os.mkdir("alone")
        shutil.copytree(os.path.dirname(viztracer.__file__), "alone/a/b/c/viztracer")
        code, out, err = self.run_code(
            "import viztracer\ntry: viztracer.VizTracer().start()\nexcept RuntimeError as e: print(e)\n",
            PYTHONPATH=os.path.abspath("alone/a/b/c"),
            PATH="/nowhere",
        )
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(len(out.splitlines()), 1)
        self.assertIn("VIZTRACER_BIN", out)

    def test_module_is_the_command_line_program(self):
        with open("hello.py", "w") as file:
            file.write("import sys\nprint(sys.executable, sys.argv)\n")

        def run(*words):
            command = [sys.executable, "-m"] + list(words)
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
            return done.returncode, done.stdout.decode()

        self.assertEqual(run("viztracer", "--version")[0], 0)
        self.assertEqual(run("viztracer.viewer", "--help")[0], 0)
        code, out = run("viztracer", "--quiet", "-o", "a.json", "hello.py", "x")
        self.assertEqual((code, out), (0, "{} ['hello.py', 'x']\n".format(sys.executable)))
        self.assertIn("builtins.print", names("a.json"))
        self.assertEqual(run("viztracer", "report", "a.json")[0], 0)


if __name__ == "__main__":
    unittest.main()
