#!/usr/bin/env bash
# Runs every benchmark in turn: `bench.sh TARGET_DIR`. Each prints its table and appends
# one JSON line per figure to TARGET_DIR/bench.jsonl.
set -euo pipefail

target=${1:?target directory}
mkdir -p "$target"
: >"$target/bench.jsonl"
STROWGER_BENCH_FILE=$(realpath "$target/bench.jsonl")
export STROWGER_BENCH_FILE

benches=()
for file in core/*/benches/*.rs tests/benches/*.rs; do
    name=$(basename "$file" .rs)
    # Only this benchmark needs LuaJIT, its peer.
    [ "$name" = hooks ] || benches+=(--bench "$name")
done
# Built first, so that no compiler runs during a measurement.
lua=(--features strowger-host/luajit --bench hooks)
cargo bench --workspace "${lua[@]}" --no-run
cargo bench --workspace "${benches[@]}" --no-run
cargo bench --workspace "${benches[@]}"
cargo bench --workspace "${lua[@]}"
echo
echo "figures: $target/bench.jsonl"
