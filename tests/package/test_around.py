"""Notebooks, torch and OpenTelemetry. Where one of them is not there, what it would call is called by a stand-in."""

import importlib
import json
import os
import subprocess
import sys
import time
import types
import unittest

import viztracer
from common import PATIENCE, Case, events, fib, named, names, read
from viztracer import VizTracer, _notebook
from viztracer._torch import moved


def skip(what):
    print("\nSKIP " + what)


def has(*modules):
    """Are all of them there? They are imported by a program of its own, not here."""
    code = "import " + ", ".join(modules)
    return subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


class Shell(object):
    """What the magic uses of IPython's."""

    def __init__(self):
        self.user_ns = {"fib": fib}

    def transform_cell(self, cell):
        return cell


class Notebook(Case):
    def setUp(self):
        Case.setUp(self)
        self.shown, self.buttons = [], []
        self.shell = Shell()
        self.cells = _notebook.Cell(self.shell, self.shown.append, lambda *button: self.buttons.append(button))

    def test_options_are_read(self):
        self.assertEqual(_notebook.parse(""), {"port": 9001, "output_file": "./viztracer_report.json", "height": 600, "no_inline": False})
        values = _notebook.parse("-p 8000 --output_file='a b.html' --max_stack_depth 3 --log_func_args --min_duration 1.5")
        self.assertEqual([values[name] for name in ("port", "output_file", "max_stack_depth", "log_func_args", "min_duration")], [8000, "a b.html", 3, True, 1.5])
        for wrong in ("--nothing", "-p", "-p x", "--log_gc=1", "word", "'"):
            self.assertRaises(_notebook.UsageError, _notebook.parse, wrong)

    def test_every_option_is_an_argument_of_the_tracer(self):
        import inspect

        known = set(inspect.signature(VizTracer.__init__).parameters)
        for name in _notebook.OPTIONS:
            self.assertTrue(name[2:] in known or name[2:] in _notebook._OURS, name)

    def test_cell_runs_and_its_report_is_shown(self):
        self.cells.run("--log_func_args", "x = fib(3)\ndef g(): return x\ng()\n'a \"quoted\" <text>';")
        self.assertEqual(self.shell.user_ns["x"], 2)
        self.assertEqual(names("viztracer_report.json").count("fib"), 5)
        self.assertEqual(os.listdir("."), ["viztracer_report.json"])
        (shown,) = self.shown
        self.assertTrue(shown.startswith("<iframe ") and shown.endswith("></iframe>"))
        self.assertEqual((shown.count("<"), shown.count('"')), (2, 6))  # nothing of the page ends the attribute
        self.assertEqual(self.buttons[0][0], "VizTracer Report")

    def test_value_of_the_last_expression_is_displayed(self):
        told = []
        before, sys.displayhook = sys.displayhook, told.append
        try:
            self.cells.run("--no_inline -o a.html", "y = 4\ny + 1")
            self.cells.run("--no_inline -o a.html", "y + 2;")
            self.cells.run("--no_inline -o a.html", "")
        finally:
            sys.displayhook = before
        self.assertEqual((told, self.shown), ([5], []))
        self.assertGreater(os.path.getsize("a.html"), 1000)

    def test_cell_that_raises_is_saved(self):
        with self.assertRaises(ZeroDivisionError):
            self.cells.run("", "fib(2)\n1 / 0")
        self.assertIn("fib", names("viztracer_report.json"))
        with self.assertRaises(SyntaxError):
            self.cells.run("", "1 +")
        self.assertFalse(viztracer.tracing())

    def test_magic_runs_in_a_notebook(self):
        if not has("nbformat", "nbconvert", "ipykernel"):
            return skip("a notebook: no nbformat, nbconvert and ipykernel")
        code = (
            "import nbformat\n"
            "from nbconvert.preprocessors import ExecutePreprocessor\n"
            "new = nbformat.v4\n"
            "cells = ['%load_ext viztracer', '%%viztracer --log_func_args -p 9123\\nx = sorted([3, 1])\\nx', '%%viztracer --wrong\\n1', 'x']\n"
            "book = new.new_notebook(cells=[new.new_code_cell(cell) for cell in cells])\n"
            "ExecutePreprocessor(timeout=100, kernel_name='python3', allow_errors=True).preprocess(book, {})\n"
            "outputs = [[output for output in cell.outputs] for cell in book.cells]\n"
            "shown = [output.data for output in outputs[1] if 'data' in output]\n"
            "assert any(data.get('text/plain') == '[1, 3]' for data in shown), outputs[1]\n"
            "assert any('<iframe' in data.get('text/html', '') for data in shown), outputs[1]\n"
            "assert outputs[2][0].text.startswith('UsageError') and '--wrong' in outputs[2][0].text, outputs[2]\n"
            "assert outputs[3][0].data['text/plain'] == '[1, 3]', outputs[3]\n"
        )
        status, _, err = self.run_code(code)
        self.assertEqual(status, 0, err)
        self.assertIn("builtins.sorted", names("viztracer_report.json"))


class FakeTorch(types.ModuleType):
    """torch.profiler, as far as it is used: one operator, told as torch does, from its own base of time."""

    BASE = 1700000000 * 10**9

    def __init__(self):
        types.ModuleType.__init__(self, "torch")
        self.profiler = self
        self.told = []

    def supported_activities(self):
        return {"CPU"}

    def profile(self, activities):
        assert activities == {"CPU"}
        self.told.append("profile")
        return self

    def start(self):
        self.told.append("start")

    def stop(self):
        self.told.append("stop")

    def operator(self):
        begin = time.time_ns()
        fib(4)
        self.times = begin, time.time_ns()

    def export_chrome_trace(self, path):
        begin, end = ((ns - self.BASE) / 1000 for ns in self.times)
        own = {"ph": "M", "pid": os.getpid(), "tid": 0, "name": "process_name", "args": {"name": "torch's own"}}
        gpu = {"ph": "M", "pid": 0, "tid": 0, "name": "process_name", "args": {"name": "GPU"}}
        call = {"ph": "X", "cat": "cpu_op", "pid": os.getpid(), "tid": os.getpid(), "name": "aten::empty", "ts": begin, "dur": end - begin}
        with open(path, "w") as file:
            json.dump({"baseTimeNanoseconds": self.BASE, "traceEvents": [own, gpu, call]}, file)


class Torch(Case):
    def test_events_of_a_profile_are_in_the_clock_of_the_trace(self):
        torch = sys.modules["torch"] = FakeTorch()
        try:
            tracer = VizTracer(output_file="a.json", verbose=0, log_torch=True)
        finally:
            del sys.modules["torch"]
        with tracer:
            torch.operator()
        self.assertEqual(torch.told, ["profile", "start", "stop"])
        (operator,) = named("a.json", "aten::empty")
        call = named("a.json", "FakeTorch.operator" if sys.version_info >= (3, 11) else "operator")[0]
        inside = named("a.json", "fib")[-1]
        # time_ns is read before and after the calls; the two clocks may be set against each other meanwhile
        self.assertLess(abs(operator["ts"] + operator["dur"] - call["ts"] - call["dur"]), 1e6)
        self.assertLess(abs(operator["ts"] - inside["ts"]), 1e6)
        told = [e["args"]["name"] for e in read("a.json")["traceEvents"] if e["name"] == "process_name"]
        self.assertIn("GPU", told)
        self.assertNotIn("torch's own", told)

    def test_times_of_old_and_new_files_are_moved(self):
        event = {"ph": "X", "ts": 500.0, "name": "e"}
        moved_by = lambda data, base: list(moved(dict(data, traceEvents=[event]), base))[0]["ts"]
        self.assertEqual(moved_by({"baseTimeNanoseconds": 5000000}, 2000000), 3500.0)
        self.assertEqual(moved_by({}, 2000000), -1500.0)

    def test_without_torch_it_is_refused(self):
        if has("torch"):
            return skip("no torch: it is installed")
        with self.assertRaises(ModuleNotFoundError):
            VizTracer(verbose=0, log_torch=True)

    def test_real_operators_lie_in_their_calls(self):
        if not has("torch"):
            return skip("torch: it is not installed")
        code = (
            "import torch\n"
            "from viztracer import VizTracer\n"
            "with VizTracer(output_file='a.json', verbose=0, log_torch=True):\n"
            "    for i in range(100): torch.empty(i)\n"
        )
        self.assertEqual(self.run_code(code)[0], 0)
        calls, operators = named("a.json", "torch.empty"), named("a.json", "aten::empty")
        self.assertEqual((len(calls), len(operators)), (100, 100))
        for call, operator in zip(calls, operators):
            self.assertLess(call["ts"], operator["ts"])
            self.assertGreater(call["ts"] + call["dur"], operator["ts"] + operator["dur"])


def use_spans(provider_of):
    """Two spans of OpenTelemetry's interface, one in the other."""
    tracer = provider_of()
    with tracer.start_as_current_span("outer"):
        fib(1)
        with tracer.start_as_current_span("inner"):
            pass


class FakeSpan(object):
    def __init__(self, tracer, name):
        self.tracer, self.name, self.attributes = tracer, name, {"k": 1}
        self.parent = tracer.open[-1].get_span_context() if tracer.open else None

    def get_span_context(self):
        return types.SimpleNamespace(trace_id=0xABC, span_id=len(self.name))

    def __enter__(self):
        self.tracer.open.append(self)
        self.tracer.processor.on_start(self, parent_context=None)

    def __exit__(self, *error):
        self.tracer.open.pop()
        self.tracer.processor.on_end(self)


class FakeTracer(object):
    def __init__(self, processor):
        self.processor, self.open = processor, []

    def start_as_current_span(self, name):
        return FakeSpan(self, name)


class OpenTelemetry(Case):
    def test_spans_are_slices_with_their_ids(self):
        fakes = {name: types.ModuleType(name) for name in ("opentelemetry", "opentelemetry.sdk", "opentelemetry.sdk.trace")}
        fakes["opentelemetry.sdk.trace"].SpanProcessor = object
        before = {name: sys.modules.get(name) for name in fakes}
        sys.modules.update(fakes)
        try:
            processor = importlib.import_module("viztracer.opentelemetry").VizSpanProcessor()
        finally:
            del sys.modules["viztracer.opentelemetry"]
            for name, module in before.items():
                sys.modules.pop(name)
                if module is not None:
                    sys.modules[name] = module
        with VizTracer(output_file="a.json", verbose=0):
            use_spans(lambda: FakeTracer(processor))
        use_spans(lambda: FakeTracer(processor))
        self.assertTrue(processor.force_flush())
        told = [e for e in events("a.json") if e["ph"] in "be"]
        self.assertEqual([(e["ph"], e["name"]) for e in told], [("b", "outer"), ("b", "inner"), ("e", "inner"), ("e", "outer")])
        outer, inner, _, end = told
        self.assertEqual(outer["args"], {"trace_id": "{:032x}".format(0xABC)})
        self.assertEqual(inner["args"], {"trace_id": "{:032x}".format(0xABC), "parent_id": outer["id"]})
        self.assertEqual((end["args"], end["id"], outer["id"]), ({"k": 1}, "{:016x}".format(5), "{:016x}".format(5)))
        self.assertEqual(len({e["cat"] for e in told}), 1)

    def test_real_spans_end_on_any_thread(self):
        if not has("opentelemetry.sdk.trace"):
            return skip("opentelemetry: it is not installed")
        code = (
            "import threading\n"
            "from opentelemetry.sdk.trace import TracerProvider\n"
            "from viztracer import VizTracer\n"
            "from viztracer.opentelemetry import VizSpanProcessor\n"
            "provider = TracerProvider()\n"
            "provider.add_span_processor(VizSpanProcessor())\n"
            "tracer = provider.get_tracer('t')\n"
            "with VizTracer(output_file='a.json', verbose=0):\n"
            "    with tracer.start_as_current_span('outer') as span:\n"
            "        inner = tracer.start_span('inner', attributes={'k': 'v'})\n"
            "    thread = threading.Thread(target=inner.end)\n"
            "    thread.start()\n"
            "    thread.join()\n"
            "print('{:032x} {:016x}'.format(span.get_span_context().trace_id, span.get_span_context().span_id))\n"
            "provider.shutdown()\n"
        )
        status, out, err = self.run_code(code)
        self.assertEqual(status, 0, err)
        trace_id, span_id = out.split()
        told = {e["ph"] + e["name"]: e for e in events("a.json") if e["ph"] in "be"}
        self.assertEqual(sorted(told), ["binner", "bouter", "einner", "eouter"])
        self.assertEqual((told["binner"]["args"], told["einner"]["args"]), ({"trace_id": trace_id, "parent_id": span_id}, {"k": "v"}))
        self.assertEqual((told["einner"]["id"], told["bouter"]["id"]), (told["binner"]["id"], span_id))
        self.assertNotEqual(told["einner"]["tid"], told["binner"]["tid"])


if __name__ == "__main__":
    unittest.main()
