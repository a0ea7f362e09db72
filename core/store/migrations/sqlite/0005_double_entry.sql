-- Double entry (BILL-48): each posting moves an amount between an account and the book of its
-- kind. Balances stay as they are; those of the books are summed up when the database is opened
-- for the first time. What the cost of a call lacked has a kind of its own now.

UPDATE posting SET kind = 'cost_correction' WHERE kind = 'correction'
    AND account IN (SELECT id FROM account WHERE json_extract(body, '$.kind') = 'vendor');

CREATE TABLE book (
    name TEXT PRIMARY KEY,
    -- As those of an account.
    balance_units INTEGER NOT NULL,
    balance_fraction INTEGER NOT NULL CHECK (balance_fraction BETWEEN 0 AND 9999999999)
) STRICT;

CREATE INDEX posting_account ON posting (account, at_ms);
