-- +goose Up

-- What clients were refused, for their developers; not part of the audit log. A minute of a client has lines 1 to 60;
-- line 61 counts those beyond, and n is 0 while there are none.
CREATE TABLE refusals (
    client_id TEXT NOT NULL REFERENCES clients (id),
    minute INTEGER NOT NULL, -- since the epoch
    line INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    endpoint TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    cause TEXT NOT NULL DEFAULT '',
    request_id TEXT NOT NULL DEFAULT '',
    parameters TEXT NOT NULL DEFAULT '', -- names
    redirect_uri TEXT NOT NULL DEFAULT '',
    scope TEXT NOT NULL DEFAULT '',
    n INTEGER NOT NULL,
    PRIMARY KEY (client_id, minute, line)
);
CREATE INDEX refusals_occurred_at ON refusals (occurred_at);

-- +goose Down
DROP TABLE refusals;
