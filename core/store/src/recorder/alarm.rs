//! What an operator has to see to (CDR-14).

/// A state of the recorder in which records are at risk or late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// The journal cannot be written: what ends now is in memory only.
    JournalFails,
    /// The database cannot be written, or takes long: records wait in the journal.
    DatabaseFails,
    /// So many finished calls wait for the database as may be in memory.
    DatabaseBehind,
    /// As much waits in memory or on disk as may: no new calls are to be taken.
    Full,
}
