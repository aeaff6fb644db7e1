-- +goose Up

-- A sign-in counts the person's live sessions, which must not cost more with those that have ended.
DROP INDEX sessions_user_id;
CREATE INDEX sessions_user_id ON sessions (user_id, ended_at, expires_at);

-- +goose Down
DROP INDEX sessions_user_id;
CREATE INDEX sessions_user_id ON sessions (user_id);
