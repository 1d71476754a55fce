#!/bin/bash
# Every option of VizTracer 1.1.1 has a row in docs/compatibility.md, and viztracer does what the row says: it knows the option, unless the
# row has "-" for both ways, and refuses it in a launch as "not yet" only. No program is run: none is named.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
options='-h --help --version -c --cmd_string --rcfile --tracer_entries --output_file -o --unique_output_file -u --output_dir --file_info --quiet
--trace_self --plugins --max_stack_depth --min_duration --exclude_files --include_files --ignore_c_function --ignore_frozen --log_exit
--log_func_retval --log_func_with_objprint --log_print --log_sparse --log_func_args --log_gc --log_torch --log_var --log_number --log_attr
--log_audit --log_func_exec --log_func_entry --log_exception --log_subprocess --subprocess_child --dump_raw --sanitize_function_name
--log_multiprocess --log_async --ignore_multiprocess --magic_comment --minimize_memory --pid_suffix --module -m --patch_only --compress
--decompress --combine --align_combine --open --attach --attach_installed --uninstall -t'
bad=0
fail() { echo "$1"; bad=1; }
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
[ -x "$build/bin/viztracer" ] || { echo "$build/bin/viztracer is not built: run make"; exit 1; }
bin=$(realpath "$build/bin/viztracer")
for option in $options; do
    row=$(grep -E "^\| [^|]*\`$option\`" docs/compatibility.md | head -n 1)
    launch=$(echo "$row" | cut -d'|' -f3 | tr -d ' ') attach=$(echo "$row" | cut -d'|' -f4 | tr -d ' ')
    [ -n "$row" ] || { fail "$option: no row in docs/compatibility.md"; continue; }
    said=$(cd "$temp" && timeout 20 "$bin" "$option" 2>&1 </dev/null)
    case $said in
    *"no such option"*) [ "$launch$attach" = -- ] || fail "$option: viztracer does not know it, the row says $launch, $attach" ;;
    *"is not available in this version"*) [ "$launch" = notyet ] || fail "$option: refused, the row says $launch" ;;
    *"is not needed: --attach works"*) [ "$launch$attach" = -refused ] || fail "$option: refused, the row says $launch, $attach" ;;
    *) [ "$launch" != notyet ] && [ "$launch$attach" != -- ] || fail "$option: viztracer takes it, the row says $launch, $attach" ;;
    esac
done
exit $bad
