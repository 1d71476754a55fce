"""Options of a launch for which Python code runs in the program: --log_print, --log_audit, --log_func_with_objprint,
--plugins.

The agent carries this file in itself, runs it in a namespace that nobody else sees, and calls start() before the first line of
the program. What the program then calls is made by agent.hushed, so that nothing of it is in the trace.
"""

import sys

NAME_MAX = 4000  # characters of the name of an instant; more text becomes several


def hidden(name):
    """Imports a module, which is then not among those of the program, nor is what it imports."""
    before = set(sys.modules)
    module = __import__(name)
    for new in set(sys.modules) - before:
        del sys.modules[new]
    return module


class Agent:
    """The functions of the extension module; the agent puts them here."""


def start_print(agent, load=hidden):
    """print() writes nothing: its text becomes an instant. Where no session is on, it writes as before. -> the print before"""
    builtins, io = sys.modules["builtins"], load("io")
    plain = builtins.print

    def print(*values, **named):
        if not agent.recording():
            return plain(*values, **named)
        file = io.StringIO()
        plain(*values, **dict(named, file=file))
        text = file.getvalue()
        for at in range(0, len(text) or 1, NAME_MAX):
            agent.mark("i", "g", "print - " + text[at : at + NAME_MAX], None, None)

    builtins.print = agent.hushed(print)
    return plain


def text_of(value):
    try:
        return str(value)
    except Exception:
        return "Not Displayable"


class Audit:
    """Audit events become instants with the texts of their arguments. An audit hook stays for good, so there is one."""

    def __init__(self, agent, load=hidden):
        self.agent = agent
        self.load = load
        self.fits = []
        self.inside = set()  # threads on which the text of an argument is made, which may raise events, too
        self.get_ident, self.dumps = load("_thread").get_ident, load("json").dumps
        sys.addaudithook(agent.hushed(self.hook()))

    def want(self, patterns):
        """patterns: regular expressions that the whole name of an event has to match; none: no event. None, or what is wrong."""
        compile_pattern, fits = self.load("re").compile, []
        for pattern in patterns:
            try:
                fits.append(compile_pattern(pattern).fullmatch)
            except Exception as error:
                return "--log_audit: {} is no regular expression: {}".format(pattern, error)
        self.fits = fits
        return None

    def hook(self):
        def on_audit(event, args):
            if not self.fits or not self.agent.recording():
                return
            me = self.get_ident()
            if me not in self.inside and any(fits(event) for fits in self.fits):
                self.inside.add(me)
                try:
                    self.tell(event, args)
                finally:
                    self.inside.discard(me)

        return on_audit

    def tell(self, event, args):
        texts = self.dumps({"args": [text_of(arg) for arg in args]})
        if not self.agent.mark("i", "t", event, None, texts):  # too long
            self.agent.mark("i", "t", event, None, None)


def objprint_text():
    """What tells values: of the program's own module objprint, which it may have configured."""
    return __import__("objprint").objstr


def start_plugins(names):
    """None, or what is wrong."""
    try:
        from viztracer._launched import LaunchedPlugins
    except ImportError:
        return "--plugins: this Python has no package viztracer of viztracerd: install it for {}".format(sys.executable or "it")
    try:
        LaunchedPlugins(names)
    except Exception as error:
        return "--plugins: {}".format(error)
    return None


class Extras:
    def __init__(self):
        self.agent = Agent()
        self.repr = None  # what tells values in place of repr()

    def start(self, agent, text):
        """text: lines with the name of an option, a blank, its value. None, or what is wrong."""
        options = {}
        for line in text.split("\n"):
            name, _, value = line.partition(" ")
            options.setdefault(name, []).append(value)
        if "log_func_with_objprint" in options:
            try:
                self.repr = objprint_text()
            except Exception:
                return (
                    "--log_func_with_objprint: this Python has no module objprint: install it for {}, or use --log_func_args "
                    "alone".format(sys.executable or "it")
                )
        if "log_print" in options:
            start_print(agent)
        wrong = Audit(agent).want(options["log_audit"]) if "log_audit" in options else None
        if not wrong and "plugins" in options:
            wrong = start_plugins(options["plugins"])
        return wrong


api = Extras()
