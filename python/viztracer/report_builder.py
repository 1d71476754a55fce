"""ReportBuilder: the dict of a trace, or files of traces, as one file."""

import json
import os
import tempfile

from viztracer._programs import find


class ReportBuilder(object):
    """data: the dict of a JSON trace, or a list of paths of .json files, which become one trace.

    align: the files are laid over each other at their sync markers, or their first events."""

    def __init__(self, data, verbose=1, align=False, minimize_memory=False, base_time=None):
        if not isinstance(data, (dict, list, tuple)):
            raise TypeError("Invalid data type for ReportBuilder")
        if not isinstance(verbose, int):
            raise ValueError("verbose needs to be an integer")
        if not isinstance(data, dict):
            for path in data:
                if not isinstance(path, str):
                    raise TypeError("Path should be a string")
                if not os.path.exists(path):
                    raise ValueError("{} does not exist".format(path))
                if not path.endswith(".json"):
                    raise ValueError("{} is not a json file".format(path))
        self.data = data
        self.verbose = verbose
        self.align = align
        self.entry_number_threshold = 4000000
        self.final_file_type = None

    @classmethod
    def get_source_from_filename(cls, filename):
        """The text of a source file, or of a frozen module ("<frozen name>"); None where there is none."""
        if filename.startswith("<frozen "):
            import importlib.util
            import sys

            name = filename[len("<frozen ") : -1]
            if not filename.endswith(">"):
                return None
            try:
                module = sys.modules.get(name) or importlib.import_module(name)
            except ImportError:
                return None
            filename = getattr(module, "__file__", None)
            if not filename:
                return None
        try:
            with open(filename, encoding="utf-8") as file:
                return file.read()
        except (OSError, ValueError):
            return None

    def _good_files(self):
        """The paths of those that are JSON. ValueError when there are none."""
        good = []
        for path in self.data:
            try:
                with open(path, encoding="utf-8") as file:
                    json.load(file)
                good.append(path)
            except ValueError:
                if self.verbose > 0:
                    print("Invalid json file, it is left out: {}".format(path))
        if not good:
            raise ValueError("No valid json files found")
        return good

    def save(self, output_file="result.json"):
        """Writes a file in the format of its suffix, or the JSON text to a text stream."""
        if not isinstance(output_file, str) and hasattr(output_file, "write"):
            json.dump(self._dict(), output_file)
            return
        if not isinstance(output_file, str):
            raise ValueError("output_file has to be a string")
        path = os.path.abspath(output_file)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if isinstance(self.data, dict) and path.endswith(".json"):
            with open(path, "w", encoding="utf-8") as file:
                json.dump(self.data, file)
            return
        folder = tempfile.mkdtemp(prefix="viztracer-")
        try:
            self._convert(folder, path)
        finally:
            for name in os.listdir(folder):
                os.unlink(os.path.join(folder, name))
            os.rmdir(folder)

    def _dict(self):
        if isinstance(self.data, dict):
            return self.data
        folder = tempfile.mkdtemp(prefix="viztracer-")
        path = os.path.join(folder, "trace.json")
        try:
            self._convert(folder, path)
            with open(path, encoding="utf-8") as file:
                return json.load(file)
        finally:
            for name in os.listdir(folder):
                os.unlink(os.path.join(folder, name))
            os.rmdir(folder)

    def _convert(self, folder, path):
        import subprocess

        command = [find("viztracer")]
        if isinstance(self.data, dict):
            source = os.path.join(folder, "data.json")
            with open(source, "w", encoding="utf-8") as file:
                json.dump(self.data, file)
            command += ["convert", source]
        else:
            command += ["align_combine" if self.align else "combine"] + self._good_files()
        done = subprocess.run(command + ["-o", path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if done.returncode:
            raise RuntimeError(done.stderr.decode("utf-8", "replace").strip())
