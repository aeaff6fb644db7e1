// Package secret holds every piece of cryptography that is not a signature: random tokens and the hash they are
// stored as, keyed hashes for looking things up and for tamper-proof values, sealed columns, and password hashes.
//
// Which one to use:
//
//   - A value we made from 256 random bits (code, token, link, cookie): [NewToken], stored as [Hash]. A plain SHA-256
//     is enough, because nobody can guess 256 bits.
//   - A value that must be recognised as ours, or looked up although somebody else may have chosen it (CSRF field,
//     cursor, client secret): [Keyring] and [Subkeys], an HMAC under a key that is not in the database.
//   - A value that must be read again (private key, upstream secret): [Sealer].
//   - A value a person remembers: [Passwords].
//
// Nothing here logs, and no error contains a secret, a key or a password.
package secret
