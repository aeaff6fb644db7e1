-- +goose Up

-- The browser origins of enabled clients, for preflights. They follow from clients.metadata: the transaction that changes
-- a client changes them, and every server that starts corrects what a node of the release before has changed.
CREATE TABLE client_origins (
    client_id text NOT NULL REFERENCES clients (id),
    origin text NOT NULL,
    PRIMARY KEY (client_id, origin)
);
CREATE INDEX client_origins_origin ON client_origins (origin);

-- For notices of deadlines: people in the order in which they came, and the organizations that have rules.
CREATE INDEX users_created_at ON users (created_at, id);
CREATE INDEX organizations_with_settings ON organizations (id) WHERE settings <> '{}' AND deleted_at IS NULL;

-- +goose Down
DROP INDEX organizations_with_settings;
DROP INDEX users_created_at;
DROP TABLE client_origins;
