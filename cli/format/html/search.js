// Search: which names hold the text of the box, with its switches, and going from call to call.

function matcher() {
  const fold = text => state.cased ? text : text.toLowerCase(), wanted = fold(state.query);
  if (!state.exact) return name => fold(name.full).includes(wanted);
  return name => [name.short, name.last, name.full].some(text => fold(text) === wanted);
}
function search(text) {
  state.query = text.trim();
  if ($('search').value.trim() !== state.query) $('search').value = text;
  state.function = -1;
  const matches = matcher();
  state.found = state.query ? Uint8Array.from(state.trace.names, name => matches(name) ? 1 : 0) : null;
  highlight();
  if (!$('functions').hidden) showFunctions();
}
function setSwitch(which, on) {
  state[which] = on;
  $(which).setAttribute('aria-pressed', on);
  search($('search').value);
}
// The chosen function, else what was found.
function highlight() {
  const {trace, found} = state, one = state.function;
  state.matched = one >= 0 ? Uint8Array.from(trace.names, (_, id) => id === one ? 1 : 0) : found;
  state.nmatches = state.matched ? trace.functions.reduce((sum, f) => sum + state.matched[f.id] * f.pieces, 0) : 0;
  $('matches').textContent = state.matched ? group(state.nmatches) : '';
  makeColors();
  state.overview = null;
  redraw();
}

function step(direction) {
  if (!state.nmatches) return;
  const wanted = id => state.matched[id] === 1;
  const call = neighbour(state.selected, direction, wanted) || neighbour(null, direction, wanted);
  if (call) select(call), show(call, false);
}
