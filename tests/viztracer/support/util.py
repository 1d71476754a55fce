"""Small things of VizTracer's tests, for an sdist that comes without them."""

import os


def get_tests_data_file_path(filename):
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", filename)


def cmd_with_coverage(cmd):
    return list(cmd)
