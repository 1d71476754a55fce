"""Programs as people write them: each runs as it stands, in a process of its own, and what it is for is in its trace."""

import unittest

from common import Case, events, names, read


class Examples(Case):
    def example(self, code, *flags):
        status, out, err = self.run_code(code, *flags)
        self.assertEqual((status, err), (0, ""), out)
        return out

    def test_context_manager_around_a_part(self):
        self.example(
            "from viztracer import VizTracer\n"
            "def load(): return list(range(5))\n"
            "def work(data): return sum(data)\n"
            "data = load()\n"
            "with VizTracer(output_file='part.json', min_duration=0, max_stack_depth=10):\n"
            "    work(data)\n"
        )
        found = names("part.json")
        self.assertIn("work", found)
        self.assertNotIn("load", found)

    def test_service_with_tasks(self):
        self.example(
            "import asyncio\n"
            "from viztracer import VizTracer\n"
            "async def handle(n):\n"
            "    await asyncio.sleep(0.001)\n"
            "    return n\n"
            "async def main():\n"
            "    return await asyncio.gather(*(handle(n) for n in range(3)))\n"
            "with VizTracer(output_file='tasks.json', log_async=True, verbose=0):\n"
            "    assert asyncio.run(main()) == [0, 1, 2]\n"
        )
        calls = [e for e in events("tasks.json") if e["name"].startswith("handle (")]
        self.assertGreaterEqual(len({e["tid"] for e in calls}), 3)

    def test_counters_objects_and_spans_of_a_loop(self):
        self.example(
            "import viztracer\n"
            "from viztracer import VizTracer\n"
            "from viztracer.vizcounter import VizCounter\n"
            "with VizTracer(output_file='loop.json', verbose=0) as tracer:\n"
            "    counter = VizCounter(tracer, 'loss')\n"
            "    for epoch in range(3):\n"
            "        with viztracer.span('epoch', number=epoch):\n"
            "            counter.value = 1.0 / (epoch + 1)\n"
            "            tracer.log_var('epoch', epoch)\n"
            "    tracer.log_instant('done', args={'epochs': 3})\n"
        )
        told = [(e["ph"], e["name"]) for e in events("loop.json")]
        self.assertEqual([told.count(what) for what in (("C", "loss"), ("C", "epoch"), ("X", "epoch"), ("i", "done"))], [3, 3, 3, 1])

    def test_wrapper_of_an_application(self):
        self.example(
            "from viztracer import VizTracer\n"
            "class TraceApp(object):\n"
            "    def __init__(self, app, tracer): self.app, self.tracer = app, tracer\n"
            "    def __call__(self, environ, start):\n"
            "        if environ['PATH_INFO'].startswith('/static'):\n"
            "            return self.app(environ, start)\n"
            "        self.tracer.start()\n"
            "        try:\n"
            "            return self.app(environ, start)\n"
            "        finally:\n"
            "            self.tracer.stop()\n"
            "def view(): return b'x'\n"
            "def app(environ, start): return [view()]\n"
            "tracer = VizTracer(output_file='app.json', verbose=0, ignore_c_function=True)\n"
            "traced = TraceApp(app, tracer)\n"
            "for path in ('/a', '/static/b', '/c'):\n"
            "    traced({'PATH_INFO': path}, None)\n"
            "tracer.save()\n"
        )
        self.assertEqual(names("app.json").count("view"), 2)

    def test_decorator_for_some_functions(self):
        self.example(
            "import functools\n"
            "from viztracer import VizTracer\n"
            "def traced(function):\n"
            "    @functools.wraps(function)\n"
            "    def call(*args):\n"
            "        with VizTracer(output_file=function.__name__ + '.json', verbose=0):\n"
            "            return function(*args)\n"
            "    return call\n"
            "@traced\n"
            "def first(n): return abs(n)\n"
            "@traced\n"
            "def second(n): return pow(n, 2)\n"
            "assert (first(-2), second(3)) == (2, 9)\n"
        )
        self.assertIn("builtins.abs", names("first.json"))
        self.assertIn("builtins.pow", names("second.json"))

    def test_program_started_by_a_wrapper(self):
        out = self.example(
            "import subprocess, sys\n"
            "with open('child.py', 'w') as file:\n"
            "    file.write('import sys\\nprint(sys.argv[1:], sorted([2, 1]))\\n')\n"
            "done = subprocess.run([sys.executable, '-m', 'viztracer', '--quiet', '-o', 'child.json', '--', 'child.py', '-x', 'y'], stdout=subprocess.PIPE)\n"
            "print(done.returncode, done.stdout.decode().strip())\n"
        )
        self.assertEqual(out.strip(), "0 ['-x', 'y'] [1, 2]")
        self.assertIn("builtins.sorted", names("child.json"))

    def test_children_with_tracers_of_their_own(self):
        self.example(
            "import multiprocessing\n"
            "from viztracer import VizTracer, get_tracer\n"
            "def work(kwargs, n):\n"
            "    tracer = VizTracer(**kwargs)\n"
            "    tracer.register_exit()\n"
            "    tracer.start()\n"
            "    sorted(range(n))\n"
            "    tracer.exit_routine()\n"
            "if __name__ == '__main__':\n"
            "    tracer = VizTracer(output_file='parent.json', pid_suffix=True, verbose=0)\n"
            "    context = multiprocessing.get_context('spawn')\n"
            "    children = [context.Process(target=work, args=(get_tracer().init_kwargs, n)) for n in (3, 4)]\n"
            "    for child in children: child.start()\n"
            "    for child in children: child.join()\n"
            "    assert [child.exitcode for child in children] == [0, 0]\n"
        )
        import glob

        self.assertEqual([names(path).count("builtins.sorted") for path in glob.glob("parent_*.json")], [1, 1])

    def test_logging_beside_calls(self):
        self.example(
            "import logging\n"
            "from viztracer import VizTracer\n"
            "from viztracer.vizlogging import VizLoggingHandler\n"
            "logger = logging.getLogger('app')\n"
            "logger.propagate = False\n"
            "with VizTracer(output_file='log.json', verbose=0) as tracer:\n"
            "    handler = VizLoggingHandler()\n"
            "    handler.setTracer(tracer)\n"
            "    logger.addHandler(handler)\n"
            "    logger.error('no %s', 'disk')\n"
        )
        self.assertIn("logging - no disk", [e["name"] for e in events("log.json")])

    def test_report_taken_into_the_program(self):
        self.example(
            "import json\n"
            "from viztracer import VizTracer\n"
            "tracer = VizTracer(verbose=0)\n"
            "tracer.start()\n"
            "divmod(7, 2)\n"
            "tracer.stop()\n"
            "report = tracer.get_report()\n"
            "longest = max((e for e in report['traceEvents'] if e['ph'] == 'X'), key=lambda e: e['dur'])\n"
            "assert longest['name'] == 'builtins.divmod', longest\n"
            "with open('own.json', 'w') as file: json.dump(report, file)\n"
        )
        self.assertEqual(read("own.json")["viztracer_metadata"]["overflow"], False)


if __name__ == "__main__":
    unittest.main()
