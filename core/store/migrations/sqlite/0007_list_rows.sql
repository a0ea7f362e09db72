-- The rows of number lists that have no file, and the settings of plugins.

CREATE TABLE list_row (
    list INTEGER NOT NULL,
    number TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (list, number)
) STRICT, WITHOUT ROWID;

-- The id of an object is never used again. The name is that of the plugin.
CREATE TABLE plugin_settings (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    removed INTEGER NOT NULL DEFAULT FALSE CHECK (removed IN (0, 1)),
    origin TEXT NOT NULL DEFAULT 'file',
    revision INTEGER NOT NULL DEFAULT 1
) STRICT;
