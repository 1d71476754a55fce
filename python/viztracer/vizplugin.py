"""Plugins: objects that are told what a tracer does, and may change the trace before it is saved."""

import importlib
import warnings

from viztracer._hush import hushed_class
from viztracer._version import __version__


class VizPluginError(Exception):
    """A plugin did not do what it has to."""


class VizPluginBase(object):
    """What a plugin inherits from."""

    def support_version(self):
        """The version of VizTracer for which the plugin was written, a str. Has to be there."""
        raise NotImplementedError("Plugin of viztracer has to implement support_version method")

    def message(self, m_type, payload):
        """m_type "event": payload["when"] is initialize, pre-start, post-stop or pre-save. The answer may be
        {"action": "handle_data", "handler": function}: the function gets the trace's dict, and may change it.
        m_type "command": payload["cmd_type"] is terminate; the answer has to be {"success": True}."""
        return {"success": True} if m_type == "command" and payload["cmd_type"] == "terminate" else {}


def _version(text):
    return [int(part) if part.isdigit() else 0 for part in text.split(".")]


@hushed_class
class VizPluginManager(object):
    """The plugins of one tracer."""

    def __init__(self, tracer, plugins):
        self._tracer = tracer
        self._plugins = [self._made(plugin) for plugin in plugins or []]
        for plugin in self._plugins:
            if _version(plugin.support_version()) > max(_version(__version__), _version("1.1.1")):
                warnings.warn("The plugin was written for a later version of viztracer", RuntimeWarning, stacklevel=3)
        self.event("initialize")

    @property
    def has_plugin(self):
        return bool(self._plugins)

    def _made(self, plugin):
        if isinstance(plugin, VizPluginBase):
            return plugin
        if not isinstance(plugin, str):
            raise TypeError("Invalid plugin!")
        name = plugin.split()[0]
        try:
            module = importlib.import_module(name)
        except ImportError:
            return self._unusable("There's no module named {}, maybe you need to install it".format(name))
        maker = getattr(module, "get_vizplugin", None)
        if maker is None:
            return self._unusable("Unable to find get_vizplugin in {}. Incorrect plugin.".format(name))
        made = maker(plugin)
        if not isinstance(made, VizPluginBase):
            raise TypeError("Invalid plugin!")
        return made

    def _unusable(self, why):
        print(why)
        raise SystemExit(1)

    def _handle(self, plugin, handler):
        handler(self._tracer.data)

    def _tell(self, plugin, kind, payload):
        answer = plugin.message(kind, payload)
        if not isinstance(answer, dict):
            raise VizPluginError("A plugin's answer has to be a dict")
        return answer

    def event(self, when):
        """Tells all plugins, and lets them change the tracer's data."""
        for plugin in self._plugins:
            answer = self._tell(plugin, "event", {"when": when})
            if answer.get("action") == "handle_data":
                self._handle(plugin, answer["handler"])

    def command(self, command):
        """What plugins answer to a command has to be a success."""
        for plugin in self._plugins:
            if self._tell(plugin, "command", command).get("success") is not True:
                raise VizPluginError("A plugin failed to process {}".format(command))

    def terminate(self):
        self.command({"cmd_type": "terminate"})
        self._plugins = []
