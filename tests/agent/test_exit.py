"""The program ends while it is traced, in every way: same exit status as without us, and what was written stays."""
import subprocess, sys, tempfile
from vtarena import *

PROLOGUE = """
import sys, os, threading, time, atexit
sys.path.insert(0, %r)
from vtarena import *
def step(i): return abs(i)
class Late:
    def __del__(self): step(1)
keep = Late()
s = Session(flags=%d%s)
s.start()
for i in range(1000): step(i)
"""
ENDINGS = {
    "plain": "", "exit": "sys.exit(3)", "exception": "raise KeyError('x')", "os_exit": "os._exit(4)",
    "atexit": "atexit.register(step, 1)",
    "daemons": """
def forever():
    while True: step(1)
for i in range(3): threading.Thread(target=forever, daemon=True).start()
time.sleep(0.05)
sys.exit(5)
""",
    "sleepers": """
def sleeper():
    while True: step(1); time.sleep(0.001)
for i in range(3): threading.Thread(target=sleeper, daemon=True).start()
time.sleep(0.05)
""",
    "cycle": "a = [keep]; a.append(a); del a, keep",
    "generator": "def g():\n  try: yield 1\n  finally: step(2)\ng1 = g(); next(g1)",
    "abort_in_stop": "s.ask_stop()",
}
STATUS = {"exit": 3, "exception": 1, "os_exit": 4, "daemons": 5}


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    for options in ("", ", depth=50", ", clock=1"):
        for flags in (0, F_C_CALLS, F_C_CALLS | F_GC | F_ARGS | F_RETVAL):
            if options and flags != F_C_CALLS:
                continue
            for name, ending in ENDINGS.items():
                code = PROLOGUE % (here, flags, options) + ending
                for _ in range(2 if "daemons" in name or "sleepers" in name else 1):
                    p = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
                    assert p.returncode == STATUS.get(name, 0), (name, flags, options, p.returncode, p.stderr.decode()[-2000:])


main()
print("ok")
