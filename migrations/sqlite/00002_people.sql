-- +goose Up

-- The kinds of the person's confirmed second factors, kept by whatever changes them, so that what a sign-in still owes
-- is known without another query. first_sign_in_at: an organization of one's own is made once.
ALTER TABLE users ADD COLUMN factors TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN first_sign_in_at INTEGER;
CREATE INDEX users_unproven ON users (created_at) WHERE email_verified_at IS NULL AND deleted_at IS NULL;

-- api: the session of a bearer token for the JSON API, not of a browser.
ALTER TABLE sessions ADD COLUMN api INTEGER NOT NULL DEFAULT 0;

-- One authenticator a row: a TOTP seed (sealed) or a WebAuthn credential. counter is the last TOTP step or the
-- signature counter; it only grows. Unconfirmed ones count for nothing; session_id is the session that such a one waits in.
CREATE TABLE factors (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    sealed BLOB,
    credential TEXT NOT NULL DEFAULT '',
    credential_hash BLOB UNIQUE,
    passkey INTEGER NOT NULL DEFAULT 0,
    counter INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    confirmed_at INTEGER,
    last_used_at INTEGER,
    session_id TEXT
);
CREATE INDEX factors_user_id ON factors (user_id);

-- hash is a keyed one: a code has fewer than 256 bits.
CREATE TABLE recovery_codes (
    hash BLOB PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    spent_at INTEGER
);
CREATE INDEX recovery_codes_user_id ON recovery_codes (user_id);

-- What a mailed or printed link stands for. user_id is NULL while nobody has the address. browser_hash is the browser
-- that asked for it, where it matters that the same one comes back.
CREATE TABLE links (
    hash BLOB PRIMARY KEY,
    purpose TEXT NOT NULL,
    user_id TEXT,
    payload TEXT NOT NULL DEFAULT '',
    browser_hash BLOB,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    spent_at INTEGER
);
CREATE INDEX links_user_id ON links (user_id);
CREATE INDEX links_expires_at ON links (expires_at);

CREATE TABLE invitations (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    role TEXT NOT NULL,
    token_hash BLOB NOT NULL UNIQUE,
    invited_by TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    accepted_at INTEGER,
    accepted_by TEXT,
    revoked_at INTEGER
);
CREATE INDEX invitations_organization_id ON invitations (organization_id, id);
CREATE INDEX invitations_email_key ON invitations (email_key);
CREATE INDEX invitations_expires_at ON invitations (expires_at);

CREATE TABLE personal_access_tokens (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    user_id TEXT NOT NULL REFERENCES users (id),
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at INTEGER
);
CREATE INDEX personal_access_tokens_user_id ON personal_access_tokens (user_id);
CREATE INDEX personal_access_tokens_expires_at ON personal_access_tokens (expires_at);

-- The installation's own settings, one JSON value a name; their version is the registry's.
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at INTEGER NOT NULL
);

-- unanswered: tries that may have delivered the message, for all that is known. trying_since: since when it is tried in
-- vain, not for its recipient's sake, so that every node sees an outage.
ALTER TABLE outbox ADD COLUMN unanswered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN trying_since INTEGER;
CREATE INDEX outbox_trying_since ON outbox (trying_since) WHERE done_at IS NULL AND trying_since IS NOT NULL;
-- Kind by kind: no backlog of one is read on the way to another's messages.
DROP INDEX outbox_available_at;
CREATE INDEX outbox_due ON outbox (kind, available_at, id) WHERE done_at IS NULL;

-- What a sweep, a deletion and the end of a client look for.
CREATE INDEX outbox_done_at ON outbox (done_at) WHERE done_at IS NOT NULL;
CREATE INDEX invitations_accepted_by ON invitations (accepted_by) WHERE accepted_by IS NOT NULL;
CREATE INDEX invitations_invited_by ON invitations (invited_by) WHERE accepted_at IS NULL;
CREATE INDEX personal_access_tokens_organization_id ON personal_access_tokens (organization_id) WHERE revoked_at IS NULL;
CREATE INDEX consents_client_id ON consents (client_id) WHERE withdrawn_at IS NULL;
CREATE INDEX grants_client_id ON grants (client_id) WHERE revoked_at IS NULL;
CREATE INDEX resource_servers_client_id ON resource_servers (client_id);
CREATE INDEX users_platform_roles ON users (platform_roles) WHERE platform_roles <> '';

-- +goose Down
DROP INDEX users_platform_roles;
DROP INDEX resource_servers_client_id;
DROP INDEX grants_client_id;
DROP INDEX consents_client_id;
DROP INDEX outbox_done_at;
DROP INDEX outbox_due;
DROP INDEX outbox_trying_since;
ALTER TABLE outbox DROP COLUMN trying_since;
ALTER TABLE outbox DROP COLUMN unanswered;
CREATE INDEX outbox_available_at ON outbox (available_at) WHERE done_at IS NULL;
DROP TABLE settings;
DROP TABLE personal_access_tokens;
DROP TABLE invitations;
DROP TABLE links;
DROP TABLE recovery_codes;
DROP TABLE factors;
ALTER TABLE sessions DROP COLUMN api;
DROP INDEX users_unproven;
ALTER TABLE users DROP COLUMN first_sign_in_at;
ALTER TABLE users DROP COLUMN factors;
