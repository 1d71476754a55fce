"""Below 3.12: something takes the profile function of a thread away, which makes no Python call from then on. The end of the session
tells that nothing of it was seen since."""
import threading
from vtarena import *

PL_WINDOW, DISPLACED = 8, 1
if sys.version_info >= (3, 12):
    print("skip: sys.monitoring has no function of a thread")
    sys.exit(0)
FUNCTION_AT = 56 if sys.version_info < (3, 11) else 64
state = ctypes.pythonapi.PyThreadState_Get
state.restype = ctypes.c_void_p
gate, taken, seen = threading.Lock(), threading.Event(), threading.Event()


def before():
    return 1


def displaced():
    seen.wait()
    for _ in range(10):
        before()
    function = ctypes.c_long.from_address(state() + FUNCTION_AT)
    taken.set()
    function.value = 0
    gate.acquire()
    gate.release()


def told(s):
    return [stream[-1] for stream in s.streams.values() if stream and stream[-1][0] == PAYLOAD and stream[-1][2][0] == PL_WINDOW]


def main():
    for looked in False, True:
        gate.acquire()
        thread = threading.Thread(target=displaced)
        thread.start()
        s = Session()
        s.start()
        seen.set()
        taken.wait()
        end = time.time() + (0.1 if looked else 0)
        while time.time() < end:
            before()
        s.stop()
        gate.release()
        thread.join()
        seen.clear()
        taken.clear()
        s.decode()
        marks = told(s)
        assert len(marks) == 1, (looked, marks)
        assert marks[0][2][1][:8] == struct.pack("<II", 0, DISPLACED), marks
    print("ok")


main()
