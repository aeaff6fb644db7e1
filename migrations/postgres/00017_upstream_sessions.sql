-- +goose Up

-- The sessions that came through a connection, so that a sign-out at the provider ends them. sid is the provider's own
-- session; empty if it told none.
CREATE TABLE upstream_sessions (
    session_id uuid PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    connection_id uuid NOT NULL REFERENCES connections (id),
    subject text NOT NULL,
    sid text NOT NULL
);
CREATE INDEX upstream_sessions_subject ON upstream_sessions (connection_id, subject);
CREATE INDEX upstream_sessions_sid ON upstream_sessions (connection_id, sid);

-- +goose Down
DROP TABLE upstream_sessions;
