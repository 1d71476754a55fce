"""Shared by the agent's test drivers: makes an arena, starts the agent in this very process through a
boot block and a thread of its own, decodes what it wrote. Runs on CPython 3.8 and later."""
import ctypes, mmap, os, struct, sys, tempfile, time

LIB = os.environ.get("VT_AGENT") or os.path.join(os.path.dirname(__file__), "..", "..", "build", "lib", "libviztracer_agent.so")
CHUNK, CTL = 65536, 65536
(CALL, RETURN, YIELD, RESUME, UNWIND, THROW, C_CALL, C_RETURN, C_RAISE, TASK, PAYLOAD, EPOCH, GAP, PAD) = range(1, 15)
ENTER, LEAVE = {CALL, RESUME, THROW, C_CALL}, {RETURN, YIELD, UNWIND, C_RETURN, C_RAISE}
NAMES = "- CALL RETURN YIELD RESUME UNWIND THROW C_CALL C_RETURN C_RAISE TASK PAYLOAD EPOCH GAP PAD".split()
PL_NAME, PL_STACK, PL_THREAD, PL_ARGS, PL_RETVAL, PL_TASK, PL_COUNTER = range(1, 8)
F_C_CALLS, F_ARGS, F_RETVAL, F_GC, F_ASYNC, F_FROZEN, F_REPR = 1, 2, 4, 8, 16, 32, 64
NONE, MAPPED, WAIT_GIL, TRACING, LEAVING, GONE, REFUSED = range(7)
TICKS_PER_MS = 2300000

# the structs of proto/abi as the compiler lays them out: made by tests/agent/layout.sh
sys.path.append(os.environ.get("VT_LAYOUT") or os.path.join(os.path.dirname(__file__), "..", "..", "build", "tests"))
import vtarena_layout as layout

FORMATS = {"uint64_t": "Q", "uint32_t": "I", "int32_t": "i"}
O = {name: offset for name, (_, offset, _) in layout.VT_CTL.items()}


def structure(rows):
    """A ctypes.Structure with these members."""
    types = {"uint64_t": ctypes.c_uint64, "uint32_t": ctypes.c_uint32, "int32_t": ctypes.c_int32, "char": ctypes.c_char}
    fields = []
    for name, (kind, _, size) in rows.items():
        one = types[kind]
        fields.append((name, one if ctypes.sizeof(one) == size else one * (size // ctypes.sizeof(one))))
    made = type("Struct", (ctypes.Structure,), {"_fields_": fields})
    for name, (_, offset, _) in rows.items():
        assert getattr(made, name).offset == offset, (name, offset)
    return made


Boot, Info = structure(layout.VT_BOOT), structure(layout.VT_AGENT_INFO)

_lib = None


def lib():
    global _lib
    if _lib is None:
        _lib = ctypes.CDLL(LIB)
    return _lib


def memfd():
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(319, b"viztracer-arena", 1)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "memfd_create")
    return fd


class Stream(list):
    """Records of one thread: (type, clock, id or bytes) in order."""


class Session:
    def __init__(self, flags=F_C_CALLS, chunks=1024, clock=0, depth=-1, repr_limit=200, include=(), exclude=(), globs=((), (), (), ()), rearm=0,
                 overhead=0, span=20 * TICKS_PER_MS, lease=(1 << 64) - 1, dlsym=True):
        self.size = CTL + chunks * CHUNK
        self.fd = memfd()
        os.ftruncate(self.fd, self.size)
        self.map = mmap.mmap(self.fd, self.size)
        self.chunks, self.dlsym = chunks, dlsym
        lists = [b"".join(p.encode() + b"\0" for p in names) for names in (include, exclude) + tuple(globs)]
        self.set(magic=0x314152415a495656, abi_major=1, abi_minor=1, nchunks=chunks, clock=clock, flags=flags, max_stack_depth=depth,
                 repr_limit=repr_limit, include_bytes=len(lists[0]), exclude_bytes=len(lists[1]), rearm_ms=rearm, span=span,
                 session_start=time.time_ns(), max_overhead=overhead)
        struct.pack_into("<4I", self.map, O["glob_bytes"], *[len(names) for names in lists[2:]])
        text = b"".join(lists)
        self.map[O["filters"]:O["filters"] + len(text)] = text
        for i in range(0, chunks, 64):
            self.put("Q", O["free"] + i // 8, (1 << min(64, chunks - i)) - 1)
        self.set(lease=lease)
        self.set(enabled=1)

    def set(self, **members):
        """Members of struct vt_ctl."""
        for name, value in members.items():
            self.put(FORMATS[layout.VT_CTL[name][0]], O[name], value)

    def get(self, kind, offset):
        return struct.unpack_from("<" + kind, self.map, offset)[0]

    def put(self, kind, offset, value):
        struct.pack_into("<" + kind, self.map, offset, value)

    state = property(lambda self: self.get("I", O["state"]))
    why = property(lambda self: self.get("I", O["why"]))
    hook = property(lambda self: self.get("I", O["hook_kind"]))
    dropped = property(lambda self: self.get("Q", O["dropped"]))
    err = property(lambda self: self.map[O["err"]:O["err"] + 256].split(b"\0")[0].decode())

    def boot(self, op):
        boot = Boot(magic=0x31544f4f425a5656, abi_major=1, abi_minor=0, op=op, agent_fd=-1, arena_fd=-1)
        if op == 1:
            boot.arena_fd = os.dup(self.fd)
            boot.arena_bytes = self.size
        if self.dlsym:
            boot.f_dlsym = ctypes.cast(ctypes.CDLL(None).dlsym, ctypes.c_void_p).value
        return boot

    def run(self, op):
        """Calls vt_agent_main on a plain C thread and waits for its end, without Python calls of our own in between."""
        libc = ctypes.CDLL(None)
        boot = self.boot(op)
        thread = ctypes.c_uint64()
        entry = ctypes.cast(lib().vt_agent_main, ctypes.c_void_p)
        rc = libc.pthread_create(ctypes.byref(thread), None, entry, ctypes.byref(boot))
        assert rc == 0, rc
        libc.pthread_join(thread, None)
        self.last_boot = boot
        return boot

    def start(self):
        boot = self.run(1)
        if self.state != TRACING:
            raise RuntimeError("agent did not start: state %d: %s %s" % (self.state, self.err, boot.err))

    def stop(self):
        self.run(2)

    def limits_off(self):
        for i in range(self.chunks):
            at = CTL + i * CHUNK
            if self.get("Q", at + 16):
                self.put("Q", at, 0)

    def ask_stop(self):
        """What the daemon does."""
        self.limits_off()
        self.put("I", O["enabled"], 0)
        self.limits_off()

    def wait_gone(self, seconds=5):
        end = time.time() + seconds
        while self.state != GONE and time.time() < end:
            time.sleep(0.0005)
        assert self.state == GONE, self.state

    def info(self):
        return Info.in_dll(lib(), "vt_agent_info")

    # ---- decoding ----
    def decode(self):
        """Fills names, streams (by thread serial), threads, stacks; checks what must always hold."""
        chunks = []
        for i in range(self.chunks):
            at = CTL + i * CHUNK
            limit, base, owner, seq, state, thread, _, ident, dropped = struct.unpack_from("<QQQIIIIQQ", self.map, at)
            if owner:
                chunks.append((thread, seq, at, base, owner, state, ident, dropped))
        chunks.sort()
        self.names, self.streams, self.stacks, self.threads, self.gaps = {}, {}, [], {}, 0
        self.header_dropped, self.tids, self.idents, self.states = {}, {}, {}, {}
        expected = {}
        for thread, seq, at, base, owner, state, ident, dropped in chunks:
            assert seq == expected.get(thread, 0), ("chunk order", thread, seq)
            expected[thread] = seq + 1
            stream = self.streams.setdefault(thread, Stream())
            self.header_dropped[thread] = dropped
            self.tids[thread], self.idents[thread] = owner >> 32, ident
            self.states.setdefault(thread, []).append(state)
            self._chunk(stream, memoryview(self.map)[at:at + CHUNK], base)
        for thread, stream in self.streams.items():
            last = 0
            for kind, clock, what in stream:
                assert clock >= last, ("time goes back", thread, last, clock, NAMES[kind])
                last = clock
        return self

    def _chunk(self, stream, chunk, base):
        epoch, at = base >> 34, 64
        while at < CHUNK:
            word = struct.unpack_from("<Q", chunk, at)[0]
            at += 8
            if word == 0:
                assert not any(chunk[at:]), "records after a zero word"
                return
            kind = word & 15
            assert 1 <= kind <= 14, word
            if kind == EPOCH:
                assert word >> 4 > epoch, "epoch"
                epoch = word >> 4
                continue
            if kind == GAP:
                self.gaps += word >> 4
                stream.append((GAP, stream[-1][1] if stream else 0, word >> 4))
                continue
            clock, ident = epoch << 34 | word >> 30, word >> 4 & 0x3ffffff
            if kind == PAD:
                return
            if kind != PAYLOAD:
                stream.append((kind, clock, ident))
                continue
            what, length = ident >> 20, ident & 0xfffff
            data = bytes(chunk[at:at + length])
            at += (length + 7) // 8 * 8
            assert at <= CHUNK, "payload crosses its chunk"
            self._payload(stream, clock, what, data)

    def _payload(self, stream, clock, what, data):
        if what == PL_NAME:
            number, line, nlen, flen, kind = struct.unpack_from("<IIHHB", data)
            assert len(data) == 16 + nlen + flen, "name length"
            name, file = data[16:16 + nlen].decode("utf-8", "surrogateescape"), data[16 + nlen:].decode("utf-8", "surrogateescape")
            self.names[number] = (kind, name, file, line)
        elif what == PL_STACK:
            ident, tid, n, part, nlen = struct.unpack_from("<QIIHH", data)
            ids = struct.unpack_from("<%dI" % n, data, 24 + nlen)
            self.stacks.append((ident, tid, part, data[24:24 + nlen].decode(), ids))
        elif what == PL_THREAD:
            ident, tid, nlen = struct.unpack_from("<QIH", data)
            self.threads[ident] = (tid, data[16:16 + nlen].decode())
        stream.append((PAYLOAD, clock, (what, data)))

    def full_name(self, number):
        kind, name, file, line = self.names[number]
        return (file + "." + name if file else name) if kind else name

    def events(self, stream):
        """[(type name, function name)] without payloads"""
        return [(NAMES[k], self.full_name(i)) for k, _, i in stream if k not in (PAYLOAD, GAP, TASK)]

    def stream_of(self, function):
        """The one stream in which this function was called."""
        hits = [s for s in self.streams.values() if any(n == function for _, n in self.events(s))]
        assert len(hits) == 1, (function, len(hits))
        return hits[0]

    def span_of(self, stream, function):
        """Events from the first enter of `function` to its last leave."""
        events = self.events(stream)
        first = next(i for i, (k, n) in enumerate(events) if n == function and k in ("CALL", "RESUME"))
        last = max(i for i, (k, n) in enumerate(events) if n == function and k in ("RETURN", "UNWIND"))
        return events[first:last + 1]

    def check_nesting(self, stream, open_frames=()):
        """Every leave closes what was entered last; open_frames: names open at the start, outermost first."""
        stack = list(open_frames)
        for kind, _, ident in stream:
            if kind in ENTER:
                stack.append(self.full_name(ident))
            elif kind in LEAVE:
                name = self.full_name(ident)
                if stack:
                    top = stack.pop()
                    assert top == name, ("nesting", top, name)
        return stack

    def close(self):
        self.map.close()
        os.close(self.fd)
