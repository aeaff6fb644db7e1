-- +goose Up

-- What clients were refused, for their developers; not part of the audit log. A minute of a client has lines 1 to 60;
-- line 61 counts those beyond, and n is 0 while there are none.
CREATE TABLE refusals (
    client_id text NOT NULL REFERENCES clients (id),
    minute bigint NOT NULL, -- since the epoch
    line integer NOT NULL,
    occurred_at bigint NOT NULL,
    endpoint text NOT NULL DEFAULT '',
    error text NOT NULL DEFAULT '',
    cause text NOT NULL DEFAULT '',
    request_id text NOT NULL DEFAULT '',
    parameters text NOT NULL DEFAULT '', -- names
    redirect_uri text NOT NULL DEFAULT '',
    scope text NOT NULL DEFAULT '',
    n bigint NOT NULL,
    PRIMARY KEY (client_id, minute, line)
);
CREATE INDEX refusals_occurred_at ON refusals (occurred_at);

-- +goose Down
DROP TABLE refusals;
