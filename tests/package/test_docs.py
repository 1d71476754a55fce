"""The code in the package's pages runs as it is written there."""

import os
import re
import unittest

from common import Case, names

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = next(path for path in (os.path.join(HERE, "docs"), os.path.join(HERE, "../../docs")) if os.path.isdir(path))


def blocks(page):
    with open(os.path.join(FOLDER, page), encoding="utf-8") as file:
        return re.findall(r"```python\n(.*?)```", file.read(), re.S)


class Pages(Case):
    def run_page(self, page, count):
        found = blocks(page)
        self.assertEqual(len(found), count)
        for number, block in enumerate(found):
            exec(compile(block, "{} block {}".format(page, number), "exec"), {"__name__": "page"})

    def test_api_page_runs(self):
        self.run_page("python-api.md", 5)
        self.assertIn("builtins.sorted", names("trace.json"))
        self.assertGreater(os.path.getsize("part.html"), 1000)
        self.assertEqual(sorted(names("events.json")), ["begin", "connection", "load", "query", "raw", "size", "step"])
        self.assertEqual(len(os.listdir("traces")), 1)

    def test_migration_page_runs(self):
        self.run_page("migrating-from-viztracer.md", 1)
        self.assertEqual((names("result.json"), names("with.json")), (["builtins.len"], ["here"]))


if __name__ == "__main__":
    unittest.main()
