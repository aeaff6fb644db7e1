// Package factor is the second factors of a sign-in: authenticator apps (TOTP), WebAuthn authenticators, of which
// passkeys can be the first factor too, and recovery codes. Pages and the JSON API use the same methods; nothing here
// knows HTTP.
//
// # Enrolling
//
//	BeginTOTP ──▶ an unconfirmed row with the encrypted seed ──code──▶ ConfirmTOTP ──▶ confirmed
//	BeginWebAuthn ──▶ a challenge (no row) ──answer──▶ ConfirmWebAuthn ──▶ confirmed
//
// A factor counts once its user has shown it. The same transaction (storage.Factors.Confirm) ends the user's other
// sessions, stores recovery codes with the first factor, writes the event and mails a notice. The user has just shown the
// factor, so the caller raises the session to its Strength.
//
// # Verifying
//
//	VerifyTOTP, VerifyWebAuthn, VerifyRecoveryCode   for a user whose password was verified
//	VerifyPasskey                                    for any passkey: it returns its user
//	        └──▶ Verified.Use ──▶ session.SignIn ──▶ storage.SignIn spends it
//
// Verifying changes nothing. The transaction of the sign-in spends what was verified, and of several at once exactly one
// succeeds: the TOTP step and the signature counter only grow, a recovery code and a challenge are spent once. A caller
// that gets storage.ErrSpent from a sign-in handles it like ErrVerification.
//
// # Challenges
//
// A challenge is not stored. It contains its end and a MAC over that end, its purpose, the browser's token and the user
// (challenge.go). When it is answered, its hash is kept in replay_ids until the end. So asking for a challenge writes
// nothing and reveals nothing about an address, and an answer is valid in one browser, for one purpose, once.
//
// The caller limits wrong codes: see internal/limit.
package factor
