"""A process with a child, and a child of that: each waits in a function of its own."""
import os
import time

from progress import ready


def in_the_parent():
    time.sleep(1000)


def in_the_child():
    time.sleep(1000)


def in_the_grandchild():
    time.sleep(1000)


if os.fork():
    time.sleep(0.2)
    ready()
    in_the_parent()
elif os.fork():
    in_the_child()
else:
    in_the_grandchild()
