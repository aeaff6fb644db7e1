-- +goose Up

-- One row a cached kind: bumped in the transaction of every change to it and polled by every process.
CREATE TABLE versions (
    name text PRIMARY KEY,
    n bigint NOT NULL
);
INSERT INTO versions (name, n) VALUES ('registry', 1), ('keys', 1);

CREATE TABLE leases (
    name text PRIMARY KEY,
    holder text NOT NULL,
    fence bigint NOT NULL,
    expires_at bigint NOT NULL
);

CREATE TABLE counters (
    hash bytea PRIMARY KEY,
    n bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX counters_expires_at ON counters (expires_at);

CREATE TABLE users (
    id uuid PRIMARY KEY,
    sub uuid NOT NULL UNIQUE,
    email text,
    email_key text UNIQUE,
    email_verified_at bigint,
    platform_roles text NOT NULL DEFAULT '',
    profile text NOT NULL DEFAULT '{}',
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    disabled_at bigint,
    deleted_at bigint
);

CREATE TABLE passwords (
    user_id uuid PRIMARY KEY REFERENCES users (id),
    hash text NOT NULL,
    changed_at bigint NOT NULL
);

CREATE TABLE organizations (
    id uuid PRIMARY KEY,
    slug text NOT NULL UNIQUE,
    name text NOT NULL,
    settings text NOT NULL DEFAULT '{}',
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint
);

CREATE TABLE memberships (
    organization_id uuid NOT NULL REFERENCES organizations (id),
    user_id uuid NOT NULL REFERENCES users (id),
    role text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX memberships_user_id ON memberships (user_id);

CREATE TABLE clients (
    id text PRIMARY KEY,
    organization_id uuid REFERENCES organizations (id),
    name text NOT NULL,
    metadata text NOT NULL,
    managed_by text NOT NULL DEFAULT '',
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    last_used_at bigint,
    disabled_at bigint,
    deleted_at bigint
);
CREATE INDEX clients_organization_id ON clients (organization_id);

CREATE TABLE client_secrets (
    id uuid PRIMARY KEY,
    client_id text NOT NULL REFERENCES clients (id),
    key_id text NOT NULL DEFAULT '',
    mac bytea,
    phc text NOT NULL DEFAULT '',
    weak boolean NOT NULL DEFAULT false,
    created_at bigint NOT NULL,
    expires_at bigint,
    last_used_at bigint
);
CREATE INDEX client_secrets_client_id ON client_secrets (client_id);

CREATE TABLE resources (
    identifier text PRIMARY KEY,
    name text NOT NULL,
    managed_by text NOT NULL DEFAULT '',
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE TABLE resource_scopes (
    resource text NOT NULL REFERENCES resources (identifier),
    name text NOT NULL,
    sentence text NOT NULL,
    PRIMARY KEY (resource, name)
);
CREATE TABLE resource_servers (
    resource text NOT NULL REFERENCES resources (identifier),
    client_id text NOT NULL REFERENCES clients (id),
    PRIMARY KEY (resource, client_id)
);

-- No foreign keys from here to revoked_tokens: a check locks the parent row, and people and clients are
-- never deleted but made tombstones, so there is nothing a key would protect on the busiest paths.
CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    token_hash bytea NOT NULL UNIQUE,
    user_id uuid NOT NULL,
    auth_time bigint NOT NULL,
    acr text NOT NULL,
    amr text NOT NULL,
    browser text NOT NULL,
    network4 text NOT NULL DEFAULT '',
    network6 text NOT NULL DEFAULT '',
    created_at bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    idle_expires_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    ended_at bigint,
    end_reason text NOT NULL DEFAULT ''
);
CREATE INDEX sessions_user_id ON sessions (user_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

CREATE TABLE flows (
    id_hash bytea PRIMARY KEY,
    client_id text NOT NULL,
    request text NOT NULL,
    pushed_hash bytea,
    browser_hash bytea,
    address text NOT NULL DEFAULT '',
    requested_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    user_id uuid,
    sign_in_after bigint,
    organization_id uuid,
    consent text NOT NULL DEFAULT '',
    spent_at bigint
);
CREATE INDEX flows_expires_at ON flows (expires_at);
CREATE INDEX flows_browser_hash ON flows (browser_hash) WHERE spent_at IS NULL;
CREATE INDEX flows_address ON flows (address, expires_at) WHERE spent_at IS NULL AND user_id IS NULL;

-- organization_id is the nil UUID for a consent that names no organization, so that the key holds.
CREATE TABLE consents (
    user_id uuid NOT NULL,
    client_id text NOT NULL,
    organization_id uuid NOT NULL,
    scopes text NOT NULL,
    granted_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    withdrawn_at bigint,
    PRIMARY KEY (user_id, client_id, organization_id)
);
CREATE INDEX consents_expires_at ON consents (expires_at);

CREATE TABLE grants (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    client_id text NOT NULL,
    organization_id uuid,
    session_id uuid,
    offline boolean NOT NULL,
    scopes text NOT NULL,
    audience text NOT NULL,
    auth_time bigint NOT NULL,
    acr text NOT NULL,
    amr text NOT NULL,
    claims text NOT NULL DEFAULT '',
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    last_used_at bigint,
    revoked_at bigint,
    revoke_reason text NOT NULL DEFAULT ''
);
CREATE INDEX grants_user_id_client_id ON grants (user_id, client_id);
CREATE INDEX grants_session_id ON grants (session_id);
CREATE INDEX grants_expires_at ON grants (expires_at);

CREATE TABLE codes (
    hash bytea PRIMARY KEY,
    grant_id uuid NOT NULL,
    client_id text NOT NULL,
    redirect_uri text NOT NULL,
    challenge text NOT NULL DEFAULT '',
    nonce text NOT NULL DEFAULT '',
    expires_at bigint NOT NULL,
    spent_at bigint
);
CREATE INDEX codes_expires_at ON codes (expires_at);

-- grant_id is NULL for a token of the client_credentials grant.
CREATE TABLE access_tokens (
    hash bytea PRIMARY KEY,
    grant_id uuid,
    client_id text NOT NULL,
    organization_id uuid,
    scopes text NOT NULL,
    audience text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    revoked_at bigint
);
CREATE INDEX access_tokens_expires_at ON access_tokens (expires_at);

CREATE TABLE refresh_tokens (
    hash bytea PRIMARY KEY,
    grant_id uuid NOT NULL,
    client_id text NOT NULL,
    salt bytea NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    spent_at bigint,
    successor_hash bytea
) WITH (fillfactor = 90);
CREATE INDEX refresh_tokens_expires_at ON refresh_tokens (expires_at);

CREATE TABLE pushed_requests (
    hash bytea PRIMARY KEY,
    client_id text NOT NULL,
    request text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    spent_at bigint
);
CREATE INDEX pushed_requests_expires_at ON pushed_requests (expires_at);

CREATE TABLE replay_ids (
    hash bytea PRIMARY KEY,
    expires_at bigint NOT NULL
);
CREATE INDEX replay_ids_expires_at ON replay_ids (expires_at);

-- JWT access tokens that were revoked before their time, by the hash of their jti.
CREATE TABLE revoked_tokens (
    hash bytea PRIMARY KEY,
    expires_at bigint NOT NULL
);
CREATE INDEX revoked_tokens_expires_at ON revoked_tokens (expires_at);

CREATE TABLE signing_keys (
    kid text PRIMARY KEY,
    alg text NOT NULL,
    generation bigint NOT NULL,
    state text NOT NULL,
    public_jwk text NOT NULL,
    private_sealed bytea,
    created_at bigint NOT NULL,
    activates_at bigint NOT NULL,
    active_at bigint,
    retired_at bigint,
    archived_at bigint,
    UNIQUE (alg, generation)
);

-- facts never name a person; personal does, and is erased with the person while its digest stays in the chain.
CREATE TABLE audit_events (
    id uuid PRIMARY KEY,
    occurred_at bigint NOT NULL,
    type text NOT NULL,
    organization_id uuid,
    actor_id uuid,
    user_id uuid,
    client_id text,
    request_id text NOT NULL DEFAULT '',
    facts text NOT NULL DEFAULT '{}',
    personal text,
    personal_salt bytea,
    personal_digest bytea,
    sequence bigint,
    previous bytea,
    digest bytea,
    seal bytea,
    seal_key_id text
);
CREATE INDEX audit_events_unsealed ON audit_events (id) WHERE sequence IS NULL;
CREATE UNIQUE INDEX audit_events_sequence ON audit_events (organization_id, sequence);
CREATE INDEX audit_events_user_id ON audit_events (user_id);

CREATE TABLE outbox (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    dedupe text UNIQUE,
    payload text NOT NULL,
    created_at bigint NOT NULL,
    available_at bigint NOT NULL,
    attempts bigint NOT NULL DEFAULT 0,
    lease text NOT NULL DEFAULT '',
    done_at bigint,
    last_error text NOT NULL DEFAULT ''
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
