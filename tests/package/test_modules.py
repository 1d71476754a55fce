"""Modules and methods that programs written for VizTracer import and call."""

import ast
import base64
import importlib
import io
import json
import os
import subprocess
import unittest

import viztracer
from common import Case, events, fib, named, names
from viztracer import VizTracer, get_tracer
from viztracer._programs import find
from viztracer.code_monkey import AstTransformer, CodeMonkey
from viztracer.functree import FuncTree
from viztracer.report_builder import ReportBuilder
from viztracer.util import compare_version, pid_exists, size_fmt, time_str_to_us


class Imports(Case):
    def test_names_are_where_programs_import_them_from(self):
        for module, name in (
            ("viztracer", "VizTracer"),
            ("viztracer.viztracer", "VizTracer"),
            ("viztracer.viztracer", "get_tracer"),
            ("viztracer.decorator", "log_sparse"),
            ("viztracer.vizcounter", "VizCounter"),
            ("viztracer.vizobject", "VizObject"),
            ("viztracer.vizevent", "VizEvent"),
            ("viztracer.vizlogging", "VizLoggingHandler"),
            ("viztracer.vizplugin", "VizPluginBase"),
            ("viztracer.event_base", "_EventBase"),
            ("viztracer.report_builder", "ReportBuilder"),
            ("viztracer.vcompressor", "VCompressor"),
            ("viztracer.functree", "FuncTree"),
            ("viztracer.code_monkey", "CodeMonkey"),
            ("viztracer.attach", "attach_status"),
            ("viztracer.util", "color_print"),
            ("viztracer.main", "main"),
            ("viztracer.viewer", "viewer_main"),
        ):
            self.assertTrue(hasattr(importlib.import_module(module), name), (module, name))
        self.assertIs(importlib.import_module("viztracer.viztracer").VizTracer, VizTracer)


class Calls(Case):
    def test_arguments_and_steps_belong_to_the_innermost_call(self):
        def inner(tracer):
            tracer.add_func_args("n", 3)
            tracer.add_func_exec("x", [1, "\u00e9"], 12)
            tracer.add_func_args("object", set)
            tracer.add_func_exec("y", 2, 13)

        def outer(tracer):
            tracer.add_func_args("outer", {"a": [None, "\u00e9\"\n"]})
            inner(tracer)

        with VizTracer(output_file="a.json", verbose=0) as tracer:
            tracer.add_func_args("no call", 1)
            outer(tracer)
        found = {e["name"].split(" (")[0].split(".")[-1]: e.get("args") for e in events("a.json")}
        self.assertEqual(found["outer"], {"outer": {"a": [None, "\u00e9\"\n"]}})
        steps = ["(12) x = [1, '\u00e9']", "(13) y = 2"]
        self.assertEqual(found["inner"], {"n": 3, "object": "<class 'set'>", "exec_steps": steps})
        with self.assertRaises(TypeError):
            tracer.add_func_args(3, 3)

    def test_arguments_stand_beside_those_of_the_call(self):
        def work(n):
            tracer.add_func_args("extra", n)

        tracer = VizTracer(verbose=0, log_func_args=True, log_func_retval=True)
        tracer.start()
        work(7)
        tracer.stop()
        tracer.save("a.vzt")
        tracer.save("a.json")
        subprocess.run([find("viztracer"), "convert", "a.vzt", "-o", "b.json"], check=True, stdout=subprocess.DEVNULL)
        for path in ("a.json", "b.json"):
            (call,) = (e for e in events(path) if "work (" in e["name"])
            self.assertEqual(call["args"], {"func_args": {"n": "7"}, "return_value": "None", "extra": 7})

    def test_a_value_too_long_is_left_out(self):
        def work():
            for _ in range(5):
                tracer.add_func_args("long", "x" * 30000)
            tracer.add_func_args("x" * 70000, 1)

        tracer = VizTracer(verbose=0)
        tracer.start()
        work()
        tracer.stop()
        tracer.parse()
        (call,) = (e for e in tracer.data["traceEvents"] if "work (" in e["name"])
        self.assertEqual(list(call["args"]), ["long"])

    def test_raw_events_are_in_the_file(self):
        tracer = VizTracer(verbose=0)
        tracer.start()
        fib(1)
        tracer.add_raw({"ph": "X", "name": "mine", "ts": tracer.getts(), "dur": 5, "cat": "c"})
        with self.assertRaises(TypeError):
            tracer.add_raw({"ph": "X", "name": fib})
        tracer.stop()
        tracer.save("a.json")
        tracer.save("b.html")
        (mine,) = named("a.json", "mine")
        self.assertEqual((mine["dur"], mine["pid"], mine["cat"]), (5, os.getpid(), "c"))
        self.assertIn("fib", names("a.json"))
        tracer.start()
        tracer.stop()
        tracer.save("c.json")
        self.assertEqual(events("c.json"), [])

    def test_attribute_is_told(self):
        class Thing(object):
            size = 3

        with VizTracer(output_file="a.json", verbose=0) as tracer:
            tracer.log_attr(Thing(), "size")
            tracer.log_attr(Thing(), "missing", cond=False)
        (found,) = (e for e in events("a.json") if e["ph"] == "C")
        self.assertEqual((found["name"], found["args"]), ("Thing.size", {"value": 3}))

    def test_stream_gets_the_text(self):
        tracer = VizTracer(verbose=0)
        tracer.start()
        fib(2)
        tracer.stop()
        text = io.StringIO()
        tracer.save(text)
        self.assertEqual(json.loads(text.getvalue()), tracer.load())
        tracer.dump("a.json")
        self.assertEqual(names("a.json"), ["fib"] * 3)

    def test_newest_events_count_those_of_objects(self):
        tracer = VizTracer(verbose=0, tracer_entries=4)
        tracer.start()
        for n in range(9):
            viztracer.instant(str(n))
        tracer.stop()
        self.assertEqual(tracer.parse(), 4)
        told = [e["name"] for e in tracer.data["traceEvents"] if e["ph"] == "i"]
        self.assertEqual((told, tracer.data["viztracer_metadata"]["overflow"]), (["5", "6", "7", "8"], True))


class Attach(Case):
    def test_attach_functions_make_and_forget_a_tracer(self):
        from viztracer import attach

        def arguments(path):
            return base64.urlsafe_b64encode(json.dumps({"output_file": path, "verbose": 0}).encode()).decode()

        if get_tracer() is not None:
            attach.uninstall_attach()
        attach.start_attach(arguments("a.json"))
        fib(2)
        created = attach.attach_status.created_tracer
        attach.stop_attach()
        self.assertEqual((created, attach.attach_status.created_tracer, get_tracer()), (True, False, None))
        self.assertEqual(names("a.json"), ["fib"] * 3)
        attach.start_attach(arguments("b.json"))
        attach.uninstall_attach()
        self.assertEqual((os.path.exists("b.json"), get_tracer()), (False, None))


class Sources(Case):
    def compiled(self, source, *instruments):
        monkey = CodeMonkey("m.py")
        for kind, names in instruments:
            monkey.add_instrument(kind, {"varnames": names, "funcnames": names})
        monkey.add_source_processor()
        code = monkey.compile(source, "m.py", "exec")
        told = []

        class Tracer(object):
            def __getattr__(self, method):
                return lambda *words, **named: told.append((method,) + words) if named.get("cond", True) else None

        exec(code, {"__viz_tracer__": Tracer()})
        return told

    def test_variables_are_told(self):
        source = "a = b = 1\na += 1\n(a, *c), d = (3, 4), 5\nclass T: pass\nt = T()\nt.a = 7\nx: int = 9\nfor a in 'p': pass\n"
        told = self.compiled(source, ("log_var", ["a"]), ("log_attr", ["a"]), ("log_number", ["x"]))
        variable = "Variable Assign - a"
        self.assertEqual(
            told,
            [("add_variable", variable, value, "instant") for value in (1, 2, 3)]
            + [("add_variable", "Attribute Assign - t.a", 7, "instant"), ("add_variable", "Variable Assign - x", 9, "counter")]
            + [("add_variable", variable, "p", "instant")],
        )

    def test_functions_and_exceptions_are_told(self):
        source = "def f(n, *r):\n    m = n\nf(2)\ntry: raise KeyError(1)\nexcept KeyError: pass\n"
        told = self.compiled(source, ("log_func_entry", ["f"]), ("log_func_exec", ["f"]), ("log_exception", []))
        self.assertEqual(told[:2], [("add_variable", "Function Entry - f", "f is called", "instant"), ("add_func_exec", "m", 2, 2)])
        self.assertEqual(told[2][:2], ("add_variable", "Exception - KeyError()"))

    def test_comments_are_told(self):
        source = '# !viztracer: log_instant("i")\na = 3  # !viztracer: log\n# !viztracer: log_var("v", a) if a > 5\na  # !viztracer: log if a == 3\n'
        self.assertEqual(self.compiled(source), [("log_instant", "i"), ("log_var", "a", 3), ("log_instant", "a")])

    def test_expressions_have_texts(self):
        transformer = AstTransformer("log_var", {"varnames": []})
        for text in ("a", "a[0]", "a[1:]", "a[0:3]", "a[0:3:1]", "d['a'][0].b", "[a,b]", "(a,b)", "f()"):
            self.assertEqual(transformer.get_string_of_expr(ast.parse(text).body[0].value), text)
        self.assertEqual(transformer.get_string_of_expr(ast.parse("a > b").body[0].value), "")


class Helpers(Case):
    def test_tree_does_not_depend_on_the_order(self):
        spans = [(0, 10, "a"), (1, 3, "b"), (5, 4, "c"), (6, 1, "d"), (2, 1, "e")]
        all_events = [{"ts": ts, "dur": dur - 0.5, "name": name + " (x.py:1)"} for ts, dur, name in spans]
        trees = []
        for order in (all_events, all_events[::-1], all_events[2:] + all_events[:2]):
            tree = FuncTree()
            for event in order:
                tree.add_event(event)
            trees.append(tree)
        self.assertTrue(trees[0].is_same(trees[1]) and trees[0].is_same(trees[2]))
        self.assertEqual([node.funcname for node in trees[1].inorder_traverse()], ["a", "b", "e", "c", "d"])
        self.assertEqual(trees[2].node_by_timestamp(6.2).funcname, "d")
        self.assertFalse(trees[0].is_same(FuncTree()))

    def test_small_functions_compute_what_they_say(self):
        self.assertEqual([size_fmt(n) for n in (3, 1536, 1024**5)], ["3.0B", "1.5KiB", "1024.0TiB"])
        self.assertEqual([compare_version("0.10.1", other) for other in ("0.9.10", "0.10.1", "1.0.0")], [1, 0, -1])
        self.assertEqual([time_str_to_us(t) for t in ("1.5", "0.2us", ".03ms", "3s", "600ns")], [1.5, 0.2, 30, 3e6, 0.6])
        for wrong in ("0.0.0", "x", "3x", ""):
            self.assertRaises(ValueError, time_str_to_us, wrong)
        self.assertEqual([pid_exists(pid) for pid in (-1, os.getpid(), 2**22 + 1)], [False, True, False])
        self.assertRaises(ValueError, pid_exists, 0)

    def test_report_builder_leaves_out_what_is_no_json(self):
        for name, text in (("a.json", '{"traceEvents": []}'), ("bad.json", "no")):
            with open(name, "w") as file:
                file.write(text)
        text = io.StringIO()
        ReportBuilder(["bad.json", "a.json"], verbose=0).save(text)
        self.assertEqual([e for e in json.loads(text.getvalue())["traceEvents"] if e["ph"] != "M"], [])
        with self.assertRaisesRegex(ValueError, "No valid json files found"):
            ReportBuilder(["bad.json"], verbose=0).save("b.json")
        self.assertIsNone(ReportBuilder.get_source_from_filename("<frozen no_such_module>"))
        self.assertIn("test_report_builder", ReportBuilder.get_source_from_filename(__file__))


if __name__ == "__main__":
    unittest.main()
