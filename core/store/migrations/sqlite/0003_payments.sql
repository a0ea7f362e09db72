-- What an operator says of a payment, and the word that tells a repeated request from a
-- second payment (BILL-46).

ALTER TABLE posting ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE posting ADD COLUMN key TEXT;
CREATE UNIQUE INDEX posting_key ON posting (key) WHERE key IS NOT NULL;
