"""One session: the process beside this program that receives the trace, and the way to it. No thread is used."""

import array
import os
import struct

import _socket as socket

from viztracer import _viztracer_agent as agent
from viztracer._hush import hushed_class
from viztracer._programs import find

# proto/abi/launch.h; tests/lint/package.sh compares them
_SOCKET = b"\0viztracer-launch-"
_HELLO = struct.Struct("<QIiIIQQII32s192s")
_HELLO_MAGIC = 0x31484C5A49565456
_ANSWER = struct.Struct("<QQII")
_ANSWER_MAGIC = 0x31414C5A49565456
_KEY = 32
_PATIENCE = 60.0  # seconds; the other side gives up earlier, and says why


class SessionError(RuntimeError):
    """The daemon or the helper could not do what was asked; the text is one line."""


def _spawn(arguments):
    """The helper's socket. It lets a process of its own go on, so that this program gets no child."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM, 0)
    ours, theirs = ours.detach(), theirs.detach()
    try:
        program = find("viztracer")
        actions = [(os.POSIX_SPAWN_DUP2, theirs, 0)]
        pid = os.posix_spawn(program, ["viztracer", "--python-session"] + arguments, os.environ, file_actions=actions)
    except OSError as error:
        os.close(ours)
        raise SessionError("cannot start {}: {}".format(program, os.strerror(error.errno))) from None
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # the program waits for its children itself
    return ours


@hushed_class
class Session(object):
    """Not for threads at the same time."""

    def __init__(self, arguments):
        self._fd = -1
        self._fd = _spawn(arguments)
        self._text = b""
        self._pid = os.getpid()
        self._is_kept = False
        self.is_over = False
        try:
            self._key = self._answer("ready", _PATIENCE)[0].encode()
        except BaseException:
            self.close()
            raise

    def close(self):
        """Forgets the trace."""
        if self._fd >= 0 and self._is_kept and self.belongs_here():
            self._is_kept = False
            try:
                self._tell("forget")
            except SessionError:
                pass  # it has ended, and forgets all the same
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    __del__ = close

    def _tell(self, line):
        try:
            data = os.fsencode(line + "\n")
            s = socket.socket(fileno=os.dup(self._fd))
            try:
                while data:
                    data = data[s.send(data, socket.MSG_NOSIGNAL):]
            finally:
                s.close()
        except OSError as error:
            raise SessionError("the process that receives the trace has ended: {}".format(error.strerror)) from None

    def _answer(self, wanted, patience=None):
        """The words behind `wanted`. patience: seconds until it gives up; None: it waits for as long as it takes."""
        while b"\n" not in self._text:
            if patience is not None and not self._has_more(patience):
                raise SessionError("the process that receives the trace does not answer; VIZTRACERD_LOG=debug says why")
            try:
                more = os.read(self._fd, 4096)
            except OSError:
                more = b""
            if not more:
                raise SessionError("the process that receives the trace has ended; VIZTRACERD_LOG=debug says why")
            self._text += more
        line, _, self._text = self._text.partition(b"\n")
        kind, _, rest = line.decode("utf-8", "replace").partition(" ")
        if kind == "error":
            raise SessionError(rest)
        if kind != wanted:
            raise SessionError("the process that receives the trace said {!r}: use the same version of both".format(kind))
        return rest.split()

    def begin(self, sparse, teller):
        """Starts recording, on every thread. After the agent's start there is no call in here: it would be in the trace."""
        fd, size = self._arena()
        failed = agent.start(fd, size, sparse, teller)
        if failed:
            self._fail(failed)

    def _fail(self, number):
        self._answer("over", _PATIENCE)  # says the cause
        raise SessionError("cannot trace this process: {}".format(os.strerror(number)))

    def _arena(self):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0)
        try:
            s.settimeout(_PATIENCE)
            s.connect(_SOCKET + self._key[:_KEY])
            s.send(_HELLO.pack(_HELLO_MAGIC, agent.abi_major(), 0, os.getpid(), 0, 0, 0, 0, 0, self._key[_KEY:], b""))
            fds = array.array("i")
            data, control, _, _ = s.recvmsg(_ANSWER.size, socket.CMSG_SPACE(fds.itemsize))
            for level, kind, content in control:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds.frombytes(content[: fds.itemsize])
        except OSError as error:
            raise SessionError("viztracerd cannot be reached: {}".format(error)) from None
        finally:
            s.close()
        if len(data) != _ANSWER.size or not fds or _ANSWER.unpack(data)[0] != _ANSWER_MAGIC:
            for fd in fds:
                os.close(fd)
            if not data and (self._text or self._has_more(_PATIENCE)):
                self._answer("over", _PATIENCE)
            raise SessionError("viztracerd did not give its shared memory: use the same version of it and of this package")
        return fds[0], _ANSWER.unpack(data)[1]

    def _has_more(self, patience):
        """Waits for a line, but not for ever: a daemon of another version says nothing."""
        import select

        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(patience * 1000))

    def finish(self):
        """Waits until the whole trace has arrived; recording must have ended."""
        if not self.is_over:
            self.is_over = True
            self._answer("over")

    def keep(self, path, newest, file_info):
        """Writes that file should this process end without a save and without close()."""
        self._is_kept = True
        self._tell("keep {} {} {}".format(newest, "f" if file_info else "n", path))

    def save(self, path, newest, file_info):
        """Writes a file in the format of its suffix. -> calls, bytes, dropped events"""
        self._tell("save {} {} {}".format(newest, "f" if file_info else "n", path))
        return [int(word) for word in self._answer("saved")]

    def belongs_here(self):
        return self._pid == os.getpid()
