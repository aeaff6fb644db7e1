-- +goose Up

-- running: attempts that are being checked. They count as failures until they succeed.
ALTER TABLE counters ADD COLUMN running bigint NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE counters DROP COLUMN running;
