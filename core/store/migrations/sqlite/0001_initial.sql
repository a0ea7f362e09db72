-- Business objects. Rows are never deleted: records and postings refer to their ids for
-- ever, and an object that comes back under its name is the same one. `body` is the object
-- as JSON, in the shape of the TOML files.

CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    -- Money is exact: whole units of the currency, and 10^-10 of a unit from 0 to 10^10 - 1.
    balance_units BIGINT NOT NULL,
    balance_fraction BIGINT NOT NULL,
    removed BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE TABLE customer_trunk (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    removed BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE TABLE vendor_trunk (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    removed BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE TABLE rule_set (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    removed BOOLEAN NOT NULL DEFAULT FALSE
);

-- `body` of a deck and of a list holds a digest of the rows, by which changes are seen.
CREATE TABLE deck (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    removed BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE TABLE deck_row (
    deck INTEGER NOT NULL REFERENCES deck (id),
    number INTEGER NOT NULL,
    prefix TEXT NOT NULL,
    destination TEXT NOT NULL,
    -- Prices in 10^-10 of the deck's currency.
    price_first BIGINT NOT NULL,
    price_next BIGINT NOT NULL,
    connect_fee BIGINT NOT NULL,
    first_increment INTEGER NOT NULL,
    next_increment INTEGER NOT NULL,
    free_seconds INTEGER NOT NULL,
    minimum_charge BIGINT NOT NULL,
    valid_from_ms BIGINT NOT NULL,
    valid_to_ms BIGINT,
    blocked BOOLEAN NOT NULL,
    PRIMARY KEY (deck, number)
) WITHOUT ROWID;

CREATE TABLE number_list (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    removed BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE TABLE number_list_row (
    list INTEGER NOT NULL REFERENCES number_list (id),
    number TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (list, number)
) WITHOUT ROWID;

-- Records. No foreign keys: a record is kept whatever it refers to.

CREATE TABLE call_record (
    -- In the order of writing; a gap is a lost record.
    seq INTEGER PRIMARY KEY,
    -- 16 bytes, big-endian; the first 48 bits are UTC milliseconds.
    id BLOB NOT NULL UNIQUE,
    invite_ms BIGINT NOT NULL,
    answer_ms BIGINT,
    end_ms BIGINT,
    trunk INTEGER NOT NULL,
    account INTEGER NOT NULL,
    caller TEXT NOT NULL,
    callee TEXT NOT NULL,
    reason TEXT NOT NULL,
    code INTEGER NOT NULL,
    duration_ms BIGINT NOT NULL,
    billable_ms BIGINT NOT NULL,
    -- 10^-10 of the deck's currency; NULL if not rated (or beyond 922 million units: then
    -- only the document has it).
    charge BIGINT,
    cost BIGINT,
    rerate BOOLEAN NOT NULL,
    -- Everything: record, attempts, trail, postings. First byte: format.
    document BLOB NOT NULL
);

CREATE TABLE attempt_record (
    call_seq INTEGER NOT NULL,
    number INTEGER NOT NULL,
    trunk INTEGER NOT NULL,
    account INTEGER NOT NULL,
    callee TEXT NOT NULL,
    sent_ms BIGINT NOT NULL,
    answer_ms BIGINT,
    duration_ms BIGINT NOT NULL,
    reason TEXT NOT NULL,
    code INTEGER NOT NULL,
    cost BIGINT,
    PRIMARY KEY (call_seq, number)
) WITHOUT ROWID;

-- Append-only (BILL-48); the balance of an account is the sum of its postings.
CREATE TABLE posting (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL,
    units BIGINT NOT NULL,
    fraction BIGINT NOT NULL,
    kind TEXT NOT NULL,
    -- The call that it belongs to, if any.
    call_seq INTEGER,
    at_ms BIGINT NOT NULL
);
