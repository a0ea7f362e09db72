-- Columns keep the type they were declared with: a sum beyond 64 bits is refused instead of
-- becoming a floating-point number. Indexes find records by number, account and trunk
-- (CDR-24). What is booked when a call is rated again has a table of its own, because records
-- never change (CDR-07).

ALTER TABLE account RENAME TO account_before;
CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    -- Money is exact: whole units of the currency, and 10^-10 of a unit from 0 to 10^10 - 1.
    balance_units INTEGER NOT NULL,
    balance_fraction INTEGER NOT NULL CHECK (balance_fraction BETWEEN 0 AND 9999999999),
    removed INTEGER NOT NULL DEFAULT FALSE CHECK (removed IN (0, 1))
) STRICT;
INSERT INTO account (id, name, body, balance_units, balance_fraction, removed)
    SELECT id, name, body, balance_units, balance_fraction, removed FROM account_before;
DROP TABLE account_before;

ALTER TABLE customer_trunk RENAME TO customer_trunk_before;
CREATE TABLE customer_trunk (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    removed INTEGER NOT NULL DEFAULT FALSE CHECK (removed IN (0, 1))
) STRICT;
INSERT INTO customer_trunk (id, name, body, removed)
    SELECT id, name, body, removed FROM customer_trunk_before;
DROP TABLE customer_trunk_before;

ALTER TABLE vendor_trunk RENAME TO vendor_trunk_before;
CREATE TABLE vendor_trunk (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    removed INTEGER NOT NULL DEFAULT FALSE CHECK (removed IN (0, 1))
) STRICT;
INSERT INTO vendor_trunk (id, name, body, removed)
    SELECT id, name, body, removed FROM vendor_trunk_before;
DROP TABLE vendor_trunk_before;

ALTER TABLE rule_set RENAME TO rule_set_before;
CREATE TABLE rule_set (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    removed INTEGER NOT NULL DEFAULT FALSE CHECK (removed IN (0, 1))
) STRICT;
INSERT INTO rule_set (id, name, body, removed)
    SELECT id, name, body, removed FROM rule_set_before;
DROP TABLE rule_set_before;

ALTER TABLE number_list RENAME TO number_list_before;
CREATE TABLE number_list (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    removed INTEGER NOT NULL DEFAULT FALSE CHECK (removed IN (0, 1))
) STRICT;
INSERT INTO number_list (id, name, body, removed)
    SELECT id, name, body, removed FROM number_list_before;
DROP TABLE number_list_before;

ALTER TABLE deck_row RENAME TO deck_row_before;
ALTER TABLE deck RENAME TO deck_before;
-- `body` of a deck and of a list holds a digest of the rows, by which changes are seen.
CREATE TABLE deck (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    removed INTEGER NOT NULL DEFAULT FALSE CHECK (removed IN (0, 1))
) STRICT;
INSERT INTO deck (id, name, body, removed) SELECT id, name, body, removed FROM deck_before;
CREATE TABLE deck_row (
    deck INTEGER NOT NULL REFERENCES deck (id),
    number INTEGER NOT NULL,
    prefix TEXT NOT NULL,
    destination TEXT NOT NULL,
    -- Prices in 10^-10 of the deck's currency.
    price_first INTEGER NOT NULL CHECK (price_first >= 0),
    price_next INTEGER NOT NULL CHECK (price_next >= 0),
    connect_fee INTEGER NOT NULL CHECK (connect_fee >= 0),
    first_increment INTEGER NOT NULL,
    next_increment INTEGER NOT NULL,
    free_seconds INTEGER NOT NULL,
    minimum_charge INTEGER NOT NULL CHECK (minimum_charge >= 0),
    valid_from_ms INTEGER NOT NULL,
    valid_to_ms INTEGER,
    blocked INTEGER NOT NULL CHECK (blocked IN (0, 1)),
    PRIMARY KEY (deck, number)
) STRICT, WITHOUT ROWID;
INSERT INTO deck_row (deck, number, prefix, destination, price_first, price_next, connect_fee,
        first_increment, next_increment, free_seconds, minimum_charge, valid_from_ms, valid_to_ms,
        blocked)
    SELECT deck, number, prefix, destination, price_first, price_next, connect_fee,
        first_increment, next_increment, free_seconds, minimum_charge, valid_from_ms, valid_to_ms,
        blocked FROM deck_row_before;
DROP TABLE deck_row_before;
DROP TABLE deck_before;

ALTER TABLE call_record RENAME TO call_record_before;
CREATE TABLE call_record (
    -- In the order of writing.
    seq INTEGER PRIMARY KEY,
    -- 16 bytes, big-endian; the first 48 bits are UTC milliseconds.
    id BLOB NOT NULL UNIQUE,
    invite_ms INTEGER NOT NULL,
    answer_ms INTEGER,
    end_ms INTEGER,
    trunk INTEGER NOT NULL,
    account INTEGER NOT NULL,
    caller TEXT NOT NULL,
    callee TEXT NOT NULL,
    reason TEXT NOT NULL,
    code INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL CHECK (duration_ms >= 0),
    billable_ms INTEGER NOT NULL CHECK (billable_ms >= 0),
    -- 10^-10 of the deck's currency; NULL if not rated (or beyond 922 million units: then
    -- only the document has it).
    charge INTEGER,
    cost INTEGER,
    rerate INTEGER NOT NULL CHECK (rerate IN (0, 1)),
    -- Everything: record, attempts, trail, postings. First byte: format.
    document BLOB NOT NULL
) STRICT;
INSERT INTO call_record (seq, id, invite_ms, answer_ms, end_ms, trunk, account, caller, callee,
        reason, code, duration_ms, billable_ms, charge, cost, rerate, document)
    SELECT seq, id, invite_ms, answer_ms, end_ms, trunk, account, caller, callee, reason, code,
        duration_ms, billable_ms, charge, cost, rerate, document FROM call_record_before;
DROP TABLE call_record_before;
CREATE INDEX call_caller ON call_record (caller, id);
CREATE INDEX call_callee ON call_record (callee, id);
CREATE INDEX call_account ON call_record (account, id);
CREATE INDEX call_trunk ON call_record (trunk, id);
CREATE INDEX call_rerate ON call_record (seq) WHERE rerate;

ALTER TABLE attempt_record RENAME TO attempt_record_before;
CREATE TABLE attempt_record (
    call_seq INTEGER NOT NULL,
    number INTEGER NOT NULL,
    trunk INTEGER NOT NULL,
    account INTEGER NOT NULL,
    callee TEXT NOT NULL,
    sent_ms INTEGER NOT NULL,
    answer_ms INTEGER,
    duration_ms INTEGER NOT NULL CHECK (duration_ms >= 0),
    reason TEXT NOT NULL,
    code INTEGER NOT NULL,
    cost INTEGER,
    PRIMARY KEY (call_seq, number)
) STRICT, WITHOUT ROWID;
INSERT INTO attempt_record (call_seq, number, trunk, account, callee, sent_ms, answer_ms,
        duration_ms, reason, code, cost)
    SELECT call_seq, number, trunk, account, callee, sent_ms, answer_ms, duration_ms, reason,
        code, cost FROM attempt_record_before;
DROP TABLE attempt_record_before;
CREATE INDEX attempt_trunk ON attempt_record (trunk, call_seq);

ALTER TABLE posting RENAME TO posting_before;
-- Append-only (BILL-48); the balance of an account is the sum of its postings.
CREATE TABLE posting (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL,
    units INTEGER NOT NULL,
    fraction INTEGER NOT NULL CHECK (fraction BETWEEN 0 AND 9999999999),
    kind TEXT NOT NULL,
    -- The call that it belongs to, if any.
    call_seq INTEGER,
    at_ms INTEGER NOT NULL,
    -- What an operator says of a payment, and the word that tells a repeated request from a
    -- second payment (BILL-46).
    note TEXT NOT NULL DEFAULT '',
    key TEXT
) STRICT;
INSERT INTO posting (id, account, units, fraction, kind, call_seq, at_ms, note, key)
    SELECT id, account, units, fraction, kind, call_seq, at_ms, note, key FROM posting_before;
DROP TABLE posting_before;
CREATE UNIQUE INDEX posting_key ON posting (key) WHERE key IS NOT NULL;

-- A charge that was rated again: what it is now. The difference is a posting.
CREATE TABLE correction (
    call_seq INTEGER NOT NULL,
    -- 0 is the sell charge, any other the attempt of that number.
    number INTEGER NOT NULL,
    -- 10^-10 of the deck's currency.
    amount INTEGER NOT NULL,
    billed_s INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (call_seq, number)
) STRICT, WITHOUT ROWID;
