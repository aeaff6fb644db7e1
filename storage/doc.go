// Package storage keeps everything Sallyport remembers: one Store over two
// engines, an embedded SQLite file or PostgreSQL, with the same behaviour.
//
// The vocabulary of the whole program lives here (User, Organization, Client,
// Flow, Grant, …): one noun a file, the struct first, then its SQL.
//
// # How it works
//
//	a method of Store ── s.row, s.rows, s.exec ──▶ one prepared statement, by itself
//	                  └─ s.inTx ──▶ t.row, t.rows, t.exec: a transaction, run again if it lost to another
//
// Store.Keys, Store.Logos, Store.Outbox and Store.Factors hold the methods of one noun each; all others are methods of
// Store itself.
//
// The db tags of a struct are its columns: layoutOf makes the SELECT list and the scan targets from them, one and list
// read rows, and target says how a column becomes a Go value. execOr is a guarded statement: the error it names tells
// that the guard did not hold; doWith writes the event of what it changed, and require checks a condition. A method that
// only changes something is one call of change, which names the operation in errors.
//
//	states       live ─▶ spent (codes, refresh tokens, flows, links), ended (sessions), revoked (grants, tokens,
//	             invitations), withdrawn (consents), tombstone (people, organizations, clients) ─▶ swept
//	endings      endSessions and revokeGrants are the only statements of their kind, in transactions and in CTEs
//	events       t.event checks that the actor may (still) do it and writes; insertEventFrom writes inside a CTE
//	Registry     a process's copy of clients, resources and settings; registry_changes says what it must forget
//
// # Rules
//
//   - Times go in and come out as time.Time in UTC with whole microseconds; the
//     caller's clock is a parameter, never SQL now(). Columns hold microseconds
//     since the epoch; NULL is the zero time.
//   - Codes, tokens and session tokens are stored as secret.Hash, never in clear.
//   - Single use is one guarded statement and its count: ErrSpent tells the loser.
//     Rows that were used stay until they expire, so that a replay is recognised.
//   - A change and its Event are written by the same statement or transaction.
//   - On PostgreSQL a method of the hot paths (the code and token endpoints, the
//     sign-in) is one round trip, where need be a data-modifying CTE; on SQLite
//     it is a transaction on the one writer connection. dialect.go holds every
//     other difference.
//   - What was used or has expired is not deleted on a request's path: Sweep removes
//     it in batches. What a person takes away on purpose (a place in an organization,
//     a second factor, a person's password) goes in the transaction that tells of it.
//
// # Errors
//
// ErrNotFound, ErrExists, ErrSpent, ErrConflict and ErrUnavailable, and those that a method names, wrapped with
// the operation; anything else is a fault of the program or the database.
package storage
