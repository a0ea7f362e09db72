#!/usr/bin/env bash
# Installs the programs that a purpose needs besides Rust: `setup.sh build|test|bench`.
# Without the right to install, says what is missing. Quick when everything is there.
set -euo pipefail

purpose=${1:?build, test or bench}

say() { printf 'setup: %s\n' "$*" >&2; }

# Debian packages, by the program that proves they are installed.
declare -A package=([cc]=gcc [sipp]=sip-tester [kamailio]=kamailio [taskset]=util-linux
    [clang]=clang [wasm-ld]=lld [wasi-libc]=wasi-libc [compiler-rt]=libclang-rt-dev-wasm32
    [rtpengine]=rtpengine-daemon [curl]=curl
    [node]=nodejs [npm]=npm [python3]=python3 [pip]=python3-pip [postgres]=postgresql)
# Optional: without them some tests or benchmark columns are left out.
wanted=" kamailio rtpengine clang wasm-ld wasi-libc compiler-rt node npm pip "
case $purpose in
    build) programs=(cc) ;;
    test) programs=(cc sipp curl postgres clang wasm-ld wasi-libc compiler-rt node npm python3 pip) ;;
    bench) programs=(cc taskset postgres kamailio rtpengine) ;;
    *) say "unknown purpose $purpose"; exit 2 ;;
esac

PATH=$PATH:/usr/sbin

# Most are programs. The libraries of C plugins are files that clang finds, pip is a module, and
# the programs of PostgreSQL are in a folder that is not on the PATH.
present() {
    case $1 in
        wasi-libc) [[ -f $(clang --target=wasm32-wasi -print-file-name=libc.a 2>/dev/null) ]] ;;
        compiler-rt) [[ -f $(clang --target=wasm32-wasi -print-libgcc-file-name 2>/dev/null) ]] ;;
        postgres) compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null ||
            { command -v initdb && command -v postgres && command -v psql; } >/dev/null ;;
        pip) python3 -m pip --version >/dev/null 2>&1 ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

missing=()
for program in "${programs[@]}"; do
    present "$program" || missing+=("${package[$program]}")
done

if ((${#missing[@]})); then
    if [[ $(id -u) == 0 ]]; then root=(); else root=(sudo -n); fi
    if command -v apt-get >/dev/null && { [[ $(id -u) == 0 ]] || sudo -n true 2>/dev/null; }; then
        say "installing ${missing[*]}"
        export DEBIAN_FRONTEND=noninteractive
        "${root[@]}" apt-get update -qq </dev/null >/dev/null || say "apt-get update failed; trying what is known"
        "${root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null ||
            say "could not install ${missing[*]}"
    else
        say "please install: apt-get install ${missing[*]}"
    fi
    for program in "${programs[@]}"; do
        present "$program" && continue
        if [[ $wanted == *" $program "* ]]; then
            say "without $program (package ${package[$program]}) something is left out"
            continue
        fi
        say "$program is missing (package ${package[$program]})"
        exit 1
    done
fi

if ! command -v cargo >/dev/null; then
    say "cargo is missing: install Rust 1.95 or later with rustup"
    exit 1
fi

wasm=wasm32-unknown-unknown
if [[ ! -d $(rustc --print sysroot)/lib/rustlib/$wasm ]]; then
    if command -v rustup >/dev/null; then
        say "adding the Rust target $wasm for the plugins"
        rustup target add "$wasm"
    else
        say "the Rust target $wasm is missing: install rust-std for $wasm"
        exit 1
    fi
fi
