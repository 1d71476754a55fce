// Which rows the timeline has, and in what order: processes, their threads by activity, tasks below their thread; the idle
// threads of a process are one line until it is opened.

const IDLE = 0.001; // of the trace: a thread that worked for less is idle
const isIdle = track => track.idle;
const drawn = track => track.n || track.gaps.length || track.marks.length || track.counters.length;

function orderTracks() {
  const {tracks, processes, end} = state.trace, busy = new Map(), key = t => t.process + ' ' + t.tid;
  for (const t of tracks) busy.set(key(t), (busy.get(key(t)) || 0) + t.work);
  for (const t of tracks) {
    t.main = t.tid === processes[t.process].pid;
    t.idle = !t.main && !t.gaps.length && !t.marks.length && busy.get(key(t)) < end * IDLE;
  }
  const rank = t => [t.process, !t.main, t.idle, -busy.get(key(t)), t.tid, t.tasks !== undefined];
  tracks.sort((a, b) => {
    const x = rank(a), y = rank(b);
    for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return x[i] < y[i] ? -1 : 1;
    return 0;
  });
}

function layout() {
  let y = 0;
  const put = (height, row) => {
    state.rows.push({y, height, ...row});
    y += height;
  };
  state.rows = [];
  state.trace.processes.forEach((process, p) => {
    const tracks = state.trace.tracks.filter(t => t.process === p && drawn(t)), idle = tracks.filter(isIdle);
    if (!tracks.length) return;
    if (state.trace.processes.length > 1) put(HEADER, {process});
    for (const track of tracks) {
      if (track === idle[0]) put(HEADER, {idle, of: process});
      track.hidden = track.idle && !process.idleOpen;
      track.y = y;
      if (!track.hidden) put(HEADER + (track.folded ? 0 : track.depths * LANE + PAD), {track});
    }
  });
  state.height = y;
}

// A click on the name of a row.
function toggleRow(row) {
  if (row.track) row.track.folded = !row.track.folded;
  if (row.idle) row.of.idleOpen = !row.of.idleOpen;
  layout();
}
// Opens what hides a call.
function reveal(track) {
  if (track.hidden) state.trace.processes[track.process].idleOpen = true;
  if (track.hidden || track.folded) track.folded = false, layout();
}
