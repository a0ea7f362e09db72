#!/usr/bin/env bash
# Compiles plugins to WebAssembly: `plugins.sh TARGET_DIR FOLDER...`. The crate in FOLDER
# becomes TARGET_DIR/plugins/NAME.wasm, where NAME is the last part of the folder's path. The file
# is moved there in one step, because a running switch may watch the folder, and only if it differs.
set -euo pipefail

target=${1:?target directory}
shift
(($#)) || exit 0
wasm=wasm32-unknown-unknown

crate_of() { sed -n 's/^name *= *"\(.*\)"/\1/p' "$1/Cargo.toml" | head -n 1; }

packages=()
for folder in "$@"; do
    packages+=(-p "$(crate_of "$folder")")
done
cargo build --release --target "$wasm" --lib "${packages[@]}"

mkdir -p "$target/plugins"
for folder in "$@"; do
    crate=$(crate_of "$folder")
    built=$target/$wasm/release/${crate//-/_}.wasm
    placed=$target/plugins/$(basename "$folder").wasm
    if ! cmp -s "$built" "$placed"; then
        cp "$built" "$placed.part"
        mv "$placed.part" "$placed"
    fi
done
