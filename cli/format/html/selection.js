// The panel beside the timeline: its tabs, and what is known of the selected call, with its source text.

function select(call) {
  state.selected = call;
  openTab(call ? 'selection' : 'functions');
  const box = $('details');
  box.textContent = '';
  $('source').textContent = '';
  redraw();
  if (!call) return void add(box, 'p', 'Click a call to see what it is. Wheel: zoom. Drag: move.', 'quiet');
  const {track, index} = call, name = state.trace.names[track.fn[index]], flags = track.flags.get(index) || 0;
  const process = state.trace.processes[track.process], start = track.start[index], dur = track.dur[index];
  add(box, 'h3', name.short);
  const table = add(box, 'table'), row = (key, text, plain) => {
    const tr = add(table, 'tr');
    add(tr, 'td', key);
    add(tr, 'td', text, plain ? '' : 'value');
  };
  row('duration', timeText(dur) + (flags & FLAG_OPEN ? ' (unfinished: still open when tracing ended)' : ''), true);
  if (name.waits) row('waits', 'this call waits, it does no work', true);
  row('self time', `${timeText(track.self[index])}${dur ? ` (${(100 * track.self[index] / dur).toFixed(1)} %)` : ''}`, true);
  row('start', `${timeText(start)}${wallTime(', at ', start)}${flags & FLAG_FROM_ATTACH ? ' (was open when tracing began)' : ''}`, true);
  if (flags & FLAG_RAISED) row('left by', 'an exception', true);
  if (flags & FLAG_RESUMED) row('resumed', 'a later piece of a call that went on here (a generator, a coroutine, or tracing paused in between)', true);
  if (flags & FLAG_SUSPENDED) row('suspended', 'by a yield or an await: the call may go on in a later piece', true);
  if (!name.c) row('place', `${name.place}:${name.line}`);
  if (track.tasks) row('task', taskOf(track, index), true);
  const thread = threadOf(track, index);
  row('thread', `${thread.name}, tid ${thread.tid}, pid ${process.pid}, depth ${track.depth[index] + 1}`, true);
  const f = state.trace.functions[track.fn[index]];
  row('function', `${plural(f.calls + f.folded, 'call')}${f.pieces > f.calls ? ` (${plural(f.pieces, 'piece')})` : ''}, ${timeText(f.self)} self, ${timeText(f.total)} in all`, true);
  const detail = track.details.get(index);
  if (detail) for (const [key, text] of readDetail(state.trace, detail)) row(key, text);
  const fold = track.folds.get(index);
  if (fold) {
    row('folded', `${plural(fold.calls, 'short call')} below, ${timeText(fold.ns)}, counted but not drawn:`, true);
    const others = fold.calls - fold.functions.reduce((sum, part) => sum + part.calls, 0);
    for (const part of fold.functions) row('', `${group(part.calls)} \u00d7 ${state.trace.names[part.name].short}: ${timeText(part.ns)}`);
    if (others > 0) row('', `${group(others)} \u00d7 other functions`);
  }
  showSource(name);
}
function showSource(name) {
  const box = $('source');
  box.textContent = '';
  const file = !name.c && Object.hasOwn(state.trace.files, name.file) ? state.trace.files[name.file] : null;
  if (!file) return void add(box, 'p', name.c ? 'A function in C: no source here.' : 'The source text is not in this file.', 'quiet');
  add(box, 'div', `${name.short}  ${name.place}:${name.line}`, 'name');
  const lines = file[0].split('\n'), from = Math.max(0, name.line - 200), to = Math.min(lines.length, name.line + 600);
  let here = null;
  for (let i = from; i < to; i++) {
    const row = add(box, 'div', undefined, i + 1 === name.line ? 'row here' : 'row');
    add(row, 'span', String(i + 1));
    add(row, 'span', lines[i]);
    if (i + 1 === name.line) here = row;
  }
  if (here) box.scrollTop = here.offsetTop - box.offsetTop - 40;
}

function openTab(which) {
  for (const tab of ['selection', 'functions']) {
    $('tab-' + tab).classList.toggle('on', tab === which);
    $(tab).hidden = tab !== which;
  }
  if (which === 'functions') showFunctions();
}
