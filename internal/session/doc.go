// Package session keeps who is signed in in a browser, and what a browser carries between requests.
//
// # The cookie
//
// A browser has one cookie, __Host-sp_browser (sp_browser on plain http in
// development): a token of 256 random bits, Lax, HttpOnly, for this host only.
// Before a sign-in it is anonymous: it has no row, but flows are bound to its
// hash and form tokens are made from it. A sign-in always gives a new token,
// under which unfinished flows follow, so a token that an attacker planted before
// is worth nothing after (session fixation).
//
//	provider   Lookup (one statement), and Touch or TouchIfDue
//	pages      Current; Ensure, CSRFToken → VerifyCSRF → Source, Start, SetCookies; SignOut
//	JSON API   the same, or CurrentByToken and a bearer token of its own (token.go)
//
// # States
//
//	none ──Ensure──▶ anonymous ──Start──▶ signed in ──Start, same person──▶ signed in, same sid, new token
//	                     ▲                   │    └──Start, another person──▶ a new session; the old one ends
//	                     └──── SignOut, Check, run out, ended elsewhere ─────┘
//
// # Where a session is kept
//
// Its durable half is a row of storage.Session: person, proofs, end. Every query
// that reads the person joins it, and it alone says that a session has ended.
//
// Its volatile half is the last request and the idle end (idle.go). With Redis,
// each request writes it there, exactly, and the row only every rowInterval. The
// row's idle end lies that much later, so it never comes before the exact one:
//
//	last row write          + SESSION_IDLE          + rowInterval
//	     │── the row proves it live ──│── Redis decides ──│── over, whatever Redis says
//
// Redis is read in the middle part alone. An entry that is missing there means
// that Redis lost it, because entries are kept for longer: the row counts, and
// the session lives rowInterval longer at most. An idle end that a request meets
// is written to the row, so that it stays when Redis is lost. While Redis cannot
// be written, and without Redis, the row is written every touchInterval; a row
// written so is told by its idle end, and no older entry counts against it.
//
//	exact ──Redis fails──▶ by the row ──Redis works──▶ exact
//
// # What a browser carries between requests
//
// States (state.go) is the gorilla store for what lies between two requests outside a
// flow: one-time notices, the test of a client, sign-ins at other providers. It sends no
// second cookie.
//
//	New ──none──▶ Values, Save ──▶ kept, sealed, for minutes ──New──▶ Values ──Save, MaxAge -1──▶ gone
//
//	NAME        under the hash of the browser's token; moves to its next token at a sign-in
//	NAME.STATE  under the hash of STATE, which an answer brings back, with a cookie or without
//
// It is kept in Redis through redisstore, and without Redis or while it fails in a table
// (keeper.go, storage.BrowserState).
package session
