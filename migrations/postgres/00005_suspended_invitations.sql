-- +goose Up

-- suspended_at: since when the inviter may not make the invitation any more. An owner confirms or withdraws it.
ALTER TABLE invitations ADD COLUMN suspended_at bigint;

-- +goose Down
ALTER TABLE invitations DROP COLUMN suspended_at;
