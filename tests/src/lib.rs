//! Whole-system tests: real sockets, real peers.
