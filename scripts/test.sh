#!/usr/bin/env bash
# Runs every test and ends with the sum over all of cargo's summaries: `test.sh TARGET_DIR`.
set -euo pipefail

target=${1:?target directory}
mkdir -p "$target"
log=$target/test.log

# The whole-system tests start the real program.
cargo build --workspace --bins
status=0
cargo test --workspace --no-fail-fast 2>&1 | tee "$log" || status=$?

# Colour would hide the words; cargo writes none into a pipe unless it is forced to.
awk '
    /^test result:/ {
        for (i = 1; i <= NF; i++) {
            if ($i == "passed;") passed += $(i - 1)
            if ($i == "failed;") failed += $(i - 1)
            if ($i == "ignored;") ignored += $(i - 1)
        }
    }
    END { printf "\n%d passed, %d failed, %d ignored\n", passed, failed, ignored; exit passed == 0 }
' "$log"
exit "$status"
