-- +goose Up

-- What a browser carries between requests where there is no Redis. The id is the hash of the browser's token, or of the
-- state that comes back with an answer; the data is sealed.
CREATE TABLE browser_states (
    id bytea NOT NULL,
    name text NOT NULL,
    data bytea NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (id, name)
);
CREATE INDEX browser_states_expiry ON browser_states (expires_at);

-- +goose Down
DROP TABLE browser_states;
