// Package signin is the sign-in sequence: from a password, a passkey, a second factor or a new
// account to a session. Values come in and values go out: nothing here sees a request or writes a
// response, so pages, API and set-up share one implementation and only draw what it returns.
//
// # Data flow
//
//	caller      reads the request:  session.Manager.Source, session.Manager.Current
//	signin      counts the attempt  internal/limit: Begin, Reserve … Failed, Succeeded
//	            compares            identity.CheckCredentials, identity/factor
//	            makes the session   session.Manager.Start, with the notice of a new device
//	            → Result or one of the errors below
//	caller      answers:            session.Manager.SetCookies, then a redirect, a page or JSON
//
// # States of a session
//
//	none ──Password──▶ needs its second factor ──Prove──▶ signed in ──Prove, Enrol──▶ a stronger context
//	     ├─ Password of a user without a second factor ──────▲
//	     ├─ Passkey, NewSession, Register ───────────────────┤
//	     └─ Upstream of a user without a second factor ──────┘
//	needs its second factor ──fifth wrong code──▶ none
//
// Each arrow gives the session another token. Required and RequiredFor tell what a session still
// needs; nothing else decides that.
//
// # Errors
//
//	identity.ErrCredentials  address and password do not belong together, for whatever reason
//	ErrPasskey               the passkey does not sign its user in; the cause is wrapped
//	factor.ErrVerification          the code or the answer is not right, or was used before
//	ErrTooManyCodes          five wrong codes: another first factor is needed
//	ErrSessionEnded          the session ended, or was renewed in another tab
//	*limit.Blocked           guessing has used the budget up; again after RetryAfter
//
// Others are faults of the input (identity.FieldErrors, factor.ErrNotAllowed, …) or of this server.
//
// # Who may call whom
//
// Pages (consent/...), api and, with what internal/upstream returns, the callback of a connection call this package; it calls identity,
// identity/factor, internal/limit, internal/session and storage, and none of them calls back.
package signin
