package upstream

import "fmt"

// Fault is why a provider does not sign a person in. It holds no text of the provider beyond an error code, since such
// text can repeat secrets, and never a token.
type Fault struct {
	// Code is one of those below.
	Code string
	// Problem says what is wrong, and Remedy what whoever runs this server does about it.
	Problem, Remedy string
	// Err is the cause; nil if Problem says it all.
	Err error
}

// Error returns code, problem, remedy and cause, for the log.
func (f *Fault) Error() string {
	s := f.Code + ": " + f.Problem
	if f.Err != nil {
		s += ": " + f.Err.Error()
	}
	if f.Remedy != "" {
		s += "; " + f.Remedy
	}
	return s
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Temporary reports whether the provider cannot be asked at the moment, through no fault of its answer.
func (f *Fault) Temporary() bool {
	switch f.Code {
	case Unreachable, Busy:
		return true
	}
	return false
}

// The codes of faults.
const (
	Unreachable   = "unreachable"    // the provider does not answer, or not in time, or with an error
	Busy          = "busy"           // too many sign-ins wait for this provider
	BadMetadata   = "bad_metadata"   // the discovery document is missing something or is no such document
	WrongIssuer   = "wrong_issuer"   // the discovery document is of another issuer
	BadSettings   = "bad_settings"   // the connection cannot be used as it is configured
	Denied        = "denied"         // the person, or the provider for them, said no
	AnswerIssuer  = "answer_issuer"  // the answer came from another issuer (RFC 9207)
	AnswerRefused = "answer_refused" // the provider answered with an error
	ClientRefused = "client_refused" // the provider does not accept the client's id and secret
	CodeRefused   = "code_refused"   // the provider does not accept the code
	BadAnswer     = "bad_answer"     // the answer of the token endpoint or the API cannot be read
	TokenMissing  = "token_missing"  // there is no ID token
	TokenInvalid  = "token_signature"
	TokenIssuer   = "token_issuer"
	TokenAudience = "token_audience"
	TokenParty    = "token_party" // azp
	TokenExpired  = "token_expired"
	TokenEarly    = "token_early" // nbf or iat lies ahead
	TokenNonce    = "token_nonce"
	TokenSubject  = "token_subject"
	TokenAge      = "token_age" // auth_time is older than what was asked for
	TokenHash     = "token_hash"
	UserinfoWrong = "userinfo_subject"
	LogoutInvalid = "logout_token"
)

// The codes of faults of SAML.
const (
	WeakKey            = "weak_key"           // a certificate of the metadata has a key that can be broken
	ResponseForm       = "response_form"      // the response is too large, not XML, or could wrap an assertion in another
	ResponseSignature  = "response_signature" // no confirmed certificate has signed what is read
	ResponseAlgorithm  = "response_algorithm" // SHA-1, or a transform that could change what is signed
	ResponseEncryption = "response_encryption"
	ResponseRequest    = "response_request" // InResponseTo
	AssertionMissing   = "assertion_missing"
	AssertionIssuer    = "assertion_issuer"
	AssertionAudience  = "assertion_audience"
	AssertionRecipient = "assertion_recipient" // Recipient or Destination
	AssertionExpired   = "assertion_expired"
	AssertionEarly     = "assertion_early"
	AssertionAge       = "assertion_age" // AuthnInstant is older than what was asked for
	AssertionSubject   = "assertion_subject"
	AssertionReplayed  = "assertion_replayed"
)

func fault(code string, err error, problem, remedy string, args ...any) *Fault {
	return &Fault{Code: code, Problem: fmt.Sprintf(problem, args...), Remedy: remedy, Err: err}
}

// retryRemedy is for what passes by itself or is the network's.
const retryRemedy = "see whether this server can reach it, and OUTBOUND_ALLOW if it is not at a public address"
