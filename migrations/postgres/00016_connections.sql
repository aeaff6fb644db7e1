-- +goose Up

-- Upstream identity providers. A connection without an organization is for everybody. removed_at: the configuration does
-- not name it any more; disabled_at: an operator has switched it off. The secret is sealed.
CREATE TABLE connections (
    id uuid PRIMARY KEY,
    organization_id uuid REFERENCES organizations (id),
    name text NOT NULL UNIQUE,
    kind text NOT NULL,
    settings text NOT NULL,
    secret bytea,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    disabled_at bigint,
    removed_at bigint
);
CREATE INDEX connections_organization_id ON connections (organization_id);

-- The users that an upstream knows, by its subject. email is what it said last, for the person's own pages.
CREATE TABLE external_identities (
    connection_id uuid NOT NULL REFERENCES connections (id),
    subject text NOT NULL,
    user_id uuid NOT NULL REFERENCES users (id),
    email text NOT NULL,
    created_at bigint NOT NULL,
    last_used_at bigint,
    PRIMARY KEY (connection_id, subject)
);
CREATE INDEX external_identities_user_id ON external_identities (user_id);

-- +goose Down
DROP TABLE external_identities;
DROP TABLE connections;
