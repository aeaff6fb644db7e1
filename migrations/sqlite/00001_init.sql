-- +goose Up

-- One row a cached kind: bumped in the transaction of every change to it and polled by every process.
CREATE TABLE versions (
    name TEXT PRIMARY KEY,
    n INTEGER NOT NULL
);
INSERT INTO versions (name, n) VALUES ('registry', 1), ('keys', 1);

CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    fence INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);

CREATE TABLE counters (
    hash BLOB PRIMARY KEY,
    n INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX counters_expires_at ON counters (expires_at);

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    sub TEXT NOT NULL UNIQUE,
    email TEXT,
    email_key TEXT UNIQUE,
    email_verified_at INTEGER,
    platform_roles TEXT NOT NULL DEFAULT '',
    profile TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    disabled_at INTEGER,
    deleted_at INTEGER
);

CREATE TABLE passwords (
    user_id TEXT PRIMARY KEY REFERENCES users (id),
    hash TEXT NOT NULL,
    changed_at INTEGER NOT NULL
);

CREATE TABLE organizations (
    id TEXT PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    settings TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
);

CREATE TABLE memberships (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX memberships_user_id ON memberships (user_id);

CREATE TABLE clients (
    id TEXT PRIMARY KEY,
    organization_id TEXT REFERENCES organizations (id),
    name TEXT NOT NULL,
    metadata TEXT NOT NULL,
    managed_by TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    last_used_at INTEGER,
    disabled_at INTEGER,
    deleted_at INTEGER
);
CREATE INDEX clients_organization_id ON clients (organization_id);

CREATE TABLE client_secrets (
    id TEXT PRIMARY KEY,
    client_id TEXT NOT NULL REFERENCES clients (id),
    key_id TEXT NOT NULL DEFAULT '',
    mac BLOB,
    phc TEXT NOT NULL DEFAULT '',
    weak INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER
);
CREATE INDEX client_secrets_client_id ON client_secrets (client_id);

CREATE TABLE resources (
    identifier TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    managed_by TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE TABLE resource_scopes (
    resource TEXT NOT NULL REFERENCES resources (identifier),
    name TEXT NOT NULL,
    sentence TEXT NOT NULL,
    PRIMARY KEY (resource, name)
);
CREATE TABLE resource_servers (
    resource TEXT NOT NULL REFERENCES resources (identifier),
    client_id TEXT NOT NULL REFERENCES clients (id),
    PRIMARY KEY (resource, client_id)
);

-- No foreign keys from here to revoked_tokens: a check locks the parent row, and people and clients are
-- never deleted but made tombstones, so there is nothing a key would protect on the busiest paths.
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    token_hash BLOB NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    auth_time INTEGER NOT NULL,
    acr TEXT NOT NULL,
    amr TEXT NOT NULL,
    browser TEXT NOT NULL,
    network4 TEXT NOT NULL DEFAULT '',
    network6 TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER,
    end_reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX sessions_user_id ON sessions (user_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

CREATE TABLE flows (
    id_hash BLOB PRIMARY KEY,
    client_id TEXT NOT NULL,
    request TEXT NOT NULL,
    pushed_hash BLOB,
    browser_hash BLOB,
    address TEXT NOT NULL DEFAULT '',
    requested_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    user_id TEXT,
    sign_in_after INTEGER,
    organization_id TEXT,
    consent TEXT NOT NULL DEFAULT '',
    spent_at INTEGER
);
CREATE INDEX flows_expires_at ON flows (expires_at);
CREATE INDEX flows_browser_hash ON flows (browser_hash) WHERE spent_at IS NULL;
CREATE INDEX flows_address ON flows (address, expires_at) WHERE spent_at IS NULL AND user_id IS NULL;

-- organization_id is the nil UUID for a consent that names no organization, so that the key holds.
CREATE TABLE consents (
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    granted_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    withdrawn_at INTEGER,
    PRIMARY KEY (user_id, client_id, organization_id)
);
CREATE INDEX consents_expires_at ON consents (expires_at);

CREATE TABLE grants (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    organization_id TEXT,
    session_id TEXT,
    offline INTEGER NOT NULL,
    scopes TEXT NOT NULL,
    audience TEXT NOT NULL,
    auth_time INTEGER NOT NULL,
    acr TEXT NOT NULL,
    amr TEXT NOT NULL,
    claims TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at INTEGER,
    revoke_reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX grants_user_id_client_id ON grants (user_id, client_id);
CREATE INDEX grants_session_id ON grants (session_id);
CREATE INDEX grants_expires_at ON grants (expires_at);

CREATE TABLE codes (
    hash BLOB PRIMARY KEY,
    grant_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL DEFAULT '',
    nonce TEXT NOT NULL DEFAULT '',
    expires_at INTEGER NOT NULL,
    spent_at INTEGER
);
CREATE INDEX codes_expires_at ON codes (expires_at);

-- grant_id is NULL for a token of the client_credentials grant.
CREATE TABLE access_tokens (
    hash BLOB PRIMARY KEY,
    grant_id TEXT,
    client_id TEXT NOT NULL,
    organization_id TEXT,
    scopes TEXT NOT NULL,
    audience TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
);
CREATE INDEX access_tokens_expires_at ON access_tokens (expires_at);

CREATE TABLE refresh_tokens (
    hash BLOB PRIMARY KEY,
    grant_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    salt BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    spent_at INTEGER,
    successor_hash BLOB
);
CREATE INDEX refresh_tokens_expires_at ON refresh_tokens (expires_at);

CREATE TABLE pushed_requests (
    hash BLOB PRIMARY KEY,
    client_id TEXT NOT NULL,
    request TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    spent_at INTEGER
);
CREATE INDEX pushed_requests_expires_at ON pushed_requests (expires_at);

CREATE TABLE replay_ids (
    hash BLOB PRIMARY KEY,
    expires_at INTEGER NOT NULL
);
CREATE INDEX replay_ids_expires_at ON replay_ids (expires_at);

-- JWT access tokens that were revoked before their time, by the hash of their jti.
CREATE TABLE revoked_tokens (
    hash BLOB PRIMARY KEY,
    expires_at INTEGER NOT NULL
);
CREATE INDEX revoked_tokens_expires_at ON revoked_tokens (expires_at);

CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY,
    alg TEXT NOT NULL,
    generation INTEGER NOT NULL,
    state TEXT NOT NULL,
    public_jwk TEXT NOT NULL,
    private_sealed BLOB,
    created_at INTEGER NOT NULL,
    activates_at INTEGER NOT NULL,
    active_at INTEGER,
    retired_at INTEGER,
    archived_at INTEGER,
    UNIQUE (alg, generation)
);

-- facts never name a person; personal does, and is erased with the person while its digest stays in the chain.
CREATE TABLE audit_events (
    id TEXT PRIMARY KEY,
    occurred_at INTEGER NOT NULL,
    type TEXT NOT NULL,
    organization_id TEXT,
    actor_id TEXT,
    user_id TEXT,
    client_id TEXT,
    request_id TEXT NOT NULL DEFAULT '',
    facts TEXT NOT NULL DEFAULT '{}',
    personal TEXT,
    personal_salt BLOB,
    personal_digest BLOB,
    sequence INTEGER,
    previous BLOB,
    digest BLOB,
    seal BLOB,
    seal_key_id TEXT
);
CREATE INDEX audit_events_unsealed ON audit_events (id) WHERE sequence IS NULL;
CREATE UNIQUE INDEX audit_events_sequence ON audit_events (organization_id, sequence);
CREATE INDEX audit_events_user_id ON audit_events (user_id);

CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    dedupe TEXT UNIQUE,
    payload TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    available_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    lease TEXT NOT NULL DEFAULT '',
    done_at INTEGER,
    last_error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX outbox_available_at ON outbox (available_at) WHERE done_at IS NULL;

-- +goose Down
DROP TABLE outbox;
DROP TABLE audit_events;
DROP TABLE signing_keys;
DROP TABLE revoked_tokens;
DROP TABLE replay_ids;
DROP TABLE pushed_requests;
DROP TABLE refresh_tokens;
DROP TABLE access_tokens;
DROP TABLE codes;
DROP TABLE grants;
DROP TABLE consents;
DROP TABLE flows;
DROP TABLE sessions;
DROP TABLE resource_servers;
DROP TABLE resource_scopes;
DROP TABLE resources;
DROP TABLE client_secrets;
DROP TABLE clients;
DROP TABLE memberships;
DROP TABLE organizations;
DROP TABLE passwords;
DROP TABLE users;
DROP TABLE counters;
DROP TABLE leases;
DROP TABLE versions;
