-- +goose Up

-- counted_for is whom an unfinished flow is counted for: the network it came from, or the device or person that is
-- known. Nodes of the version before still write the address, which is not read any more.
ALTER TABLE flows ADD COLUMN counted_for BLOB;
-- opened_at is when a request for one of the flow's pages first came back with the cookie that the flow is bound to.
ALTER TABLE flows ADD COLUMN opened_at INTEGER;
ALTER TABLE flows ADD COLUMN redirect_uri TEXT NOT NULL DEFAULT '';
-- hint is what the id_token_hint said; the token itself is not stored.
ALTER TABLE flows ADD COLUMN hint TEXT NOT NULL DEFAULT '';
ALTER TABLE pushed_requests ADD COLUMN hint TEXT NOT NULL DEFAULT '';
DROP INDEX flows_address;
CREATE INDEX flows_counted_for ON flows (counted_for, expires_at) WHERE spent_at IS NULL;
-- What a sweep clears: rows that have expired and still hold a request.
CREATE INDEX flows_request ON flows (expires_at) WHERE request <> '';
CREATE INDEX pushed_requests_request ON pushed_requests (expires_at) WHERE request <> '';

-- Requests were stored with every parameter they came with. Finished rows are cleared; those under way keep what is
-- read, and those with an id_token_hint end, since the token is not read from here any more.
DELETE FROM flows WHERE spent_at IS NULL AND request LIKE '%"id_token_hint"%';
DELETE FROM pushed_requests WHERE spent_at IS NULL AND request LIKE '%"id_token_hint"%';
UPDATE flows SET request = '', pushed_hash = NULL, browser_hash = NULL, address = '', user_id = NULL, sign_in_after = NULL, organization_id = NULL, consent = ''
    WHERE spent_at IS NOT NULL;
UPDATE pushed_requests SET request = '' WHERE spent_at IS NOT NULL;
UPDATE flows SET request = (SELECT json_group_object(p.key, json(p.value)) FROM json_each(request) p WHERE p.key IN (
        'client_id', 'redirect_uri', 'response_type', 'response_mode', 'scope', 'state', 'nonce', 'code_challenge',
        'code_challenge_method', 'prompt', 'max_age', 'acr_values', 'claims', 'login_hint', 'organization', 'resource'))
    WHERE request <> '';
UPDATE pushed_requests SET request = (SELECT json_group_object(p.key, json(p.value)) FROM json_each(request) p WHERE p.key IN (
        'client_id', 'redirect_uri', 'response_type', 'response_mode', 'scope', 'state', 'nonce', 'code_challenge',
        'code_challenge_method', 'prompt', 'max_age', 'acr_values', 'claims', 'login_hint', 'organization', 'resource'))
    WHERE request <> '';

-- +goose Down
DROP INDEX pushed_requests_request;
DROP INDEX flows_request;
DROP INDEX flows_counted_for;
ALTER TABLE pushed_requests DROP COLUMN hint;
ALTER TABLE flows DROP COLUMN hint;
ALTER TABLE flows DROP COLUMN redirect_uri;
ALTER TABLE flows DROP COLUMN opened_at;
ALTER TABLE flows DROP COLUMN counted_for;
CREATE INDEX flows_address ON flows (address, expires_at) WHERE spent_at IS NULL AND user_id IS NULL;
