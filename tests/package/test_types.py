"""The stubs say what is there. mypy checks them where it is installed; without it their names and parameters are compared."""

import ast
import importlib
import inspect
import os
import subprocess
import sys
import unittest

import viztracer
from common import PATIENCE, Case
from viztracer import VizTracer

FOLDER = os.path.dirname(os.path.abspath(viztracer.__file__))
PROGRAM = '''
import asyncio
import viztracer
from viztracer import VizTracer, get_tracer, ignore_function, log_sparse, trace_and_save
from viztracer.report_builder import ReportBuilder
from viztracer.vizcounter import VizCounter
from viztracer.vizlogging import VizLoggingHandler
from viztracer.vizobject import VizObject

@ignore_function
def noise(n: int) -> int:
    return n

@trace_and_save(output_dir="out", verbose=0)
def job(n: int) -> str:
    return str(noise(n) + 1)

@log_sparse
async def step() -> int:
    return 3

class Thing(VizObject):
    def __init__(self, tracer: VizTracer) -> None:
        super().__init__(tracer, "thing", include_attributes=["v"])
        self.v = 1

    @VizObject.triggerlog(when="both")
    def work(self, n: int) -> float:
        return n / 2

with VizTracer(output_file="a.json", include_files=["./"], log_func_args=True) as tracer:
    job(3).upper()
    asyncio.run(step()).bit_length()
    Thing(tracer).work(3).is_integer()
    VizCounter(tracer, "c").a = 1
    VizLoggingHandler(tracer=tracer).setTracer(None)
    with viztracer.span("s", key=1):
        viztracer.instant("i")
        viztracer.counter("c", 2.5)
    with tracer.add_duration("d", {"x": 1}), tracer.log_event("e"):
        tracer.add_func_args("k", [1])
    tracer.add_duration("d")(job)(4).upper()
found = get_tracer()
if found is not None and viztracer.tracing():
    found.add_counter("c", {"a": 1, "b": 2.5})
ReportBuilder(tracer.get_report()).save("b.html")
'''
WRONG = [
    'viztracer.instant(3)',
    'viztracer.counter("c", "1")',
    'job("3")',
    'get_tracer().start()',
    'VizTracer(verbose="1")',
    'VizTracer(no_such=1)',
    'tracer.log_instant("a", scope="x")',
    'Thing(tracer).work("3")',
]
# stubtest knows no callables that are made by the agent, nor attributes that programs assign.
ALLOWED = "viztracer\\._viztracer_agent\\..*\nviztracer\\._watched\\.Watched\\.__getattr__\n"


def has_mypy():
    done = subprocess.run([sys.executable, "-c", "import mypy"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return done.returncode == 0


def stubs():
    return sorted(name[:-4] for name in os.listdir(FOLDER) if name.endswith(".pyi"))


class Stubs(Case):
    def mypy(self, *words):
        env = dict(os.environ, MYPYPATH=os.path.dirname(FOLDER), PYTHONPATH=os.path.dirname(FOLDER))
        done = subprocess.run([sys.executable, "-m"] + list(words), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
        return done.returncode, done.stdout.decode()

    def test_programs_pass_mypy_strict(self):
        if not has_mypy():
            return print("\nSKIP mypy --strict: mypy is not installed")
        with open("program.py", "w") as file:
            file.write(PROGRAM)
        self.assertEqual(self.mypy("mypy", "--strict", "--cache-dir", "cache", "program.py")[0], 0)
        with open("program.py", "a") as file:
            file.write("\n".join(WRONG))
        status, text = self.mypy("mypy", "--strict", "--cache-dir", "cache", "program.py")
        first = PROGRAM.count("\n") + 1
        told = {int(line.split(":")[1]) for line in text.split("\n") if ": error:" in line}
        self.assertEqual(told, set(range(first, first + len(WRONG))), text)

    def test_stubs_are_those_of_the_modules(self):
        if not has_mypy():
            return print("\nSKIP stubtest: mypy is not installed")
        with open("allowed", "w") as file:
            file.write(ALLOWED)
        status, text = self.mypy("mypy.stubtest", "viztracer", "--concise", "--allowlist", "allowed", "--ignore-unused-allowlist")
        self.assertEqual(status, 0, text)

    def test_names_and_parameters_are_there(self):
        self.assertTrue(os.path.exists(os.path.join(FOLDER, "py.typed")))
        for stub in stubs():
            if stub == "opentelemetry":  # needs that package
                continue
            module = importlib.import_module("viztracer" if stub == "__init__" else "viztracer." + stub)
            with open(os.path.join(FOLDER, stub + ".pyi"), encoding="utf-8") as file:
                self.compare(stub, module, ast.parse(file.read()).body)

    def compare(self, where, owner, nodes):
        for node in nodes:
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or "Protocol" in ast.dump(node) or node.name == "__getattr__":
                continue
            there = getattr(owner, node.name, None)
            self.assertIsNotNone(there, (where, node.name))
            if isinstance(node, ast.ClassDef):
                self.compare(where + "." + node.name, there, node.body)
            elif owner.__name__ != "viztracer._viztracer_agent" and not isinstance(there, property):
                known = inspect.signature(getattr(there, "__wrapped__", there)).parameters
                told = [arg.arg for arg in node.args.args + node.args.kwonlyargs if arg.arg not in ("self", "cls")]
                self.assertEqual([name for name in told if name not in known], [], (where, node.name))

    def test_public_modules_have_stubs(self):
        modules = {name[:-3] for name in os.listdir(FOLDER) if name.endswith(".py")}
        self.assertEqual(sorted(name for name in modules if not name.startswith("_") and name not in stubs()), [])


class Docstrings(Case):
    def test_public_things_say_what_they_do(self):
        bare = []
        for name in stubs():
            if name.startswith("_") or name == "opentelemetry":
                continue
            module = importlib.import_module("viztracer." + name)
            for thing in vars(module).values():
                own = getattr(thing, "__module__", None) == module.__name__ and not thing.__name__.startswith("_")
                if own and not thing.__doc__:
                    bare.append((name, thing.__name__))
        bare += [name for name, method in vars(VizTracer).items() if name[0] != "_" and callable(method) and not method.__doc__]
        self.assertEqual(bare, [])
        with open(os.path.join(FOLDER, "_viztracer_agent.pyi"), encoding="utf-8") as file:
            told = {node.name for node in ast.parse(file.read()).body if isinstance(node, ast.FunctionDef) and ast.get_docstring(node)}
        self.assertTrue({"tracing", "instant", "counter", "span", "span_begin", "span_end"} <= told)


if __name__ == "__main__":
    unittest.main()
