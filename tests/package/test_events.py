"""Events of the program's own, and the classes and decorators that make them."""

import logging
import os
import subprocess
import sys
import threading
import unittest

import viztracer
from common import FIB_CALLS, PATIENCE, Case, events, fib, named, names
from viztracer import VizTracer, ignore_function, log_sparse, trace_and_save
from viztracer._programs import find
from viztracer.report_builder import ReportBuilder
from viztracer.vcompressor import VCompressor
from viztracer.vizcounter import VizCounter
from viztracer.vizlogging import VizLoggingHandler
from viztracer.vizobject import VizObject
from viztracer.vizplugin import VizPluginBase, VizPluginError


class Marks(Case):
    def traced(self, work, **kwargs):
        with VizTracer(output_file="a.json", verbose=0, **kwargs) as tracer:
            work(tracer)
        own = work.__code__.co_filename
        return [e for e in events("a.json") if not ("work (" + own in e["name"] or ".call (" in e["name"] or e["name"][:6] == "call (")]

    def test_instants_carry_scope_and_arguments(self):
        def work(tracer):
            tracer.log_instant("a", {"x": [1, "\u00e9"]}, scope="p")
            tracer.add_instant("b")
            tracer.log_instant("left out", cond=False)
            viztracer.instant("c")

        found = [(e["name"], e["ph"], e["s"], e.get("args")) for e in self.traced(work)]
        self.assertEqual(found, [("a", "i", "p", {"x": [1, "\u00e9"]}), ("b", "i", "g", None), ("c", "i", "t", None)])

    def test_wrong_events_are_refused(self):
        tracer = VizTracer(verbose=0)
        for wrong, error in (
            (lambda: tracer.log_instant(1), TypeError),
            (lambda: tracer.log_instant("a", scope="x"), ValueError),
            (lambda: tracer.log_instant("a", scope=1), TypeError),
            (lambda: tracer.add_counter("a", {"x": "1"}), ValueError),
            (lambda: tracer.add_counter(1, {}), TypeError),
            (lambda: tracer.add_object("X", 1, "a"), ValueError),
            (lambda: tracer.add_variable("a", "text", "counter"), ValueError),
            (lambda: viztracer.span(1), TypeError),
            (lambda: viztracer.span_begin(), TypeError),
            (lambda: viztracer.counter("a", "1"), TypeError),
            (lambda: viztracer.instant("a", "b"), TypeError),
        ):
            self.assertRaises(error, wrong)

    def test_counters_and_variables_are_recorded(self):
        def work(tracer):
            viztracer.counter("whole", -3)
            viztracer.counter("part", 2.5)
            tracer.add_counter("two", {"a": 1, "b": 2.5})
            tracer.log_var("number", 4)
            tracer.log_var("text", "t")
            tracer.add_variable("v", 1, "counter")
            tracer.add_variable("v", "t")

        found = [(e["ph"], e["name"], e.get("args")) for e in self.traced(work)]
        self.assertEqual(
            found,
            [
                ("C", "whole", {"value": -3}),
                ("C", "part", {"value": 2.5}),
                ("C", "two", {"a": 1, "b": 2.5}),
                ("C", "number", {"value": 4}),
                ("i", "text", {"object": "'t'"}),
                ("C", "v", {"v": 1}),
                ("i", "v = 't'", None),
            ],
        )

    def test_nothing_is_recorded_while_stopped(self):
        def work(tracer):
            tracer.stop()
            tracer.log_instant("no")
            viztracer.instant("no")
            with viztracer.span("no"):
                pass
            tracer.start()

        self.assertEqual(self.traced(work), [])

    def test_spans_nest_with_calls_and_carry_arguments(self):
        def work(tracer):
            with viztracer.span("outer", key="v", n=1):
                fib(1)
                viztracer.span_begin("inner")
                viztracer.span_end("inner")
            with tracer.add_duration("d", {"x": 1}):
                pass
            tracer.add_duration("e")(fib)(1)

        found = {e["name"].split(" (")[0] for e in self.traced(work)}
        self.assertEqual(sorted(found), ["d", "e", "fib", "inner", "outer"])
        outer, inner, call = (named("a.json", name)[0] for name in ("outer", "inner", "fib"))
        self.assertEqual(outer["args"], {"func_args": {"key": "'v'", "n": "1"}})
        for event in (inner, call):
            self.assertGreaterEqual(event["ts"], outer["ts"])
            self.assertLessEqual(event["ts"] + event["dur"], outer["ts"] + outer["dur"] + 0.001)

    def test_span_ends_when_an_exception_leaves_it(self):
        def work(tracer):
            try:
                with viztracer.span("s"):
                    raise KeyError("k")
            except KeyError:
                pass
            fib(1)

        found = [e["name"].split(" (")[0] for e in self.traced(work)]
        self.assertEqual(found, ["s", "fib"])
        self.assertLessEqual(named("a.json", "s")[0]["dur"], named("a.json", "fib")[0]["ts"] - named("a.json", "s")[0]["ts"])

    def test_events_of_each_thread_are_on_its_track(self):
        def work(tracer):
            thread = threading.Thread(target=viztracer.instant, args=("other",))
            thread.start()
            thread.join()
            viztracer.instant("main")

        tids = {e["name"]: e["tid"] for e in self.traced(work) if e["ph"] == "i"}
        self.assertEqual(tids["main"], os.getpid())
        self.assertNotEqual(tids["other"], os.getpid())

    def test_event_has_the_place_of_its_block(self):
        def work(tracer):
            with tracer.log_event("block"):
                pass

        name = self.traced(work)[0]["name"]
        self.assertTrue(name.startswith("block (" + os.path.abspath(__file__)), name)

    def test_every_format_takes_marks(self):
        tracer = VizTracer(verbose=0)
        tracer.start()
        for name in ("a", "\u00e9\"\\\n", "x" * 5000, ""):
            tracer.log_instant(name, {name: name})
            viztracer.counter(name, 1)
            tracer.add_object("N", name, name)
        viztracer.instant("y" * 70000)
        tracer.stop()
        tracer.save("a.vzt")
        for suffix in ("json", "html", "pftrace", "json.gz"):
            tracer.save("a." + suffix)
            self.assertGreater(os.path.getsize("a." + suffix), 20)
        subprocess.run([find("viztracer"), "convert", "a.vzt", "-o", "b.vzt"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([find("viztracer"), "convert", "b.vzt", "-o", "b.json"], check=True, stdout=subprocess.DEVNULL)
        wanted = [(e["ph"], e["name"], e.get("args")) for e in events("a.json")]
        self.assertEqual(len(wanted), 12)
        self.assertEqual([(e["ph"], e["name"], e.get("args")) for e in events("b.json")], wanted)

    def test_ten_thousand_names_are_kept_apart(self):
        def work(tracer):
            for i in range(10000):
                viztracer.span_begin("n%d" % i)
                viztracer.span_end("n%d" % i)

        self.assertEqual([e["name"] for e in self.traced(work, log_sparse=True)], ["n%d" % i for i in range(10000)])


class Classes(Case):
    def test_counter_object_tells_its_numbers(self):
        with VizTracer(output_file="a.json", verbose=0) as tracer:
            counter = VizCounter(tracer, "c")
            counter.a = 1
            counter.config("trigger_on_change", False)
            counter.b = 2.5
            counter.log()
        self.assertEqual([e["args"] for e in events("a.json")], [{"a": 1}, {"a": 1, "b": 2.5}])
        with self.assertRaises(Exception):
            counter.a = "text"
        with self.assertRaises(ValueError):
            counter.config("unknown", 1)
        VizCounter(None, "c").a = 1

    def test_object_tells_its_life(self):
        class Thing(VizObject):
            @VizObject.triggerlog(when="both")
            def work(self):
                self._hidden = 1

        with VizTracer(output_file="a.json", verbose=0) as tracer:
            thing = Thing(tracer, "o", include_attributes=["v"])
            thing.v = [1]
            thing.other = 2
            thing.work()
            del thing
        found = [(e["ph"], e.get("args")) for e in events("a.json") if e["ph"] in "NOD"]
        snapshot = {"snapshot": {"v": [1]}}
        self.assertEqual(found, [("N", None)] + [("O", snapshot)] * 3 + [("D", None)])

    def test_log_records_are_instants(self):
        logger = logging.getLogger("viztracer-test")
        handler = VizLoggingHandler()
        logger.addHandler(handler)
        try:
            with VizTracer(output_file="a.json", verbose=0) as tracer:
                handler.setTracer(tracer)
                logger.warning("hot %d", 3)
        finally:
            logger.removeHandler(handler)
        self.assertIn("logging - hot 3", [e["name"] for e in events("a.json") if e["ph"] == "i"])

    def test_report_builder_writes_dicts_and_files(self):
        event = {"ph": "X", "pid": 1, "tid": 1, "ts": 1, "dur": 1, "name": "f"}
        for name, ts in (("a", 1), ("b", 100)):
            ReportBuilder({"traceEvents": [dict(event, ts=ts, name=name, pid=ts)]}, verbose=0).save(name + ".json")
        ReportBuilder({"traceEvents": [event]}, verbose=0).save("c.html")
        self.assertGreater(os.path.getsize("c.html"), 1000)
        ReportBuilder(["a.json", "b.json"], verbose=0).save("d.json")
        self.assertEqual(sorted(names("d.json")), ["a", "b"])
        with self.assertRaises(TypeError):
            ReportBuilder(3)
        with self.assertRaises(ValueError):
            ReportBuilder(["missing.json"])

    def test_compressor_gives_back_the_events(self):
        with VizTracer(output_file="a.json", verbose=0) as tracer:
            fib(3)
            data = None
        import json

        with open("a.json") as file:
            data = json.load(file)
        VCompressor().compress(data, "a.cvf")
        back = VCompressor().decompress("a.cvf")
        self.assertEqual(sum(e["ph"] == "X" for e in back["traceEvents"]), FIB_CALLS[3])

    def test_plugins_are_told_and_change_the_data(self):
        told = []

        class Plugin(VizPluginBase):
            def support_version(self):
                return "0.1.0"

            def message(self, m_type, payload):
                told.append(payload.get("when") or payload["cmd_type"])
                if payload.get("when") == "pre-save":
                    return {"action": "handle_data", "handler": lambda data: data["traceEvents"].clear()}
                return {"success": True}

        with VizTracer(output_file="a.json", verbose=0, plugins=[Plugin()]):
            fib(2)
        self.assertEqual(told, ["initialize", "pre-start", "post-stop", "pre-save", "terminate"])
        self.assertEqual(events("a.json"), [])
        with self.assertRaises(TypeError):
            VizTracer(verbose=0, plugins=[3])
        with self.assertRaises(NotImplementedError):
            VizTracer(verbose=0, plugins=[VizPluginBase()])


class Decorators(Case):
    def test_ignored_functions_leave_no_event(self):
        ignored = ignore_function(fib)
        with VizTracer(output_file="a.json", verbose=0):
            self.result = ignored(4)
            fib(1)
        self.assertEqual(self.result, 3)
        self.assertEqual(names("a.json"), ["fib"])
        with self.assertRaises(NameError):
            ignored(1)

    def test_each_call_is_saved(self):
        @trace_and_save(output_dir="out", verbose=0)
        def work():
            fib(2)

        work()
        (name,) = os.listdir("out")
        self.assertTrue(name.startswith("result_work_"))
        self.assertEqual(names("out/" + name).count("fib"), FIB_CALLS[2])

    def test_sparse_functions_are_the_only_ones(self):
        tracer = VizTracer(output_file="a.json", verbose=0, log_sparse=True)

        @log_sparse
        def one():
            return fib(2)

        with tracer:
            fib(2)
            one()
        self.assertEqual(len(events("a.json")), 1)
        self.assertIn("one (", events("a.json")[0]["name"])
        self.assertIs(log_sparse(fib), fib)


if __name__ == "__main__":
    unittest.main()
