// Package factor is the second step of a sign-in: authenticator apps (TOTP),
// WebAuthn authenticators, of which passkeys can be the first step too, and
// recovery codes. Pages and the JSON API go through the same methods; nothing here
// knows HTTP.
//
// # Enrolling
//
//	BeginTOTP ──▶ a seed that waits (row, sealed) ──code──▶ ConfirmTOTP ──▶ counts
//	BeginWebAuthn ──▶ a challenge (no row) ──answer──▶ ConfirmWebAuthn ──▶ counts
//
// A factor counts from the moment that its holder has shown it, never before. The
// same transaction (storage.Factors.Confirm) ends the person's other sessions, gives
// out recovery codes with the first factor, writes the event and mails a notice.
// Enrolling shows the factor, so the caller steps the session up to the Strength.
//
// # Showing
//
//	VerifyTOTP, VerifyWebAuthn, VerifyRecoveryCode   for a person who has shown a password
//	VerifyPasskey                                    for whoever holds it: it says who they are
//	        └──▶ Verified.Use ──▶ session.SignIn ──▶ storage.SignIn spends it
//
// Verifying changes nothing. What was verified is spent in the transaction of the
// sign-in that it serves, where exactly one of several at once succeeds: the TOTP
// step and the signature counter only grow, a recovery code and a challenge are
// spent once. A door that gets storage.ErrSpent from a sign-in answers as to ErrVerification.
//
// # Challenges
//
// A challenge is not stored. It holds when it ends and a MAC over that, its
// purpose, the browser's token and the person (challenge.go); when it is answered,
// its hash goes to replay_ids until then. So asking for one costs no write, depends
// on nobody's address, and an answer counts in one browser, for one purpose, once.
//
// Counting wrong codes is the caller's: see internal/limit.
package factor
