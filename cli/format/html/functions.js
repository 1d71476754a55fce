// The table of functions: names first, those that wait in a block of their own below those that work.

const columns = [['name', 'function'], ['self', 'self'], ['total', 'total'], ['calls', 'calls'], ['average', 'total / call'], ['longest', 'longest']];
const ROWS_MAX = 1000;

function columnValue(f, key) {
  return key === 'calls' ? f.calls + f.folded : key === 'average' ? (f.calls ? f.total / f.calls : 0) : f[key];
}
function sortedFunctions() {
  const {names, functions} = state.trace, {sort, found} = state;
  const list = functions.filter(f => f.pieces + f.folded && (!found || found[f.id]));
  if (sort === 'name') return list.sort((a, b) => names[a.id].short < names[b.id].short ? -1 : 1);
  return list.sort((a, b) => (names[a.id].waits - names[b.id].waits) || columnValue(b, sort) - columnValue(a, sort));
}
function putFunction(body, f) {
  const name = state.trace.names[f.id], tr = add(body, 'tr', undefined, f.id === state.function ? 'on' : ''), td = add(tr, 'td'), box = add(td, 'div');
  td.title = name.full;
  add(box, 'span', name.short, 'name');
  if (name.waits) add(box, 'span', 'waits', 'waits');
  if (!name.c) add(box, 'span', shortPlace(name), 'place');
  for (const [key] of columns.slice(1)) add(tr, 'td', key === 'calls' ? group(columnValue(f, key)) : timeText(columnValue(f, key)));
  tr.onclick = () => chooseFunction(f.id === state.function ? -1 : f.id);
}
function showFunctions() {
  const head = $('functions').querySelector('thead'), body = $('functions').querySelector('tbody'), list = sortedFunctions();
  const waiting = list.filter(f => state.trace.names[f.id].waits);
  head.textContent = body.textContent = '';
  const titles = add(head, 'tr');
  for (const [key, title] of columns)
    add(titles, 'th', title, key === state.sort ? 'on' : '').onclick = () => {
      state.sort = key;
      showFunctions();
    };
  for (const f of list.slice(0, ROWS_MAX)) {
    if (state.sort !== 'name' && f === waiting[0]) {
      const td = add(add(body, 'tr', undefined, 'block'), 'td');
      add(td, 'span', `waiting: ${timeText(waiting.reduce((sum, w) => sum + w.self, 0))}`);
    }
    putFunction(body, f);
  }
  $('more').textContent = list.length > ROWS_MAX ? `and ${group(list.length - ROWS_MAX)} more: search to narrow them down` : list.length ? '' : 'No function has this name.';
}
// Highlights the calls of one function and goes to its longest; -1: none.
function chooseFunction(id) {
  state.function = id;
  highlight();
  const call = id >= 0 && longest(id);
  if (call) state.selected = call, show(call, false);
  showFunctions();
}
function longest(id) {
  let best = null;
  for (const track of state.trace.tracks)
    for (let i = 0; i < track.n; i++)
      if (track.fn[i] === id && (!best || track.dur[i] > best.track.dur[best.index])) best = {track, index: i};
  return best;
}
