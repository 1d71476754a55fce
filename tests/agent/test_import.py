"""The agent as an extension module, as a remote exec loads it: no dlsym given, started on the importing thread."""
import importlib.machinery, shutil, tempfile
from vtarena import *


def step(i):
    return abs(i)


def load(path):
    loader = importlib.machinery.ExtensionFileLoader("viztracer_agent", path)
    spec = importlib.machinery.ModuleSpec("viztracer_agent", loader, origin=path)
    try:
        importlib.machinery.ExtensionFileLoader.create_module(loader, spec)
    except ImportError as e:
        return str(e)
    return "no exception"


def prepared(s):
    """A copy of the file with its boot block filled in, found by its symbol."""
    with open(LIB, "rb") as f:
        image = bytearray(f.read())
    base = ctypes.addressof(ctypes.c_char.in_dll(lib(), "vt_agent_info"))
    boot_at = ctypes.addressof(ctypes.c_char.in_dll(lib(), "vt_agent_boot"))
    info = image.index(struct.pack("<QI", 0x31464e495a5656, 1))
    at = info + boot_at - base
    boot = s.boot(1)
    boot.f_dlsym = 0
    image[at:at + ctypes.sizeof(boot)] = bytes(boot)
    path = os.path.join(tempfile.mkdtemp(), "viztracer_agent.so")
    with open(path, "wb") as f:
        f.write(image)
    return path


def main():
    said = load(LIB)
    assert "not started" in said, said
    s = Session()
    path = prepared(s)
    said = load(path)
    assert said == "viztracer_agent is not a module", said
    assert s.state == TRACING, (s.state, s.err)
    for i in range(5):
        step(i)
    s.ask_stop()
    step(9)
    s.wait_gone()
    s.decode()
    got = s.events(s.stream_of("step"))
    assert got.count(("CALL", "step")) == 5 and got.count(("C_CALL", "builtins.abs")) == 5, got
    opened = [s.full_name(i) for x in s.stacks for i in x[4]]
    assert "main" in opened, opened
    shutil.rmtree(os.path.dirname(path))


main()
print("ok")
