// Reads the trace that stands in the page (out_html.c says how) and counts what the views need: lanes, self times, functions.
'use strict';

const FLAG_OPEN = 1, FLAG_FROM_ATTACH = 2, FLAG_RAISED = 4, FLAG_RESUMED = 8, FLAG_SUSPENDED = 16, NOT_SEEN = FLAG_OPEN | FLAG_FROM_ATTACH;
const utf8 = new TextDecoder();

async function unpack() {
  const elements = [...document.querySelectorAll('script.trace')];
  let at = 0;
  const packed = new ReadableStream({
    pull(controller) {
      if (at === elements.length) return controller.close();
      const text = atob(elements[at].textContent), bytes = new Uint8Array(text.length);
      for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
      elements[at++].remove();
      controller.enqueue(bytes);
    },
  });
  const reader = packed.pipeThrough(new DecompressionStream('gzip')).getReader();
  const parts = [];
  let size = 0;
  for (;;) {
    const {done, value} = await reader.read();
    if (done) break;
    parts.push(value);
    size += value.length;
  }
  const all = new Uint8Array(size);
  let to = 0;
  for (const part of parts) {
    all.set(part, to);
    to += part.length;
  }
  return all;
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  number() {
    const b = this.bytes;
    let byte = b[this.at++];
    if (byte < 128) return byte;
    let v = byte & 127, scale = 128;
    do {
      if (this.at >= b.length) throw new Error('the data ends too early');
      byte = b[this.at++];
      v += (byte & 127) * scale;
      scale *= 128;
    } while (byte >= 128);
    return v;
  }
  span() {
    const n = this.number(), from = this.at;
    this.at += n;
    return [from, n];
  }
  // n items by item(); the number of the call they belong to is led by its difference
  list(item) {
    const found = new Map();
    for (let n = this.number(), call = 0; n > 0; n--) {
      call += this.number();
      found.set(call, item());
    }
    return found;
  }
  items(item) {
    const found = [];
    for (let n = this.number(); n > 0; n--) found.push(item());
    return found;
  }
}

function readTrack(r, track) {
  const n = track.n = r.number();
  const start = track.start = new Float64Array(n), dur = track.dur = new Float64Array(n);
  const depth = track.depth = new Uint32Array(n), fn = track.fn = new Uint32Array(n);
  let deepest = 0;
  for (let i = 0, last = 0; i < n; i++) start[i] = last += r.number();
  for (let i = 0; i < n; i++) dur[i] = r.number();
  for (let i = 0, last = -1; i < n; i++) {
    depth[i] = last = last + 1 - r.number();
    if (last >= deepest) deepest = last + 1;
  }
  for (let i = 0; i < n; i++) fn[i] = r.number();
  track.depths = deepest;
  track.flags = r.list(() => r.number());
  track.details = r.list(() => ({args: r.span(), retval: r.span(), json: r.span()}));
  track.folds = r.list(() => ({
    calls: r.number(), ns: r.number(), functions: r.items(() => ({name: r.number(), calls: r.number(), ns: r.number()})),
  }));
  track.gaps = r.items(() => ({ns: r.number(), count: r.number()}));
  track.marks = r.items(() => ({ns: r.number(), text: r.span()}));
  track.counters = r.items(() => ({ns: r.number(), collecting: r.number(), collected: r.number(), uncollectable: r.number()}));
}

// Calls by depth, each depth in order of time: what drawing searches in.
function makeLanes(track) {
  const {n, depth, start, dur} = track, at = new Uint32Array(track.depths + 1);
  for (let i = 0; i < n; i++) at[depth[i] + 1]++;
  for (let d = 0; d < track.depths; d++) at[d + 1] += at[d];
  const next = at.slice();
  track.laneAt = at;
  track.laneCall = new Uint32Array(n);
  track.laneStart = new Float64Array(n);
  track.laneEnd = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const k = next[depth[i]]++;
    track.laneCall[k] = i;
    track.laneStart[k] = start[i];
    track.laneEnd[k] = start[i] + dur[i];
  }
}

// Time of each call without its callees; sums by function. A function's total counts recursion once. Resumed pieces of generators
// and coroutines are no calls of their own. A track's work is the time that
// was not waited for; of a call that was open all the time nothing is known.
function measure(track, functions, names) {
  const {n, dur, depth, fn, flags} = track, self = track.self = Float64Array.from(dur);
  const stack = [], active = new Map();
  track.calls = 0;
  for (let i = 0; i < n; i++) {
    while (stack.length > depth[i]) {
      const left = fn[stack.pop()];
      active.set(left, active.get(left) - 1);
    }
    if (stack.length) self[stack[stack.length - 1]] -= dur[i];
    const f = functions[fn[i]], above = active.get(fn[i]) || 0;
    f.pieces++;
    if (!((flags.get(i) || 0) & FLAG_RESUMED)) f.calls++, track.calls++;
    if (!above) f.total += dur[i];
    if (dur[i] > f.longest) f.longest = dur[i];
    active.set(fn[i], above + 1);
    stack.push(i);
  }
  for (const [i, fold] of track.folds) self[i] -= fold.ns;
  track.work = 0;
  for (let i = 0; i < n; i++) {
    if (self[i] < 0) self[i] = 0;
    functions[fn[i]].self += self[i];
    if (!names[fn[i]].waits && ((flags.get(i) || 0) & NOT_SEEN) !== NOT_SEEN) track.work += self[i];
  }
}

function threadName(track, process) {
  if (track.tasks) return track.tasks.length > 1 ? `${track.tasks.length} tasks` : track.tasks[0][1] || 'task';
  if (track.pool) return poolName(track.pool[0][1]);
  return track.name || (track.tid === process.pid ? 'MainThread' : 'Thread-' + track.tid);
}

// Control characters and those that turn the direction of text would make a name look like another one.
const plain = text => text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');

// short: in the timeline; last: where there is no room for that; full: with its place; file: as the trace has it.
function readName([kind, line, rawName, file, , , waits]) {
  const c = kind !== 0, name = plain(rawName), place = plain(file), short = c && place ? place + '.' + name : name;
  return {c, waits: waits === 1, line, file, place, short, last: name.slice(name.lastIndexOf('.') + 1), full: c ? short : `${name} (${place}:${line})`};
}

// What threads of a pool have in common: their function where Python put it into the name, else the name without numbers.
function poolName(name) {
  const target = /\((.+)\)$/.exec(name);
  return target ? target[1] : name.replace(/\d+/g, '\u2026') || 'threads';
}
// The last of `runs` ([start, name, ...]) that a call of the track belongs to.
function runOf(runs, track, index) {
  let at = 0;
  while (at + 1 < runs.length && runs[at + 1][0] <= track.start[index]) at++;
  return runs[at];
}
// The thread of a call.
function threadOf(track, index) {
  const run = track.pool && runOf(track.pool, track, index);
  return run ? {name: plain(run[1]) || 'Thread-' + run[2], tid: run[2]} : {name: track.label, tid: track.tid};
}

// The asyncio task that a call of a task row belongs to.
function taskOf(track, index) {
  if (!track.tasks) return null;
  return plain(runOf(track.tasks, track, index)[1]) || 'task';
}

function readTrace(bytes) {
  if (utf8.decode(bytes.subarray(0, 4)) !== 'VTH1') throw new Error('no trace stands in it, or one of another version');
  const line = bytes.indexOf(10), head = JSON.parse(utf8.decode(bytes.subarray(4, line)));
  const r = new Reader(bytes);
  r.at = line + 1;
  const trace = {...head, bytes, ncalls: 0, files: {}};
  trace.names = head.names.map(readName);
  trace.functions = head.names.map((name, id) => ({id, calls: 0, pieces: 0, folded: name[4], total: 0, self: name[5], longest: 0}));
  for (const track of trace.tracks) {
    readTrack(r, track);
    makeLanes(track);
    measure(track, trace.functions, trace.names);
    track.label = plain(threadName(track, trace.processes[track.process]));
    trace.ncalls += track.calls;
  }
  if (r.at < bytes.length) trace.files = JSON.parse(utf8.decode(bytes.subarray(r.at))).files;
  trace.end = Math.max(trace.end, 1);
  return trace;
}

// Arguments and return value of a call: [[name, text]].
function readDetail(trace, detail) {
  const rows = [], text = (from, n) => utf8.decode(trace.bytes.subarray(from, from + n));
  const [from, n] = detail.args, b = trace.bytes;
  for (let p = from; p + 4 <= from + n;) {
    const nameLen = b[p] | b[p + 1] << 8, valueLen = b[p + 2] | b[p + 3] << 8;
    if (p + 4 + nameLen + valueLen > from + n) break;
    rows.push([text(p + 4, nameLen), text(p + 4 + nameLen, valueLen)]);
    p += 4 + nameLen + valueLen;
  }
  if (detail.retval[1]) rows.push(['returned', text(...detail.retval)]);
  if (detail.json[1]) addJson(rows, text(...detail.json));
  return rows;
}

function addJson(rows, text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return void rows.push(['args', text]);
  }
  if (value === null || typeof value !== 'object') return void rows.push(['args', text]);
  for (const [key, part] of Object.entries(value)) {
    if (key === 'func_args' && part && typeof part === 'object')
      for (const [name, repr] of Object.entries(part)) rows.push([name, typeof repr === 'string' ? repr : JSON.stringify(repr)]);
    else rows.push([key === 'return_value' ? 'returned' : key, typeof part === 'string' ? part : JSON.stringify(part)]);
  }
}

// First of a[from..to) that is greater than t; a is ascending.
function firstAbove(a, from, to, t) {
  while (from < to) {
    const middle = (from + to) >> 1;
    if (a[middle] > t) to = middle;
    else from = middle + 1;
  }
  return from;
}
