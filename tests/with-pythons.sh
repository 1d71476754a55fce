#!/bin/bash
# Runs a command with the interpreters under test in VT_PYTHONS, and the missing ones in VT_SKIPPED_PYTHONS.
set -u
here=$(cd "$(dirname "$0")" && pwd)
VT_PYTHONS=$("$here/setup/interpreters.sh")
VT_SKIPPED_PYTHONS=$("$here/setup/interpreters.sh" --skipped)
export VT_PYTHONS VT_SKIPPED_PYTHONS
echo "Interpreters: $(echo "$VT_PYTHONS" | cut -d' ' -f1 | paste -sd' ')"
exec "$@"
