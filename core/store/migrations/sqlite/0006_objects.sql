-- Every object has an origin, a revision and a history: the folder of files leaves alone what was
-- made or changed one by one, and a change that was made to an older revision is refused.

ALTER TABLE account ADD COLUMN origin TEXT NOT NULL DEFAULT 'file';
ALTER TABLE account ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE customer_trunk ADD COLUMN origin TEXT NOT NULL DEFAULT 'file';
ALTER TABLE customer_trunk ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE vendor_trunk ADD COLUMN origin TEXT NOT NULL DEFAULT 'file';
ALTER TABLE vendor_trunk ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE rule_set ADD COLUMN origin TEXT NOT NULL DEFAULT 'file';
ALTER TABLE rule_set ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE deck ADD COLUMN origin TEXT NOT NULL DEFAULT 'file';
ALTER TABLE deck ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE number_list ADD COLUMN origin TEXT NOT NULL DEFAULT 'file';
ALTER TABLE number_list ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;

CREATE TABLE history (
    seq INTEGER PRIMARY KEY,
    -- Kind of object, such as account.
    kind TEXT NOT NULL,
    -- Its id.
    object INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- The one that it became.
    revision INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    -- The file folder, or whoever asked for it.
    who TEXT NOT NULL,
    origin TEXT NOT NULL,
    -- added, changed or removed.
    action TEXT NOT NULL,
    -- What differs, a line each.
    details TEXT NOT NULL,
    -- All of it from then on; NULL: it is removed, or the rows of a deck have changed.
    body TEXT
) STRICT;
CREATE INDEX history_object ON history (kind, object, revision);

-- A row of a deck is found by its prefix.
CREATE INDEX deck_row_prefix ON deck_row (deck, prefix);
