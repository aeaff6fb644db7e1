-- +goose Up

-- require_pkce of a registration may be "auto" besides true and false. Existing registrations keep what they have.
-- unprotected_requests are those that got a code with neither PKCE nor nonce, the last one at unprotected_at.
ALTER TABLE clients ADD COLUMN unprotected_requests bigint NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN unprotected_at bigint;

-- +goose Down
ALTER TABLE clients DROP COLUMN unprotected_at;
ALTER TABLE clients DROP COLUMN unprotected_requests;
-- The version before knows only true and false; true is the stricter.
UPDATE clients SET metadata = replace(metadata, '"require_pkce":"auto"', '"require_pkce":true');
