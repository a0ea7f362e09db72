#!/usr/bin/env bash
# Runs every test, the whole-system tests with one shard and with two, and ends with the sum of all
# of cargo's summaries: `test.sh TARGET_DIR`. Also fails if a test named in docs/capabilities.md did
# not run.
set -euo pipefail

target=${1:?target directory}
mkdir -p "$target"
# Standard output and standard error of the tests, kept apart so that compiler messages do not break
# into the lines of cargo's results.
log=$target/test.log
errors=$target/test.err
: >"$log"
: >"$errors"
status=0

# Colour codes would hide the words; cargo writes none into a pipe unless it is forced to.
run() {
    { cargo test --workspace --no-fail-fast "$@" 2>&1 >&3 | tee -a "$errors" >&2; } 3>&1 |
        tee -a "$log" || status=1
}

# The whole-system tests start the real program.
cargo build --workspace --bins
STROWGER_TEST_SHARDS=1 run

system=()
for file in $(grep -lE 'Setup|Stage' tests/tests/*.rs); do
    system+=(--test "$(basename "$file" .rs)")
done
printf '\nThe whole-system tests with two shards:\n'
STROWGER_TEST_SHARDS=2 run "${system[@]}"

# Lines of the tests that skipped themselves on this machine (tests/src/skip.rs).
skipped=$(grep -o 'skipped: [^ ]*: .*' "$errors" | sort -u || true)
# The last word of a path such as `number::tests::separators_go_from_numbers`.
names() { sed -E 's/.*:://' | sort -u; }
named=$(grep -oE '[a-z0-9_/.-]+\.rs::[a-z0-9_]+' docs/capabilities.md | names)
passed=$(sed -nE 's/^test ([a-z0-9_:]+)( - should panic)? \.\.\. ok$/\1/p' "$log" | names)
left_out=$(sed -nE 's/^skipped: ([a-z0-9_:]+): .*/\1/p' <<<"$skipped" | names)
unshown=$(comm -23 <(echo "$named") <(comm -23 <(echo "$passed") <(echo "$left_out")))
if [[ -n $unshown ]]; then
    printf '\nNamed in docs/capabilities.md, but did not run to a good end:\n%s\n' "$unshown"
    status=1
fi

[[ -z $skipped ]] || printf '\n%s\n' "$skipped"
awk -v skipped="$(grep -c . <<<"$skipped" || true)" '
    /^test result:/ {
        for (i = 1; i <= NF; i++) {
            if ($i == "passed;") passed += $(i - 1)
            if ($i == "failed;") failed += $(i - 1)
            if ($i == "ignored;") ignored += $(i - 1)
        }
    }
    END {
        # Cargo counts skipped tests as passed.
        printf "\n%d passed, %d failed, %d ignored, %d skipped\n", passed, failed, ignored, skipped
        exit passed == 0
    }
' "$log" || status=1
exit "$status"
