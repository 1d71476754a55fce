"""The magic %%viztracer of notebooks: traces a cell, and shows the report below it."""

import ast
import html
import os
import shlex
import subprocess

from viztracer._programs import find
from viztracer.tracer import VizTracer

DEFAULT_FILE = "./viztracer_report.json"
INLINE_MAX = 32 << 20  # bytes of a page that is put into the notebook

# Option -> what its value is made with; None is a flag. Names are those of VizTracer's arguments.
OPTIONS = {
    "--port": int,
    "--output_file": str,
    "--height": int,
    "--max_stack_depth": int,
    "--min_duration": float,
    "--tracer_entries": int,
    "--ignore_c_function": None,
    "--ignore_frozen": None,
    "--log_func_args": None,
    "--log_func_retval": None,
    "--log_gc": None,
    "--log_async": None,
    "--log_print": None,
    "--log_sparse": None,
    "--no_inline": None,
}
_SHORT = {"-p": "--port", "-o": "--output_file"}
_OURS = ("port", "height", "no_inline")


class UsageError(ValueError):
    """The line of the magic is wrong; the text is one line."""


def parse(line):
    """The words behind %%viztracer -> {name: value}, with the defaults. UsageError for others."""
    values = {"port": 9001, "output_file": DEFAULT_FILE, "height": 600, "no_inline": False}
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError("%%viztracer: {}".format(error)) from None
    while words:
        name, equals, text = words.pop(0).partition("=")
        name = _SHORT.get(name, name)
        if name not in OPTIONS:
            raise UsageError("%%viztracer: {} is no option; there are {}".format(name, ", ".join(sorted(OPTIONS))))
        kind = OPTIONS[name]
        if kind is None:
            if equals:
                raise UsageError("%%viztracer: {} takes no value".format(name))
            values[name[2:]] = True
            continue
        if not equals:
            if not words:
                raise UsageError("%%viztracer: {} needs a value".format(name))
            text = words.pop(0)
        try:
            values[name[2:]] = kind(text)
        except ValueError:
            raise UsageError("%%viztracer: {} takes {}, not {}".format(name, "a number", text)) from None
    return values


def _statements(source, name):
    """Code of all but a last expression, and code of that; None where there is none. A semicolon behind it hides its value, as ever."""
    tree = ast.parse(source, name)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr) and not source.rstrip().endswith(";"):
        last = compile(ast.Expression(tree.body.pop().value), name, "eval")
    return compile(tree, name, "exec"), last


def frame(page, height):
    """The page inside an <iframe>, as a text of HTML. Its scripts cannot reach the notebook."""
    return '<iframe style="width:100%;height:{}px;border:0" sandbox="allow-scripts allow-downloads" srcdoc="{}"></iframe>'.format(
        height, html.escape(page, quote=True)
    )


def _page(tracer, path):
    """The trace as HTML text, or None if it is too large."""
    made = path if path.endswith(".html") else os.path.splitext(path)[0] + ".viztracer-cell.html"
    try:
        if made != path:
            tracer.save(made, verbose=0)
        if os.path.getsize(made) > INLINE_MAX:
            return None
        with open(made, encoding="utf-8") as file:
            return file.read()
    finally:
        if made != path and os.path.exists(made):
            os.unlink(made)


class Cell(object):
    """Runs cells. shell: that of IPython; show: takes HTML text; button: takes a title and a function, or None."""

    def __init__(self, shell, show, button=None):
        self._shell = shell
        self._show = show
        self._button = button
        self._viewers = []

    def run(self, line, cell):
        """What %%viztracer does. The trace is saved also when the cell raises."""
        import sys

        values = parse(line)
        source = self._shell.transform_cell(cell)
        cache = getattr(getattr(self._shell, "compile", None), "cache", None)
        name = cache(source) if cache else "<cell>"
        body, last = _statements(source, name)
        namespace = self._shell.user_ns
        path = values["output_file"]
        tracer = VizTracer(verbose=0, **{name: value for name, value in values.items() if name not in _OURS})
        result = None
        tracer.start()
        try:
            exec(body, namespace)
            if last is not None:
                result = eval(last, namespace)
        finally:
            tracer.stop()
            tracer.save(path)
            page = None if values["no_inline"] else _page(tracer, path)
            tracer.clear()
        if result is not None:
            sys.displayhook(result)
        if page is not None:
            self._show(frame(page, values["height"]))
        elif not values["no_inline"]:
            print("The trace is too large to be shown here: vizviewer {}".format(path))
        if self._button is not None:
            self._button("VizTracer Report", lambda: self.view(path, values["port"]))

    def view(self, path, port):
        """Opens the report in the viewer, which ends when it has shown it."""
        self._viewers = [viewer for viewer in self._viewers if viewer.poll() is None]
        command = [find("vizviewer"), "--once", "-p", str(port), path]
        self._viewers.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))


def _buttons():
    """A function that shows a button, or None without ipywidgets."""
    try:
        from ipywidgets import Button
    except ImportError:
        return None
    from IPython.display import display

    def show(title, pressed):
        button = Button(description=title)
        button.on_click(lambda _: pressed())
        display(button)

    return show


def load_ipython_extension(ipython):
    """%load_ext viztracer"""
    from IPython.core.error import UsageError as Wrong
    from IPython.display import HTML, display

    cells = Cell(ipython, lambda text: display(HTML(text)), _buttons())

    def viztracer(line, cell):
        """Traces the cell: %%viztracer [--output_file FILE] [--max_stack_depth N] [--log_func_args] ..."""
        try:
            cells.run(line, cell)
        except UsageError as error:
            raise Wrong(str(error)) from None

    ipython.register_magic_function(viztracer, "cell", "viztracer")
