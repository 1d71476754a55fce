// What the head of the page says, the interface for tests and the console, and the start.

function describe() {
  const {trace} = state, t = trace.totals, threads = trace.tracks.reduce((sum, t) => sum + (t.pool ? t.pool.length : t.n && !t.tasks ? 1 : 0), 0);
  const process = trace.processes[0], notes = [];
  $('title').textContent = process ? `${plain(process.name) || 'Python'} (${trace.processes.length > 1 ? trace.processes.length + ' processes' : 'pid ' + process.pid})` : 'viztracer';
  document.title = $('title').textContent + ' - viztracer';
  $('summary').textContent = `${plural(trace.ncalls, 'call')} on ${plural(threads, 'thread')}, ${timeText(trace.end)}${wallTime(', from ', 0)}`;
  if (t.dropped) notes.push(`${plural(t.dropped, 'event')} dropped: red marks show where`);
  if (t.folded) notes.push(`${plural(t.folded, 'short call')} folded into their callers`);
  if (t.left_out) notes.push(`${plural(t.left_out, 'older call')} left out`);
  if (t.short_calls) notes.push(`${plural(t.short_calls, 'shorter call')} left out`);
  if (trace.limit) notes.push(trace.limit);
  if (trace.cut_off) notes.push('the trace has no end: its writer died');
  if (trace.damage) notes.push('damaged: ' + trace.damage);
  $('warning').textContent = notes.join('; ');
  $('warning').title = notes.join('\n');
}
function told(call) {
  const {track, index} = call, name = state.trace.names[track.fn[index]];
  return {
    name: name.full, file: name.c ? null : name.file, line: name.line, start: track.start[index], duration: track.dur[index],
    self: track.self[index], depth: track.depth[index], tid: threadOf(track, index).tid, thread: threadOf(track, index).name, task: taskOf(track, index), track: state.trace.tracks.indexOf(track), index,
  };
}
// For tests and for the console: times in ns since the start of the trace.
const viztracer = window.viztracer = {
  error: null,
  ready: null,
  search(text, most = 1000) { // calls of the functions that hold this text, as the search box finds them
    const found = [];
    search(text);
    for (const track of state.trace.tracks)
      for (let i = 0; state.matched && i < track.n && found.length < most; i++) if (state.matched[track.fn[i]]) found.push(told({track, index: i}));
    return found;
  },
  select(track, index) { select({track: state.trace.tracks[track], index}); },
  selection: () => state.selected && told(state.selected),
  next: () => step(1),
  fit: fitName,
  zoom: setView,
  view: () => [state.t0, state.t1],
  place(track, index) { // of a call's left end and its lane, in pixels of the window
    const t = state.trace.tracks[track], box = canvas.getBoundingClientRect();
    return {
      x: box.left + toX(t.start[index]), width: t.dur[index] / span() * (canvas.clientWidth - labelWidth),
      y: box.top + RULER + t.y - state.y + HEADER + t.depth[index] * LANE + LANE / 2,
    };
  },
  summary: () => ({calls: state.trace.ncalls, end: state.trace.end, totals: state.trace.totals, matches: state.nmatches,
    tracks: state.trace.tracks.map(t => ({tid: t.tid, name: t.label, calls: t.n, depths: t.depths, idle: t.idle, hidden: t.hidden, threads: t.pool ? t.pool.length : 1, gaps: t.gaps.length, marks: t.marks.length}))}),
  functions: () => state.trace.functions.map(f => ({...f, name: state.trace.names[f.id].full})),
  draw() { // one picture now; ms that it took
    const began = performance.now();
    draw();
    return performance.now() - began;
  },
};

async function main() {
  if (typeof DecompressionStream !== 'function') throw new Error('this browser is too old: it has no DecompressionStream');
  readTheme();
  state.trace = readTrace(await unpack());
  orderTracks();
  makeColors();
  layout();
  describe();
  state.t1 = state.trace.end;
  state.dirty = false;
  bind();
  dark.addEventListener('change', () => {
    readTheme();
    makeColors();
    redraw();
  });
  whole();
  resize();
  openTab('functions');
}
viztracer.ready = main().then(() => 'ready', error => {
  viztracer.error = String(error);
  $('summary').textContent = '';
  $('warning').textContent = 'The trace in this page cannot be read: ' + (error.message || error);
  throw error;
});
viztracer.ready.catch(() => {});
