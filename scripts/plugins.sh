#!/usr/bin/env bash
# Compiles plugins to WebAssembly: `plugins.sh TARGET_DIR PLUGIN...`. Every plugin is
# plugins/NAME; its artifact becomes TARGET_DIR/plugins/NAME.wasm, replaced in one step
# because a running switch may watch that folder, and only when it differs.
set -euo pipefail

target=${1:?target directory}
shift
wasm=wasm32-unknown-unknown
packages=()
for name in "$@"; do
    packages+=(-p "$(sed -n 's/^name *= *"\(.*\)"/\1/p' "plugins/$name/Cargo.toml" | head -n 1)")
done
((${#packages[@]})) || exit 0

cargo build --release --target "$wasm" --lib "${packages[@]}"

mkdir -p "$target/plugins"
for name in "$@"; do
    crate=$(sed -n 's/^name *= *"\(.*\)"/\1/p' "plugins/$name/Cargo.toml" | head -n 1)
    built=$target/$wasm/release/${crate//-/_}.wasm
    placed=$target/plugins/$name.wasm
    if ! cmp -s "$built" "$placed"; then
        cp "$built" "$placed.part"
        mv "$placed.part" "$placed"
    fi
done
