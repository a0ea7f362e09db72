-- The rows of number lists that have no file, and the settings of plugins.

CREATE TABLE list_row (
    list BIGINT NOT NULL,
    number TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (list, number)
);

-- The id of an object is never used again. The name is that of the plugin.
CREATE TABLE plugin_settings (
    id BIGINT PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    body TEXT COLLATE "C" NOT NULL,
    removed BOOLEAN NOT NULL DEFAULT FALSE,
    origin TEXT COLLATE "C" NOT NULL DEFAULT 'file',
    revision BIGINT NOT NULL DEFAULT 1
);
