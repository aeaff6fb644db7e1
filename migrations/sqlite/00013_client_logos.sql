-- +goose Up

-- The logo of a client as it was fetched from its logo_uri and is served by us, or why it could not be.
CREATE TABLE client_logos (
    client_id TEXT PRIMARY KEY REFERENCES clients (id),
    uri TEXT NOT NULL,
    hash TEXT,
    image BLOB,
    tries INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER,
    problem TEXT NOT NULL DEFAULT ''
);
CREATE INDEX client_logos_due ON client_logos (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX client_logos_hash ON client_logos (hash);
INSERT INTO client_logos (client_id, uri, due_at)
    SELECT id, metadata ->> '$.logo_uri', 0 FROM clients WHERE deleted_at IS NULL AND metadata ->> '$.logo_uri' <> '';

-- +goose Down
DROP TABLE client_logos;
