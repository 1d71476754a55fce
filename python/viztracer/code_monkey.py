"""CodeMonkey: compiles a source with calls of the tracer in it. For programs that compile code themselves; the options --log_var and its kind of
the command line have a way of their own, which changes no namespace."""

import ast
import re
from copy import deepcopy

TRACER = "__viz_tracer__"
_VARIABLES = {"log_var": "instant", "log_number": "counter"}
_OPTIONS = {"log_var": "varnames", "log_number": "varnames", "log_attr": "varnames", "log_func_exec": "funcnames", "log_func_entry": "funcnames"}


def _call(method, *arguments):
    """The statement __viz_tracer__.method(arguments)"""
    function = ast.Attribute(value=ast.Name(id=TRACER, ctx=ast.Load()), attr=method, ctx=ast.Load())
    return ast.Expr(value=ast.Call(func=function, args=list(arguments), keywords=[]))


class AstTransformer(ast.NodeTransformer):
    """inst_type: log_var, log_number, log_attr, log_func_exec, log_func_entry or log_exception. inst_args: the patterns,
    {"varnames": [...]} or {"funcnames": [...]}, which have to match the whole name."""

    def __init__(self, inst_type, inst_args):
        self.inst_type = inst_type
        self.inst_args = inst_args
        self._told_functions = []  # of the functions around: are their assignments told?

    def _wanted(self, name):
        patterns = self.inst_args[_OPTIONS[self.inst_type]]
        return any(re.fullmatch(pattern, name) for pattern in patterns)

    # ---- statements ----

    def _assignment(self, node, targets):
        self.generic_visit(node)
        added = [new for target in targets for new in self.get_assign_log_nodes(target, node.lineno)]
        return [node] + added if added else node

    def visit_Assign(self, node):
        return self._assignment(node, node.targets)

    def visit_AugAssign(self, node):
        return self._assignment(node, [node.target])

    def visit_AnnAssign(self, node):
        return self._assignment(node, [node.target] if node.value else [])

    def visit_FunctionDef(self, node):
        first = []
        if self.inst_type in _VARIABLES:
            a = node.args
            given = a.posonlyargs + a.args + a.kwonlyargs + [extra for extra in (a.vararg, a.kwarg) if extra]
            first = [self.get_instrument_node("Variable Assign", arg.arg) for arg in given if self._wanted(arg.arg)]
        elif self.inst_type == "log_func_entry" and self._wanted(node.name):
            first = [self.get_instrument_node("Function Entry", node.name)]
        self._told_functions.append(self.inst_type == "log_func_exec" and self._wanted(node.name))
        self.generic_visit(node)
        self._told_functions.pop()
        node.body[:0] = first
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_For(self, node):
        first = self.get_assign_log_nodes(node.target, node.lineno) if self.inst_type in _VARIABLES else []
        self.generic_visit(node)
        node.body[:0] = first
        return node

    visit_AsyncFor = visit_For

    def visit_Raise(self, node):
        if self.inst_type != "log_exception":
            return node
        return [self.get_instrument_node_by_node("Exception", node.exc), node]

    # ---- what is assigned ----

    def _flat(self, node):
        """The single targets of one that may be a tuple."""
        if isinstance(node, (ast.Tuple, ast.List)):
            return [single for part in node.elts for single in self._flat(part)]
        return self._flat(node.value) if isinstance(node, ast.Starred) else [node]

    def get_assign_targets(self, node):
        """The names that the assignment changes: of a.b[c] it is a."""
        names = []
        for target in self._flat(node):
            while isinstance(target, (ast.Attribute, ast.Subscript)):
                target = target.value
            if isinstance(target, ast.Name):
                names.append(target.id)
        return names

    def get_assign_targets_with_attr(self, node):
        """The targets that are attributes."""
        return [target for target in self._flat(node) if isinstance(target, ast.Attribute)]

    def get_assign_log_nodes(self, target, lineno=0):
        """The statements that tell the new values, in a list."""
        if self.inst_type in _VARIABLES:
            return [self.get_instrument_node("Variable Assign", name) for name in self.get_assign_targets(target) if self._wanted(name)]
        if self.inst_type == "log_attr":
            found = self.get_assign_targets_with_attr(target)
            return [self.get_instrument_node_by_node("Attribute Assign", node) for node in found if self._wanted(node.attr)]
        if self.inst_type == "log_func_exec" and any(self._told_functions):
            return [
                _call("add_func_exec", ast.Constant(value=name), ast.Name(id=name, ctx=ast.Load()), ast.Constant(value=lineno))
                for name in self.get_assign_targets(target)
            ]
        return []

    # ---- statements that are added ----

    def get_instrument_node(self, trigger, name):
        """The statement that tells a variable, or the entry of a function. ValueError for other types."""
        if self.inst_type == "log_func_entry":
            return self._variable("{} - {}".format(trigger, name), ast.Constant(value="{} is called".format(name)), "instant")
        if self.inst_type not in _VARIABLES:
            raise ValueError("{} is not supported".format(name))
        return self._variable("{} - {}".format(trigger, name), ast.Name(id=name, ctx=ast.Load()), _VARIABLES[self.inst_type])

    def get_instrument_node_by_node(self, trigger, node):
        """The statement that tells the value of an expression; None tells None."""
        if node is None:
            return self._variable(trigger, ast.Constant(value=None), "instant")
        read = deepcopy(node)
        for part in ast.walk(read):
            if isinstance(getattr(part, "ctx", None), ast.Store):
                part.ctx = ast.Load()
        return self._variable("{} - {}".format(trigger, self.get_string_of_expr(node)), read, "instant")

    def _variable(self, name, value, event):
        return _call("add_variable", ast.Constant(value=name), value, ast.Constant(value=event))

    def get_string_of_expr(self, node):
        """A short text of an expression; "" for one that has none."""
        text = self.get_string_of_expr
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, ast.Constant):
            return repr(node.value)
        if isinstance(node, ast.Attribute):
            return text(node.value) + "." + node.attr
        if isinstance(node, ast.Call):
            return text(node.func) + "()"
        if isinstance(node, ast.Starred):
            return "*" + text(node.value)
        if isinstance(node, ast.Subscript):
            return "{}[{}]".format(text(node.value), text(node.slice))
        if type(node).__name__ == "Index":  # Python 3.8
            return text(node.value)
        if isinstance(node, ast.Slice):
            parts = [text(part) if part else "" for part in (node.lower, node.upper)] + ([text(node.step)] if node.step else [])
            return ":".join(parts)
        if isinstance(node, (ast.Tuple, ast.List)):
            inside = ",".join(map(text, node.elts))
            return "[{}]".format(inside) if isinstance(node, ast.List) else "({})".format(inside)
        return ""


class SourceProcessor(object):
    """Makes statements of comments: `# !viztracer: log_instant("name")`, `a = 3  # !viztracer: log if a > 2`."""

    _LINE = re.compile(r"(\s*)#\s*!viztracer:\s*(log_\w+\(.*\))\s*(?:if\s+(.*?)\s*)?$")
    _BEHIND = re.compile(r"(.*\S.*)#\s*!viztracer:\s*log\s*(?:if\s+(.*?)\s*)?$")

    def process(self, source):
        """The source with its comments replaced; a tree is given back as it is."""
        if isinstance(source, (bytes, bytearray)):
            source = bytes(source).decode("utf-8")
        if not isinstance(source, str):
            return source
        return "\n".join(self._line(line) for line in source.splitlines())

    def _line(self, line):
        alone = self._LINE.match(line)
        if alone:
            space, call, condition = alone.groups()
            return "{}{}{}.{}".format(space, "if {}: ".format(condition) if condition else "", TRACER, call)
        behind = self._BEHIND.match(line)
        if not behind:
            return line
        statement, condition = behind.groups()
        name, is_assignment, _ = statement.partition("=")
        name = name.strip()
        told = "log_var({!r}, ({})".format(name, name) if is_assignment else "log_instant({!r}".format(statement.strip())
        return "{}; {}.{}{})".format(statement, TRACER, told, ", cond={}".format(condition) if condition else "")


class CodeMonkey(object):
    """Compiles sources of one program. The code that it makes needs a registered tracer when it runs."""

    def __init__(self, file_name):
        self.file_name = file_name
        self.source_processor = None
        self._transformers = []

    def add_instrument(self, inst_type, inst_args):
        """See AstTransformer."""
        self._transformers.append(AstTransformer(inst_type, inst_args))

    def add_source_processor(self):
        """Comments become statements, too."""
        self.source_processor = SourceProcessor()

    def compile(self, source, filename, mode, flags=0, dont_inherit=False, optimize=-1, **kwargs):
        """As the built-in function of this name."""
        if self.source_processor is not None:
            source = self.source_processor.process(source)
        if self._transformers:
            if not isinstance(source, ast.AST):
                source = compile(source, filename, mode, flags | ast.PyCF_ONLY_AST, dont_inherit, optimize, **kwargs)
            for transformer in self._transformers:
                source = ast.fix_missing_locations(transformer.visit(source))
            if flags & ast.PyCF_ONLY_AST:
                return source
        return compile(source, filename, mode, flags, dont_inherit, optimize, **kwargs)
