// Package keys holds the keys that tokens are signed with: one pair for each of
// RS256 (RSA-2048), ES256 (P-256) and EdDSA (Ed25519), RFC 7518 and RFC 8037.
//
// # Life of a key
//
//	pending   published, does not sign, until every cache of the published set can have seen it
//	active    published, signs; one for each algorithm
//	retired   published, signs no more; its private half is erased
//	archived  not published, still accepted by Verify for a year (id_token_hint, logout)
//
// and then it is deleted. Every step is one guarded statement in the database
// together with its event, so several nodes may try it and one succeeds; no node
// leads. A node that finds itself late reads what the others did. The durations
// are in docs/decisions/0002-signing-keys.md.
//
// # In memory
//
// A Keyset is one immutable snapshot behind an atomic pointer: parsed keys,
// encoded token headers, the published set as ready bytes. Signing and verifying
// ask no database and take no lock. Maintain, a job of every node, reads a version row twice a second.
//
// # At rest
//
// Private halves are sealed with the ENCRYPTION_KEY and bound to their key id,
// algorithm and use. A node that cannot open them refuses to start: it never
// makes new keys in place of old ones it cannot read.
package keys
