-- +goose Up

-- Without conditions: while a table is new, PostgreSQL takes an index with one for the cheapest way to any row that
-- meets the condition, and a statement prepared then goes on reading that index from end to end as it grows. With the
-- person, so that a look for one person's grants or consents is as good by these indexes as by the person's.
DROP INDEX flows_browser_hash;
CREATE INDEX flows_browser_hash ON flows (browser_hash);
DROP INDEX flows_counted_for;
CREATE INDEX flows_counted_for ON flows (counted_for, expires_at);
DROP INDEX consents_client_id;
CREATE INDEX consents_client_id ON consents (client_id, user_id);
DROP INDEX grants_client_id;
CREATE INDEX grants_client_id ON grants (client_id, user_id);
DROP INDEX personal_access_tokens_organization_id;
CREATE INDEX personal_access_tokens_organization_id ON personal_access_tokens (organization_id);

-- In the order in which the people are gone through, batch by batch.
DROP INDEX users_unproven;
CREATE INDEX users_unproven ON users (created_at, id) WHERE email_verified_at IS NULL AND deleted_at IS NULL;
-- Room for last_used_at and revoked_at beside the row: no index has to change with them.
ALTER TABLE grants SET (fillfactor = 85);

-- +goose Down
ALTER TABLE grants RESET (fillfactor);
DROP INDEX users_unproven;
CREATE INDEX users_unproven ON users (created_at) WHERE email_verified_at IS NULL AND deleted_at IS NULL;
DROP INDEX personal_access_tokens_organization_id;
CREATE INDEX personal_access_tokens_organization_id ON personal_access_tokens (organization_id) WHERE revoked_at IS NULL;
DROP INDEX grants_client_id;
CREATE INDEX grants_client_id ON grants (client_id) WHERE revoked_at IS NULL;
DROP INDEX consents_client_id;
CREATE INDEX consents_client_id ON consents (client_id) WHERE withdrawn_at IS NULL;
DROP INDEX flows_browser_hash;
CREATE INDEX flows_browser_hash ON flows (browser_hash) WHERE spent_at IS NULL;
DROP INDEX flows_counted_for;
CREATE INDEX flows_counted_for ON flows (counted_for, expires_at) WHERE spent_at IS NULL;
