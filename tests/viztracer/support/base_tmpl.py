"""The base of VizTracer's tests, for an sdist that comes without it: the names and arguments that the tests use."""

import os
import time
import unittest


class BaseTmpl(unittest.TestCase):
    def assertEventNumber(self, data, expected_entries):
        self.assertEqual(sum(event["ph"] != "M" for event in data["traceEvents"]), expected_entries)

    def assertTrueTimeout(self, func, timeout):
        """func raises AssertionError until it is true."""
        end = time.monotonic() + timeout
        while True:
            try:
                return func()
            except AssertionError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.1)

    def assertFileExists(self, path, timeout=None, msg=None):
        self.assertTrueTimeout(lambda: self.assertTrue(os.path.exists(path), msg or path), timeout or 0)

    def assertFileNotExist(self, path):
        self.assertFalse(os.path.exists(path), path)
