// Package migrations embeds the schema of both engines: one numbered SQL file a
// step, the same numbers in postgres/ and sqlite/, each with a way down.
//
// Times are microseconds since the Unix epoch (UTC) in integer columns, ids are
// UUIDs (text in SQLite), secrets are SHA-256 hashes in binary columns. A column
// means the same on both engines; a test compares the resulting schemas.
package migrations

import "embed"

// FS holds postgres/*.sql and sqlite/*.sql.
//
//go:embed postgres/*.sql sqlite/*.sql
var FS embed.FS
