"""VCompressor: traces in VizTracer's compressed form, .cvf."""

import json
import os
import shutil
import subprocess
import tempfile

from viztracer._programs import find


class VCompressor(object):
    """The work is done by the command line program."""

    def _run(self, command, source, target):
        words = [find("viztracer"), command, source, "-o", target]
        done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if done.returncode:
            raise RuntimeError(done.stderr.decode("utf-8", "replace").strip())

    def compress(self, trace, output_file):
        """trace: the dict of a JSON file."""
        folder = tempfile.mkdtemp(prefix="viztracer-")
        try:
            source = os.path.join(folder, "trace.json")
            with open(source, "w", encoding="utf-8") as file:
                json.dump(trace, file)
            self._run("compress", source, os.path.abspath(output_file))
        finally:
            shutil.rmtree(folder)

    def decompress(self, input_file):
        """-> the dict"""
        folder = tempfile.mkdtemp(prefix="viztracer-")
        try:
            target = os.path.join(folder, "trace.json")
            self._run("decompress", os.path.abspath(input_file), target)
            with open(target, encoding="utf-8") as file:
                return json.load(file)
        finally:
            shutil.rmtree(folder)
