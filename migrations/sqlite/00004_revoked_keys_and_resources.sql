-- +goose Up

-- A revoked signing key is archived too, so that a node of the release before neither publishes it nor signs with it.
ALTER TABLE signing_keys ADD COLUMN revoked_at INTEGER;

-- The one resource (RFC 8707) that the authorization request named; '' if it named none.
ALTER TABLE grants ADD COLUMN resource TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE grants DROP COLUMN resource;
ALTER TABLE signing_keys DROP COLUMN revoked_at;
