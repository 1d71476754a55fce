"""Source instrumentation of a launched program: --log_var and its kind, --magic_comment.

The agent carries this file in itself, runs it in a namespace that nobody else sees, and calls start() before the first line of
the program. From then on a module that is imported from its source is parsed here, statements that tell values are added to its
tree, and the tree is compiled. Neither the source nor a .pyc file is written, and no .pyc file is read.

A statement that tells a value is `LOGGER @ (KIND, name, value)`. LOGGER is an object of the agent: its operator records the value
and returns it. It stands among the constants of the code, so no namespace of the program changes. An added node has the place of
the node that it belongs to, so lines keep their numbers.

Where anything here fails, the module is compiled as it is.
"""

import sys


def hidden(name):
    """Imports a module, which is then not among those of the program, nor is what it imports."""
    before = set(sys.modules)
    module = __import__(name)
    for new in set(sys.modules) - before:
        del sys.modules[new]
    return module


a = hidden("_ast")

# Kinds of events. The agent has the same numbers (agent/instrument.c).
VALUE, NUMBER, STEP, LOG_VAR, LOG_INSTANT, INSTANT_ARGS, MOMENT = range(7)

PLACEHOLDER = "\0viztracer logger\0"
PLACEHOLDER_API = "\0viztracer api\0"
MARKER = "!viztracer:"
CALLS = {"__viztracer_log_var__": LOG_VAR, "__viztracer_log_instant__": LOG_INSTANT, "__viztracer_log__": None}
ONLY_AST = 0x400
STDIN_MAX = 1 << 24
FUNCTIONS = (a.FunctionDef, a.AsyncFunctionDef)
COMPREHENSIONS = (a.ListComp, a.SetComp, a.DictComp, a.GeneratorExp)
IMPORTLIB = "<frozen importlib._bootstrap_external>"

LOADER = """
def get_code(self, fullname):
    path = self.get_filename(fullname)
    if type(self).source_to_code is plain and fullname == "pkgutil":
        return pkgutil_code(self, path) or original(self, fullname)
    if type(self).source_to_code is not plain or is_left_alone(path):
        return original(self, fullname)
    data = self.get_data(path)
    code = instrumented(data, path)
    return self.source_to_code(data, path) if code is None else code
"""


def is_in_standard_library(path):
    """Such modules are imported as they are: their variables are seldom what a pattern means."""
    folder = getattr(sys, "_stdlib_dir", None)
    if not folder and "os" in sys.modules:
        folder = sys.modules["os"].__file__.rpartition("/")[0]
    if not folder or not path.startswith(folder + "/"):
        return False
    return path[len(folder) + 1 :].split("/", 1)[0] not in ("site-packages", "dist-packages")


class Matcher:
    """Full matches of any of some regular expressions. Names without special characters need no `re`."""

    def __init__(self):
        self.names = set()
        self.patterns = []

    def add(self, text):
        if text.isidentifier():
            self.names.add(text)
            return
        self.patterns.append(hidden("re").compile(text))

    def __bool__(self):
        return bool(self.names or self.patterns)

    def __call__(self, name):
        return name in self.names or any(p.fullmatch(name) for p in self.patterns)


class Settings:
    def __init__(self):
        self.log_var = Matcher()
        self.log_number = Matcher()
        self.log_attr = Matcher()
        self.log_func_exec = Matcher()
        self.log_func_entry = Matcher()
        self.log_exception = False
        self.magic_comment = False


def text_of(node):
    """A short text of an expression: names, attributes, calls, subscripts; anything else is "..."."""
    parts = []
    while True:
        if isinstance(node, a.Attribute):
            parts.append("." + node.attr)
            node = node.value
        elif isinstance(node, a.Subscript):
            parts.append("[...]")
            node = node.value
        elif isinstance(node, a.Call):
            parts.append("()")
            node = node.func
        else:
            break
    parts.append(node.id if isinstance(node, a.Name) else "...")
    return "".join(reversed(parts))


def base_of(node):
    """The name that an assignment to a.b[c] changes: a; None if there is none."""
    while isinstance(node, (a.Attribute, a.Subscript)):
        node = node.value
    return node.id if isinstance(node, a.Name) else None


def is_plain(node):
    """Can it be read again without running a call or a subscript?"""
    while isinstance(node, a.Attribute):
        node = node.value
    return isinstance(node, a.Name)


def flat(target):
    """The single targets of one that may be a tuple."""
    pending, found = [target], []
    while pending:
        node = pending.pop()
        if isinstance(node, a.Starred):
            pending.append(node.value)
        elif isinstance(node, (a.Tuple, a.List)):
            pending.extend(reversed(node.elts))
        else:
            found.append(node)
    return found


def read(node):
    """The same name or attribute, to be read."""
    if isinstance(node, a.Name):
        return at(a.Name(node.id, a.Load()), node)
    return at(a.Attribute(read(node.value), node.attr, a.Load()), node)


def at(new, like):
    new.lineno = like.lineno
    new.col_offset = like.col_offset
    new.end_lineno = getattr(like, "end_lineno", None)
    new.end_col_offset = getattr(like, "end_col_offset", None)
    return new


def constant(value, like):
    return at(a.Constant(value=value, kind=None), like)


def tell(kind, name, value, like):
    """LOGGER @ (kind, name, value): an expression with the value of `value`."""
    what = at(a.Tuple([constant(kind, like), constant(name, like), value], a.Load()), like)
    return at(a.BinOp(constant(PLACEHOLDER, like), a.MatMult(), what), like)


def statement(expression):
    return at(a.Expr(expression), expression)


class Transformer:
    """Adds statements to one tree, in place. No recursion: trees may be deep."""

    def __init__(self, settings):
        self.s = settings
        self.pending = []  # (node, is it in a function of --log_func_exec)

    def transform(self, tree):
        self.pending.append((tree, False))
        while self.pending:
            self.visit(*self.pending.pop())

    # ---- what is told of names ----

    def of_name(self, name, value, inside, like):
        """Expressions that tell the new value of a variable; `value` makes the node that reads it."""
        found = []
        if self.s.log_var(name):
            found.append(tell(VALUE, "Variable Assign - " + name, value(), like))
        if self.s.log_number(name):
            found.append(tell(NUMBER, "Variable Assign - " + name, value(), like))
        if inside:
            found.append(tell(STEP, "(%d) %s" % (like.lineno, name), value(), like))
        return found

    def of_names(self, names, inside, like):
        found = []
        for name in names:
            if name:
                found += self.of_name(name, lambda n=name: at(a.Name(n, a.Load()), like), inside, like)
        return found

    def of_target(self, target, inside, like, wrapped=()):
        """The same for the target of an assignment; `wrapped`: attributes whose value is told already."""
        found = []
        for single in flat(target):
            name = base_of(single)
            if isinstance(single, a.Name) or not inside:
                found += self.of_names([name], inside, like)
            elif name:
                found += self.of_names([name], False, like)
                if isinstance(single, a.Attribute) and is_plain(single):
                    found.append(tell(STEP, "(%d) %s" % (like.lineno, text_of(single)), read(single), like))
            if isinstance(single, a.Attribute) and single not in wrapped and self.s.log_attr(single.attr) and is_plain(single):
                found.append(tell(VALUE, "Attribute Assign - " + text_of(single), read(single), like))
        return found

    def wrap_attributes(self, targets, value):
        """The value of an assignment, told for each attribute that it goes to, and these attributes."""
        wrapped = []
        for target in targets:
            if isinstance(target, a.Attribute) and self.s.log_attr(target.attr):
                value = tell(VALUE, "Attribute Assign - " + text_of(target), value, value)
                wrapped.append(target)
        return value, wrapped

    # ---- statements ----

    def behind(self, node, inside):
        """Expressions to be evaluated behind a statement."""
        if isinstance(node, a.Assign):
            node.value, wrapped = self.wrap_attributes(node.targets, node.value)
            return [e for target in node.targets for e in self.of_target(target, inside, node, wrapped)]
        if isinstance(node, a.AnnAssign) and node.value is not None:
            node.value, wrapped = self.wrap_attributes([node.target], node.value)
            return self.of_target(node.target, inside, node, wrapped)
        if isinstance(node, a.AugAssign):
            return self.of_target(node.target, inside, node)
        if isinstance(node, (a.Import, a.ImportFrom)) and getattr(node, "module", None) != "__future__":
            return self.of_names([n.asname or n.name.split(".")[0] for n in node.names if n.name != "*"], inside, node)
        if isinstance(node, a.Delete):
            names = [single.id for target in node.targets for single in flat(target) if isinstance(single, a.Name)]
            wanted = [n for n in names if inside or self.s.log_var(n) or self.s.log_number(n)]
            return [tell(MOMENT, "Variable Delete - " + n, constant(None, node), node) for n in wanted]
        return []

    def first_in(self, node, inside):
        """Expressions to be evaluated first in the body of a statement."""
        if isinstance(node, FUNCTIONS):
            args = node.args
            every = args.posonlyargs + args.args + [args.vararg] + args.kwonlyargs + [args.kwarg]
            found = []
            if self.s.log_func_entry(node.name):
                value = constant(node.name + " is called", node)
                found.append(tell(VALUE, "Function Entry - " + node.name, value, node))
            return found + self.of_names([arg.arg for arg in every if arg is not None], inside, node)
        if isinstance(node, (a.For, a.AsyncFor)):
            return self.of_target(node.target, inside, node.target)
        if isinstance(node, (a.With, a.AsyncWith)):
            targets = [item.optional_vars for item in node.items if item.optional_vars is not None]
            return [e for target in targets for e in self.of_target(target, inside, target)]
        if isinstance(node, a.ExceptHandler):
            return self.of_names([node.name], inside, node)
        if type(node).__name__ == "match_case" and node.guard is None:
            return self.of_names(self.captures(node.pattern), inside, node.pattern)
        return []

    @staticmethod
    def captures(pattern):
        """The names that a pattern binds. Of alternatives, which bind the same names, one counts."""
        names, pending = [], [pattern]
        while pending:
            node = pending.pop()
            for field in ("name", "rest"):
                name = getattr(node, field, None)
                if name and name not in names:
                    names.append(name)
            for field in ("pattern", "patterns", "kwd_patterns"):
                below = getattr(node, field, None)
                if below is not None:
                    pending.extend(reversed(below) if isinstance(below, list) else [below])
        return names

    def block(self, body, inside):
        """A list of statements with those that are added."""
        new = []
        for node in body:
            marked = self.magic(node, new[-1] if new else None)
            if marked is not None:
                new += marked
                continue
            new.append(node)
            new += [statement(e) for e in self.behind(node, inside)]
            self.pending.append((node, inside))
        return new

    @staticmethod
    def with_first(body, first):
        """Behind a docstring, which has to stay the first."""
        text = body and isinstance(body[0], a.Expr) and isinstance(body[0].value, a.Constant) and isinstance(body[0].value.value, str)
        return body[:1] + first + body[1:] if text else first + body

    # ---- magic comments, which magic_text has made calls ----

    def magic(self, node, before):
        """The statements that take the place of such a call; None if it is none."""
        if not isinstance(node, a.Expr):
            return None
        call, test = node.value, None
        if isinstance(call, a.IfExp):
            call, test = call.body, call.test
        if not (isinstance(call, a.Call) and isinstance(call.func, a.Name) and call.func.id in CALLS):
            return None
        told = self.magic_told(call, before)
        if test is not None:
            told = [at(a.IfExp(test, e, constant(None, node)), node) for e in told]
        return [statement(e) for e in told]

    @staticmethod
    def magic_told(call, before):
        kind, args = CALLS[call.func.id], call.args
        if kind is None:
            if isinstance(before, (a.Assign, a.AugAssign, a.AnnAssign)):
                targets = before.targets if isinstance(before, a.Assign) else [before.target]
                singles = [s for target in targets for s in flat(target) if is_plain(s)]
                return [tell(LOG_VAR, text_of(s), read(s), call) for s in singles]
            return [tell_expression(LOG_INSTANT, args[0], constant(None, call), call)]
        named = {k.arg: k.value for k in call.keywords}
        name = args[0] if args else named["name"]
        if kind == LOG_VAR:
            return [tell_expression(kind, name, args[1] if len(args) > 1 else named["var"], call)]
        more = args[1] if len(args) > 1 else named.get("args")
        if more is None:
            return [tell_expression(kind, name, constant(None, call), call)]
        return [tell_expression(INSTANT_ARGS, name, more, call)]

    # ---- all nodes ----

    def visit(self, node, inside):
        if isinstance(node, FUNCTIONS):
            inside = self.s.log_func_exec(node.name)
        elif isinstance(node, a.ClassDef):
            inside = False
        first = self.first_in(node, inside)
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list) and value:
                if isinstance(value[0], a.stmt):
                    value = self.block(value, inside)
                    if first and field == "body":
                        value = self.with_first(value, [statement(e) for e in first])
                else:
                    value = [self.below(child, inside) for child in value]
                setattr(node, field, value)
            elif isinstance(value, a.AST):
                setattr(node, field, self.below(value, inside))
        if isinstance(node, COMPREHENSIONS):
            for generator in node.generators:
                told = self.of_target(generator.target, inside, generator.target)
                if told:  # a tuple that is not empty is true
                    generator.ifs.insert(0, at(a.Tuple(told, a.Load()), generator.target))
        if type(node).__name__ == "match_case" and node.guard is not None:  # names are bound before the guard is asked
            told = self.of_names(self.captures(node.pattern), inside, node.pattern)
            if told:
                first = at(a.Tuple(told, a.Load()), node.guard)
                node.guard = at(a.BoolOp(a.And(), [first, node.guard]), node.guard)
        if isinstance(node, a.Raise) and self.s.log_exception and node.exc is not None:
            node.exc = tell(VALUE, "Exception - " + text_of(node.exc), node.exc, node.exc)

    def below(self, child, inside):
        """Visits a node later; returns what takes its place now."""
        if not isinstance(child, a.AST):
            return child
        self.pending.append((child, inside))
        if isinstance(child, a.NamedExpr):
            told = child
            name = child.target.id
            if self.s.log_var(name):
                told = tell(VALUE, "Variable Assign - " + name, told, child)
            if self.s.log_number(name):
                told = tell(NUMBER, "Variable Assign - " + name, told, child)
            if inside:
                told = tell(STEP, "(%d) %s" % (child.lineno, name), told, child)
            return told
        return child


def tell_expression(kind, name, value, like):
    what = at(a.Tuple([constant(kind, like), name, value], a.Load()), like)
    return at(a.BinOp(constant(PLACEHOLDER, like), a.MatMult(), what), like)


# ---- magic comments ----


def magic_text(source):
    """The source with each magic comment made a call, in its line; None if it has none."""
    if isinstance(source, bytes):
        if MARKER.encode() not in source:
            return None
    elif MARKER not in source:
        return None
    io, tokenize = hidden("io"), hidden("tokenize")
    if isinstance(source, bytes):
        source = source.decode(tokenize.detect_encoding(io.BytesIO(source).readline)[0])
        source = source.replace("\r\n", "\n")
    lines = io.StringIO(source).readlines()
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    depth, last, changed = 0, "", False
    for i, token in enumerate(tokens):
        if token.type == tokenize.OP and token.string in "([{":
            depth += 1
        elif token.type == tokenize.OP and token.string in ")]}":
            depth -= 1
        elif token.type == tokenize.COMMENT and MARKER in token.string and not depth:
            row, column = token.start
            before = lines[row - 1][:column]
            inline = i + 1 < len(tokens) and tokens[i + 1].type == tokenize.NEWLINE
            call = magic_call(token.string.split(MARKER, 1)[1].strip(), before.strip() if inline else "")
            if call and (inline and last != ":" or not before.strip()):
                lines[row - 1] = before.rstrip() + "; " + call + "\n" if inline else before + call + "\n"
                changed = True
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            last = token.string
    return "".join(lines) if changed else None


def magic_call(directive, code):
    """The call that stands for a directive; `code`: what is before an inline comment. None if it is no directive."""
    name = directive.split("(", 1)[0].split()[0] if directive.split() else ""
    if code:
        if name != "log":
            return None
        rest = directive[len(name):].strip()
        call = "__viztracer_log__(%r)" % code
        if not rest:
            return call
        return call + " " + rest + " else None" if rest.split()[0] == "if" else None
    if name not in ("log_var", "log_instant"):
        return None
    call = "__viztracer_%s__%s" % (name, directive[len(name):])
    for text in (call, call + " else None"):
        try:
            compile(text, "", "eval", ONLY_AST)
            return text
        except SyntaxError:
            continue
    return None


# ---- code ----


def with_objects(code, objects):
    """The code, and the code in it, with objects where their placeholders are among the constants."""
    constants = []
    for value in code.co_consts:
        if isinstance(value, str) and value in objects:
            value = objects[value]
        elif isinstance(value, type(code)):
            value = with_objects(value, objects)
        constants.append(value)
    return code.replace(co_consts=tuple(constants))


def whole_stdin():
    """The program that came on stdin, where that is a file; of a pipe nothing is left."""
    posix = sys.modules["posix"]
    status = posix.fstat(0)
    if status.st_mode & 0o170000 != 0o100000 or status.st_size > STDIN_MAX:
        raise OSError("no file that can be read again")
    return posix.pread(0, status.st_size, 0)


class Instrument:
    def __init__(self):
        self.settings = Settings()
        self.is_on = False
        self.logger = None

    def read_options(self, text):
        """Lines: the name of an option, a blank, its value. None, or what is wrong."""
        for line in text.split("\n"):
            name, _, value = line.partition(" ")
            if not name:
                continue
            setting = getattr(self.settings, name, None)
            if setting is None:  # _extras.py has it
                continue
            self.is_on = True
            if not isinstance(setting, Matcher):
                setattr(self.settings, name, True)
                continue
            try:
                setting.add(value)
            except Exception as error:
                return "--%s: %s is no regular expression: %s" % (name, value, error)
        return None

    def compiled(self, source, path, optimize=-1):
        """The instrumented code, or None where the source has to be compiled as it is."""
        texts = [source]
        if self.settings.magic_comment:
            try:
                marked = magic_text(source)
            except Exception:
                marked = None
            if marked is not None:
                texts.insert(0, marked)
        for text in texts:
            try:
                tree = compile(text, path, "exec", ONLY_AST, dont_inherit=True)
                Transformer(self.settings).transform(tree)
                code = compile(tree, path, "exec", dont_inherit=True, optimize=optimize)
                return with_objects(code, {PLACEHOLDER: self.logger})
            except Exception:
                continue
        return None

    def start(self, logger, text):
        """Reads the options and takes its place in the import of modules. None, or what is wrong."""
        self.logger = logger
        wrong = self.read_options(text)
        if wrong or not self.is_on:
            return wrong
        external = sys.modules["_frozen_importlib_external"]
        loader = external.SourceFileLoader
        names = {
            "plain": loader.source_to_code,
            "original": loader.get_code,
            "instrumented": self.compiled,
            "pkgutil_code": self.pkgutil_code,
            "is_left_alone": is_in_standard_library,
            "__name__": external.__name__,
        }
        exec(compile(LOADER, IMPORTLIB, "exec"), names)
        loader.get_code = names["get_code"]
        zipimport = sys.modules.get("zipimport")
        if zipimport is not None:
            self.start_zip(zipimport)
        for name in ("pkgutil", "runpy"):  # runpy of 3.8 has a name of its own for it
            module = sys.modules.get(name)
            if hasattr(module, "read_code"):
                module.read_code = self.reads_code(module.read_code)
        return None

    def pkgutil_code(self, loader, path):
        """The code of pkgutil with one more statement at its end, which replaces read_code."""
        try:
            tree = compile(loader.get_data(path), path, "exec", ONLY_AST, dont_inherit=True)
            last = tree.body[-1]
            maker = at(a.Attribute(constant(PLACEHOLDER_API, last), "reads_code", a.Load()), last)
            made = at(a.Call(maker, [at(a.Name("read_code", a.Load()), last)], []), last)
            tree.body.append(at(a.Assign([at(a.Name("read_code", a.Store()), last)], made), last))
            return with_objects(compile(tree, path, "exec", dont_inherit=True), {PLACEHOLDER_API: self})
        except Exception:
            return None

    def reads_code(self, original):
        """pkgutil.read_code, by which runpy.run_path looks for a .pyc file before it compiles a source."""

        def read_code(stream):
            code = original(stream)
            caller = sys._getframe(1)
            if code is not None or caller.f_code.co_name != "_get_code_from_file" or is_in_standard_library(stream.name):
                return code
            stream.seek(0)
            return self.compiled(stream.read(), caller.f_locals["fname"])

        return read_code

    def start_zip(self, zipimport):
        compile_source = zipimport._compile_source

        def _compile_source(pathname, source):
            code = self.compiled(zipimport._normalize_line_endings(source), pathname)
            return compile_source(pathname, source) if code is None else code

        zipimport._compile_source = _compile_source

    def main(self, code, command):
        """The instrumented code of the program itself; None if it cannot be made from a source that is known."""
        if not self.is_on:
            return None
        try:
            if command is None:
                if code.co_filename == "<stdin>":
                    sources = [whole_stdin()]
                else:
                    with open(code.co_filename, "rb") as file:
                        sources = [file.read()]
            else:
                sources = [command]
                if sys.version_info >= (3, 14):  # which takes away what all lines begin with
                    sources.append(hidden("textwrap").dedent(command))
            for source in sources:
                if compile(source, code.co_filename, "exec", dont_inherit=True) == code:
                    return self.compiled(source, code.co_filename)
        except Exception:
            pass
        return None


api = Instrument()
