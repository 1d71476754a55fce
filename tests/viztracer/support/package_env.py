"""package_matrix of VizTracer's tests, for an sdist that comes without it: nothing is installed, what is here is used."""

import importlib.util
import inspect


class PackageConfig:
    def has(self, package):
        return importlib.util.find_spec(package) is not None


def package_matrix(pkg_matrix):
    def inner(func_or_cls):
        if inspect.isclass(func_or_cls):
            func_or_cls.pkg_config = PackageConfig()
        return func_or_cls

    return inner
