//! The plugin host: loads, runs, limits and swaps WebAssembly policy.
