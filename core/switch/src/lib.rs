//! The call: one pure state machine that joins SIP, media, ledger and policy.
