"""Two threads use 0.7 s of CPU time each, and the program ends."""
import threading
import time


def burn():
    until = time.thread_time() + 0.7
    while time.thread_time() < until:
        pass


thread = threading.Thread(target=burn, name="burner")
thread.start()
burn()
thread.join()
