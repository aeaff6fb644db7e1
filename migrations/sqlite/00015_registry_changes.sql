-- +goose Up

-- What each version of the registry changed, so that the other nodes forget that and nothing else. A version without a row
-- was made by a release that knows no such rows: then they forget everything.
CREATE TABLE registry_changes (
    version INTEGER NOT NULL, -- of versions, registry
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (version, kind, id)
);
CREATE INDEX registry_changes_changed_at ON registry_changes (changed_at);

-- +goose Down
DROP TABLE registry_changes;
