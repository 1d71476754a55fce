"""The other file: for filters by file name."""


def helper(callback):
    callback()
    return len("abc")
