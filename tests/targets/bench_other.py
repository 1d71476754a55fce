"""19 of the 20 functions of the workload "filtered" in bench_work.py: the file that --exclude_files names."""


def f0(n):
    return n + 0


def f1(n):
    return n + 1


def f2(n):
    return n + 2


def f3(n):
    return n + 3


def f4(n):
    return n + 4


def f5(n):
    return n + 5


def f6(n):
    return n + 6


def f7(n):
    return n + 7


def f8(n):
    return n + 8


def f9(n):
    return n + 9


def f10(n):
    return n + 10


def f11(n):
    return n + 11


def f12(n):
    return n + 12


def f13(n):
    return n + 13


def f14(n):
    return n + 14


def f15(n):
    return n + 15


def f16(n):
    return n + 16


def f17(n):
    return n + 17


def f18(n):
    return n + 18


all = [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18]
