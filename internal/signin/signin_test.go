package signin_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp/totp"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/identity/assurance"
	"github.com/sallyport-id/sallyport/identity/factor"
	"github.com/sallyport-id/sallyport/internal/device"
	"github.com/sallyport-id/sallyport/internal/limit"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/internal/session"
	"github.com/sallyport-id/sallyport/internal/signin"
	"github.com/sallyport-id/sallyport/internal/tally"
	"github.com/sallyport-id/sallyport/storage"
)

const (
	issuer   = "https://id.example.com"
	password = "a quiet river bends north"
)

// site is an installation with one user, bob.
type site struct {
	*signin.Service
	t        *testing.T
	now      time.Time
	store    *storage.Store
	sessions *session.Manager
	identity *identity.Domain
	factors  *factor.Factors
	bob      *storage.User
}

func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, now: time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)}
	clock, log := func() time.Time { return s.now }, slog.New(slog.NewTextHandler(io.Discard, nil))
	database := "sqlite://" + filepath.Join(t.TempDir(), "test.db")
	s.store = must(storage.Open(t.Context(), storage.Config{URL: database, Now: clock}))
	t.Cleanup(func() { s.store.Close() })
	if err := s.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := must(secret.NewKeyring([][]byte{secret.Random(32)}))
	sealer := must(secret.NewSealer([][]byte{secret.Random(32)}))
	devices, letters := device.New(keys, true, clock), mail.NewWriter(sealer, issuer)
	s.sessions = must(session.New(session.Config{Store: s.store, Keys: keys, Secure: true, Lifetime: 24 * time.Hour,
		Idle: 2 * time.Hour, Protection: session.Strong, Devices: devices, Sealer: sealer, Now: clock,
		Address:   func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.1") },
		RequestID: func(context.Context) string { return "req" }}))
	limits := must(limit.New(limit.Config{Store: s.store, Keys: keys, Devices: devices,
		Tally: tally.New(s.store, clock), Logger: log, Now: clock}))
	passwords := must(secret.NewPasswords(secret.PasswordConfig{BcryptCost: 4,
		Argon2: secret.Argon2Params{MemoryKiB: 64, Time: 1, Threads: 1}}))
	s.identity = identity.New(identity.Config{Store: s.store, Issuer: issuer, Now: clock,
		Passwords: identity.PasswordConfig{Hasher: passwords}, Mail: identity.MailConfig{Writer: letters, Sealer: sealer}})
	s.factors = must(factor.New(factor.Config{Store: s.store, Sealer: sealer, Keys: keys, Mail: letters,
		Identity: s.identity, Issuer: issuer, Now: clock}))
	s.Service = must(signin.New(signin.Config{Store: s.store, Registry: storage.NewRegistry(s.store),
		Sessions: s.sessions, Limits: limits, Identity: s.identity, Factors: s.factors,
		Annotate: func(context.Context, ...any) {}, Now: clock}))
	s.bob = must(s.identity.People.Create(t.Context(), identity.Operator(),
		identity.NewUser{Email: "bob@example.com", Password: password}))
	return s
}

// from is a browser with that session token ("" for none), on Linux.
func from(token string) session.Source {
	source := session.Source{Address: netip.MustParseAddr("192.0.2.1"), Browser: "Firefox on Linux",
		Network4: "192.0.2.0/24", RequestID: "req"}
	if token != "" {
		source.Token = secret.HashOf(token)
	}
	return source
}

// current is the session of that token; nil if it has none.
func (s *site) current(token string) *session.Current {
	s.t.Helper()
	v, err := s.store.SessionContext(s.t.Context(), storage.SessionQuery{Browser: secret.HashOf(token)})
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	} else if err != nil {
		s.t.Fatal(err)
	}
	return &session.Current{SessionContext: v, Status: session.Valid}
}

// password signs bob in.
func (s *site) password() *signin.Result {
	s.t.Helper()
	out, err := s.Password(s.t.Context(), from(""), "bob@example.com", password)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// enrolApp gives bob an authenticator app in the session of the token; it returns the recovery codes.
func (s *site) enrolApp(token string) *signin.Result {
	s.t.Helper()
	here := s.current(token)
	offer, err := s.factors.BeginTOTP(s.t.Context(), s.Subject(from(token), here, nil), "")
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := s.Enrol(s.t.Context(), from(token),
		signin.Enrolment{Session: here, Kind: storage.FactorTOTP, Answer: codeOf(s.t, offer.Secret, s.now)})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// prove shows a second factor in the session of the token.
func (s *site) prove(token, kind, answer string) (*signin.Result, error) {
	s.t.Helper()
	here := s.current(token)
	required, err := s.Required(s.t.Context(), here)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.Prove(s.t.Context(), from(token), required, signin.Proof{Session: here, Kind: kind, Answer: answer})
}

// Whatever is wrong has one answer, and ten wrong passwords are enough: not even the right one is
// compared after that.
func TestGuessesAtAPasswordAreCountedBeforeTheyAreCompared(t *testing.T) {
	s := newSite(t)
	for n := range 10 {
		if _, err := s.Password(t.Context(), from(""), "Bob@Example.com", "wrong"); !errors.Is(err, identity.ErrCredentials) {
			t.Fatalf("guess %d: %v, want ErrCredentials", n+1, err)
		}
	}
	_, err := s.Password(t.Context(), from(""), "bob@example.com", password)
	if blocked, ok := errors.AsType[*limit.Blocked](err); !ok || blocked.RetryAfter != 10*time.Minute {
		t.Errorf("the eleventh: %v, want to wait ten minutes", err)
	}
	if _, err := s.Password(t.Context(), from(""), "nobody@example.com", password); !errors.Is(err, identity.ErrCredentials) {
		t.Errorf("an unknown address: %v, want ErrCredentials", err)
	}
}

// A change of the password is bounded like a sign-in, by the same budget; the right one starts over.
func TestGuessesAtAChangeOfPasswordCountAsSignIns(t *testing.T) {
	s := newSite(t)
	token := s.password().Token
	change := func(present string) (string, error) {
		return s.ChangePassword(t.Context(), from(token), s.current(token), present, "seven lanterns over the pier")
	}
	for range 9 {
		if _, err := change("wrong"); !errors.Is(err, identity.ErrWrongPassword) {
			t.Fatalf("a wrong password: %v", err)
		}
	}
	if mark, err := change(password); err != nil || mark == "" {
		t.Fatalf("the right one: device cookie %q, %v", mark, err)
	}
	for range 10 {
		if _, err := s.Password(t.Context(), from(""), "bob@example.com", "wrong"); !errors.Is(err, identity.ErrCredentials) {
			t.Fatalf("the failures before still count: %v", err)
		}
	}
	if _, err := change("wrong"); !isBlocked(err) {
		t.Errorf("guesses at a change and at a sign-in are counted apart: %v", err)
	}
}

func isBlocked(err error) bool {
	_, ok := errors.AsType[*limit.Blocked](err)
	return ok
}

// A password alone makes a session without rights, for somebody who has a second factor.
func TestTheStatesOfASession(t *testing.T) {
	s := newSite(t)
	first := s.password()
	if first.NeedsSecondFactor || signin.NeedsSecondFactor(s.current(first.Token).SessionContext) {
		t.Fatal("a user without a second factor is asked for one")
	}
	enrolled := s.enrolApp(first.Token)
	if len(enrolled.RecoveryCodes) != 3 || enrolled.Factor.Kind != storage.FactorTOTP || enrolled.Device == "" {
		t.Errorf("set up: %+v", enrolled)
	}
	if s.current(first.Token) != nil || s.current(enrolled.Token).Session.ACR != assurance.ACRMFA {
		t.Error("the session is not stepped up under a new token")
	}
	s.now = s.now.Add(time.Minute)
	again := s.password()
	required, err := s.Required(t.Context(), s.current(again.Token))
	if err != nil || !again.NeedsSecondFactor || !required.Any() || required.SignIn ||
		strings.Join(required.Verify, " ") != "totp recovery" {
		t.Fatalf("after the password: %+v, %+v, %v", again, required, err)
	}
	if _, err := s.prove(again.Token, storage.FactorWebAuthn, "{}"); !errors.Is(err, factor.ErrNotAllowed) {
		t.Errorf("a kind that is not asked for: %v, want ErrNotAllowed", err)
	}
	in, err := s.prove(again.Token, assurance.FactorRecovery, enrolled.RecoveryCodes[0])
	if err != nil || !in.Recovered || in.CodesLeft != 2 || in.RecoveryCodes != nil {
		t.Fatalf("a recovery code: %+v, %v", in, err)
	}
	if required, err = s.Required(t.Context(), s.current(in.Token)); err != nil || required.Any() {
		t.Errorf("after the code: %+v, %v", required, err)
	}
	// A session that was read before its token changed cannot be stepped up.
	stale := s.current(in.Token)
	if _, err := s.prove(in.Token, assurance.FactorRecovery, enrolled.RecoveryCodes[1]); err != nil {
		t.Fatal(err)
	}
	_, err = s.Prove(t.Context(), from(in.Token), required,
		signin.Proof{Session: stale, Kind: assurance.FactorRecovery, Answer: enrolled.RecoveryCodes[2]})
	if !errors.Is(err, signin.ErrSessionEnded) {
		t.Errorf("under the token before: %v, want ErrSessionEnded", err)
	}
}

// Five wrong codes end a session that still needs its second factor, so that guessing takes the
// password each time. A session that has proven more keeps that: guessing must not sign its user out.
func TestFiveWrongCodes(t *testing.T) {
	s := newSite(t)
	enrolled := s.enrolApp(s.password().Token)
	s.now = s.now.Add(time.Minute)
	guess := func(token string) {
		t.Helper()
		for n := 1; n <= 5; n++ {
			want := factor.ErrVerification
			if n == 5 {
				want = signin.ErrTooManyCodes
			}
			if _, err := s.prove(token, storage.FactorTOTP, "000000"); !errors.Is(err, want) {
				t.Fatalf("wrong code %d: %v, want %v", n, err, want)
			}
		}
	}
	pending := s.password().Token
	guess(pending)
	if s.current(pending) != nil {
		t.Error("the session that needs its second factor goes on")
	}
	if reason, err := s.store.SessionEnd(t.Context(), secret.HashOf(pending)); err != nil || reason != "wrong_codes" {
		t.Errorf("it ended because of %q, %v", reason, err)
	}
	guess(enrolled.Token)
	if s.current(enrolled.Token) == nil {
		t.Error("a session that has proven its second factor ended")
	}
	if _, err := s.prove(enrolled.Token, assurance.FactorRecovery, enrolled.RecoveryCodes[0]); !errors.Is(err, signin.ErrTooManyCodes) {
		t.Errorf("a sixth code, the right one: %v, want ErrTooManyCodes", err)
	}
}

// Requirements of a flow are asked in one order.
func TestWhatAFlowRequires(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	flow := &storage.Flow{SignInAfter: now}
	visit := func(authTime time.Time, factors ...string) *storage.SessionContext {
		return &storage.SessionContext{User: storage.User{ID: uuid.New(), Factors: factors},
			Session: storage.Session{AuthTime: authTime, ACR: assurance.ACRPassword, AMR: []string{assurance.AMRPassword}}}
	}
	for name, tc := range map[string]struct {
		j                           storage.FlowState
		signIn, prove, organization bool
	}{
		"nobody":          {storage.FlowState{Flow: flow, NeedsOrganization: true}, true, false, false},
		"not recent":      {storage.FlowState{Flow: flow, Session: visit(now.Add(-time.Second), "totp")}, true, false, false},
		"a password":      {storage.FlowState{Flow: flow, Session: visit(now)}, false, false, false},
		"a second factor": {storage.FlowState{Flow: flow, Session: visit(now, "totp")}, false, true, false},
		"a stronger acr":  {storage.FlowState{Flow: flow, Session: visit(now), ACR: []string{assurance.ACRMFA}}, false, false, false},
		"an organization": {storage.FlowState{Flow: flow, Session: visit(now), NeedsOrganization: true}, false, false, true},
		"one that is known": {storage.FlowState{Flow: flow, Session: visit(now), NeedsOrganization: true,
			Organization: &storage.Organization{}}, false, false, false},
	} {
		got := signin.RequiredFor(&tc.j)
		if got.SignIn != tc.signIn || len(got.Verify) > 0 != tc.prove || got.Organization != tc.organization {
			t.Errorf("%s: got %+v", name, got)
		}
		if got.Any() != (tc.signIn || tc.prove || tc.organization) {
			t.Errorf("%s: anything required is %v", name, got.Any())
		}
	}
}

// codeOf is what an authenticator app with that key shows.
func codeOf(t *testing.T, key string, at time.Time) string {
	t.Helper()
	code, err := totp.GenerateCode(key, at)
	if err != nil {
		t.Fatal(err)
	}
	return code
}
