-- +goose Up

-- Upstream identity providers. A connection without an organization is for everybody. removed_at: the configuration does
-- not name it any more; disabled_at: an operator has switched it off. The secret is sealed.
CREATE TABLE connections (
    id TEXT PRIMARY KEY,
    organization_id TEXT REFERENCES organizations (id),
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    settings TEXT NOT NULL,
    secret BLOB,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    disabled_at INTEGER,
    removed_at INTEGER
);
CREATE INDEX connections_organization_id ON connections (organization_id);

-- The users that an upstream knows, by its subject. email is what it said last, for the person's own pages.
CREATE TABLE external_identities (
    connection_id TEXT NOT NULL REFERENCES connections (id),
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    email TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    PRIMARY KEY (connection_id, subject)
);
CREATE INDEX external_identities_user_id ON external_identities (user_id);

-- +goose Down
DROP TABLE external_identities;
DROP TABLE connections;
