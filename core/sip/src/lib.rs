//! SIP without I/O: wire scanner, headers, transactions, dialogs, digest, SDP.
