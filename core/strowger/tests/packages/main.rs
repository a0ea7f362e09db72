//! The commands around a plugin file, driven as their users do: by the program, on real
//! plugins of `make plugins`.

mod checking;
mod shelves;
mod signing;
mod support;
