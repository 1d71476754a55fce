"""The base of VizTracer's tests of programs, for an sdist that comes without it: the names and arguments that the tests use."""

import json
import os
import re
import shutil
import signal
import subprocess
import textwrap

from .base_tmpl import BaseTmpl

FIB = """
def fib(n):
    if n < 2:
        return 1
    return fib(n - 1) + fib(n - 2)
fib(5)
"""


def listed(value):
    return list(value) if isinstance(value, (list, tuple)) else [value] if value else []


class CmdlineTmpl(BaseTmpl):
    def build_script(self, script, name="cmdline_test.py"):
        with open(name, "w") as file:
            file.write(textwrap.dedent(script))

    def cleanup(self, output_file="result.json", script_name="cmdline_test.py"):
        for path in listed(script_name) + listed(output_file):
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.remove(path)

    def template(
        self,
        cmd_list,
        expected_output_file="result.json",
        success=True,
        script=FIB,
        script_name="cmdline_test.py",
        expected_entries=None,
        expected_stdout=None,
        expected_stderr=None,
        cleanup=True,
        check_func=None,
        concurrency=None,
        send_sig=None,
        timeout=60,
        env=None,
    ):
        if script:
            self.build_script(script, script_name)
        process = subprocess.Popen(cmd_list, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
        first = b""
        try:
            if send_sig is not None:
                number, word = send_sig if isinstance(send_sig, tuple) else (send_sig, None)
                while word and word.encode() not in first:
                    line = process.stdout.readline()
                    if not line:
                        break
                    first += line
                process.send_signal(number)
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            raise
        result = subprocess.CompletedProcess(cmd_list, process.returncode, first + out, err)
        # A program that a signal ends has that signal's status: VizTracer catches it and exits with 0.
        ended_well = result.returncode == 0 or (send_sig is not None and result.returncode == -number)
        self.assertEqual(ended_well, success, "exit {}\n{}\n{}".format(result.returncode, result.stdout.decode(), result.stderr.decode()))
        if success:
            for path in listed(expected_output_file):
                self.assertFileExists(path)
            for wanted, text in ((expected_stdout, result.stdout), (expected_stderr, result.stderr)):
                if wanted:
                    self.assertRegex(text.decode(), re.compile(wanted) if isinstance(wanted, str) else wanted)
            if expected_entries or check_func:
                (path,) = listed(expected_output_file)
                with open(path) as file:
                    data = json.load(file)
                if expected_entries:
                    self.assertEventNumber(data, expected_entries)
                if check_func:
                    check_func(data)
        if cleanup:
            self.cleanup(output_file=expected_output_file, script_name=script_name)
        return result
