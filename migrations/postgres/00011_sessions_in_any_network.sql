-- +goose Up

-- The browser that a session is in, known by its device cookie, and whether the session is good in any network: where a
-- change of network has ended the two sessions before.
ALTER TABLE sessions ADD COLUMN device_hash bytea;
ALTER TABLE sessions ADD COLUMN any_network boolean NOT NULL DEFAULT false;
CREATE INDEX sessions_device_hash ON sessions (user_id, device_hash, created_at);

-- +goose Down
DROP INDEX sessions_device_hash;
ALTER TABLE sessions DROP COLUMN any_network;
ALTER TABLE sessions DROP COLUMN device_hash;
