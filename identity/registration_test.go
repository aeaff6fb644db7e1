package identity

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/outbox"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// The browsers of the people in these tests.
var (
	victims   = secret.HashOf("the victim's browser")
	attackers = secret.HashOf("the attacker's browser")
)

func confirming(c *Config) { c.Accounts.ConfirmEmail = true }

// unproven is somebody who has registered where CONFIRM_EMAIL is off. The mail is taken away.
func (in *installation) unproven(t testing.TB, email string) *storage.User {
	t.Helper()
	u, _, err := in.Registrations.Register(t.Context(), Registration{Email: email, Name: "Mallory", Password: oldPassword, Browser: attackers})
	if err != nil {
		t.Fatal(err)
	}
	in.letters(t)
	return u
}

// token is what the link of a mail carries, which must be the only one to that address.
func token(t testing.TB, letters []letter, to, kind, path string) string {
	t.Helper()
	if len(letters) != 1 || letters[0].To != to || letters[0].Kind != kind {
		t.Fatalf("mails: got %+v, want one %s to %s", letters, kind, to)
	}
	token, ok := strings.CutPrefix(letters[0].Link, issuer+path+"?token=")
	if !ok {
		t.Fatalf("the link is %q, want it to %s%s (RS-01)", letters[0].Link, issuer, path)
	}
	return token
}

// session is a live session of a person.
func (in *installation) session(t testing.TB, u *storage.User) *storage.Session {
	t.Helper()
	_, hash, err := in.store.UserWithPassword(t.Context(), u.EmailKey)
	if err != nil {
		t.Fatal(err)
	}
	s := storage.Session{ID: uuid.Must(uuid.NewV7()), TokenHash: secret.HashOf(secret.NewToken("")), UserID: u.ID, AuthTime: in.now, Browser: "Firefox on Linux",
		Network4: "192.0.2.0/24", CreatedAt: in.now, LastSeenAt: in.now, IdleExpiresAt: in.now.Add(240 * time.Hour), ExpiresAt: in.now.Add(240 * time.Hour)}
	if _, err := in.store.SignIn(t.Context(), &storage.SignIn{Session: s, PasswordHash: hash}); err != nil {
		t.Fatal(err)
	}
	return &s
}

func (in *installation) lives(t testing.TB, s *storage.Session) bool {
	t.Helper()
	_, err := in.store.SessionContext(t.Context(), storage.SessionQuery{Browser: s.TokenHash})
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// grant is a live grant for offline use to a new client.
func (in *installation) grant(t testing.TB, u *storage.User, s *storage.Session) *storage.Grant {
	t.Helper()
	clientID := "app-" + uuid.NewString()
	err := in.store.EditRegistry(t.Context(), 0, func(r *storage.RegistryEdit) error {
		c := &storage.Client{ID: clientID, Metadata: storage.Metadata{ClientName: "Acme " + clientID, SkipConsent: true}}
		return r.CreateClient(t.Context(), c, &storage.Event{Type: "client.created"})
	})
	if err != nil {
		t.Fatal(err)
	}
	g := storage.Grant{ID: uuid.Must(uuid.NewV7()), UserID: u.ID, ClientID: clientID, SessionID: s.ID, Offline: true, Scopes: []string{"openid", "offline_access"},
		AuthTime: in.now, CreatedAt: in.now, ExpiresAt: in.now.Add(240 * time.Hour)}
	code := storage.Code{Hash: secret.HashOf(secret.NewToken("")), GrantID: g.ID, ClientID: clientID, RedirectURI: "https://app.example/cb", ExpiresAt: in.now.Add(time.Minute)}
	c, err := in.store.Client(t.Context(), clientID)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.store.IssueCode(t.Context(), storage.IssueCode{Grant: g, Client: c, Code: code, Event: storage.Event{Type: "grant.created", User: u.ID}}); err != nil {
		t.Fatal(err)
	}
	return &g
}

// consent remembers what a person allowed the client of a grant.
func (in *installation) consent(t testing.TB, s *storage.Session, g *storage.Grant) {
	t.Helper()
	flow := &storage.Flow{IDHash: secret.HashOf(secret.NewToken("")), ClientID: g.ClientID, Request: url.Values{}, BrowserHash: s.TokenHash, UserID: g.UserID,
		RequestedAt: in.now, ExpiresAt: in.now.Add(time.Hour)}
	if err := in.store.CreateFlow(t.Context(), flow, storage.FlowBudget{Unfinished: 100}); err != nil {
		t.Fatal(err)
	}
	err := in.store.AnswerConsent(t.Context(), &storage.Answer{Flow: flow.IDHash, Browser: s.TokenHash, ClientID: g.ClientID, Remember: in.now.Add(240 * time.Hour),
		Consent: storage.FlowConsent{UserID: g.UserID, Scopes: g.Scopes}, Event: &storage.Event{Type: "consent.granted", User: g.UserID}})
	if err != nil {
		t.Fatal(err)
	}
}

func (in *installation) granted(t testing.TB, u *storage.User) int {
	t.Helper()
	all, err := in.store.UserGrants(t.Context(), u.ID, uuid.Max, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestAnAccountIsMadeWhenItsAddressIsProven(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		asked := Registration{Email: " Bob@Acme-Corp.com ", Name: " Bob Baker ", Password: oldPassword, Browser: victims, Flow: "flow", From: request.Info{Device: "Firefox on Linux"}}
		if err := in.Registrations.Request(t.Context(), asked); err != nil {
			t.Fatal(err)
		}
		if got := in.letters(t); len(got) != 0 {
			t.Errorf("before the worker: got %v", got)
		}
		link := token(t, in.work(t), "Bob@Acme-Corp.com", "completeregistration", "/verify")
		if _, err := in.store.UserByEmail(t.Context(), "bob@acme-corp.com"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("before the proof: got %v, want nobody", err)
		}
		for range 2 { // a scanner of mails opens the link, too
			v, err := in.Registrations.OpenVerification(t.Context(), link)
			if err != nil || *v != (Verification{Email: "Bob@Acme-Corp.com", Name: "Bob Baker", Registration: true, browser: victims}) {
				t.Fatalf("the page: got %+v, %v", v, err)
			}
		}
		done, err := in.Registrations.Verify(t.Context(), link, VerifyInput{Browser: victims})
		if err != nil || !done.User.EmailVerified() || done.PasswordToken != "" || done.Flow != "flow" || done.User.Profile.Name != "Bob Baker" {
			t.Fatalf("got %+v, %v", done, err)
		}
		if !in.signsIn(t, "bob@acme-corp.com", oldPassword) {
			t.Error("the password does not sign in")
		}
		for _, dead := range []string{link, "", "x", secret.NewToken("")} {
			_, opened := in.Registrations.OpenVerification(t.Context(), dead)
			_, used := in.Registrations.Verify(t.Context(), dead, VerifyInput{Browser: victims})
			if opened != ErrLink || used != ErrLink {
				t.Errorf("%.3q: got %v, %v, want ErrLink and nothing that tells why", dead, opened, used)
			}
		}
	}, confirming)
}

// LG-01: whoever asks changes one row, and the same, whatever there is.
func TestARequestDoesTheSameForEveryAddress(t *testing.T) {
	in := onSQLite(t)
	bob := in.user(t, "bob@acme-corp.com", false)
	off := in.user(t, "off@acme-corp.com", false)
	if _, err := in.People.Disable(t.Context(), Operator(), off.ID); err != nil {
		t.Fatal(err)
	}
	in.unproven(t, "new@acme-corp.com")
	if _, err := in.People.Disable(t.Context(), Operator(), in.unproven(t, "barred@acme-corp.com").ID); err != nil {
		t.Fatal(err)
	}
	in.Accounts.confirmEmail = true
	want := map[string]struct{ registration, recovery string }{
		"nobody@acme-corp.com": {"completeregistration", ""},
		"BOB@acme-corp.com":    {"alreadyregistered", "passwordreset"},
		"new@acme-corp.com":    {"completeregistration", "passwordreset"},
		"off@acme-corp.com":    {"alreadyregistered", ""},
		"barred@acme-corp.com": {"alreadyregistered", ""},
	}
	for email, w := range want {
		for kind, ask := range map[string]func() error{
			registrationRequested: func() error {
				return in.Registrations.Request(t.Context(), Registration{Email: email, Password: newPassword})
			},
			recoveryRequested: func() error {
				return in.Registrations.RequestRecovery(t.Context(), email, ReturnTo{}, request.Info{}, "req")
			},
		} {
			before, err := in.store.EventsAbout(t.Context(), bob.ID, 100)
			if err != nil {
				t.Fatal(err)
			}
			if err := ask(); err != nil {
				t.Errorf("%s, %s: got %v", kind, email, err)
			}
			after, err := in.store.EventsAbout(t.Context(), bob.ID, 100)
			if err != nil || len(after) != len(before) || len(in.letters(t)) != 0 {
				t.Errorf("%s, %s: something was decided by the request: %v", kind, email, err)
			}
			answer := w.registration
			if kind == recoveryRequested {
				answer = w.recovery
			}
			var got string
			for _, l := range in.work(t) {
				got += l.Kind
				if !strings.EqualFold(l.To, email) {
					t.Errorf("%s, %s: mail to %s", kind, email, l.To)
				}
			}
			if got != answer {
				t.Errorf("%s, %s: the worker mails %q, want %q", kind, email, got, answer)
			}
		}
	}
}

// RS-06: strangers cannot fill a mailbox.
func TestAFullMailboxGetsNothing(t *testing.T) {
	asked := map[string]int{}
	in := onSQLite(t, confirming, func(c *Config) {
		c.Mail.Wait = func(_ context.Context, kind, key string) (time.Duration, error) {
			asked[kind+" "+key]++
			return time.Duration(max(0, asked[kind+" "+key]-2)), nil
		}
	})
	in.user(t, "bob@acme-corp.com", false)
	for range 5 {
		err := errors.Join(in.Registrations.Request(t.Context(), Registration{Email: "bob@ACME-corp.com", Password: newPassword}),
			in.Registrations.Request(t.Context(), Registration{Email: "new@acme-corp.com", Password: newPassword}),
			in.Registrations.RequestRecovery(t.Context(), "Bob@acme-corp.com", ReturnTo{}, request.Info{}, ""))
		if err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]int{}
	for _, l := range in.work(t) {
		got[l.Kind]++
	}
	if got["alreadyregistered"] != 2 || got["completeregistration"] != 2 || got["passwordreset"] != 2 {
		t.Errorf("got %v, want two of each", got)
	}
	in.Accounts.confirmEmail = false
	u, _, err := in.Registrations.Register(t.Context(), Registration{Email: "carol@acme-corp.com", Password: newPassword})
	if err != nil {
		t.Fatal(err)
	}
	me := Actor{UserID: u.ID}
	if first, second := in.Registrations.RequestVerification(t.Context(), me, request.Info{}), in.Registrations.RequestVerification(t.Context(), me, request.Info{}); first != nil || !errors.Is(second, ErrTooManyMails) {
		t.Errorf("asking for the mail again: got %v, %v", first, second)
	}
	if got := in.letters(t); len(got) != 2 {
		t.Errorf("got %d mails, want 2", len(got))
	}
}

// A worker that dies is followed by another, which may do the same once more.
func TestARequestThatIsDecidedTwiceIsAnsweredOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		in.user(t, "bob@acme-corp.com", false)
		err := errors.Join(in.Registrations.Request(t.Context(), Registration{Email: "bob@acme-corp.com", Password: newPassword}),
			in.Registrations.Request(t.Context(), Registration{Email: "new@acme-corp.com", Password: newPassword}),
			in.Registrations.RequestRecovery(t.Context(), "bob@acme-corp.com", ReturnTo{}, request.Info{}, ""))
		if err != nil {
			t.Fatal(err)
		}
		for kind, handler := range in.MessageHandlers() {
			for _, m := range in.waiting(t, kind) {
				if err := errors.Join(handler.Deliver(t.Context(), m), handler.Deliver(t.Context(), m)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := in.letters(t); len(got) != 3 {
			t.Errorf("got %+v, want three", got)
		}
	}, confirming)
}

// A pending registration cannot be read by a person who reads the database, and cannot be moved.
func TestWhatWaitsIsSealed(t *testing.T) {
	in := onSQLite(t, confirming)
	for _, email := range []string{"bob@acme-corp.com", "eve@acme-corp.com"} {
		if err := in.Registrations.Request(t.Context(), Registration{Email: email, Password: oldPassword}); err != nil {
			t.Fatal(err)
		}
	}
	all := in.waiting(t, registrationRequested)
	if len(all) != 2 {
		t.Fatalf("got %d messages", len(all))
	}
	for _, m := range all {
		for _, secret := range []string{"acme-corp", "argon2", "registered", oldPassword} {
			if strings.Contains(string(m.Payload), secret) {
				t.Errorf("the payload says %q", secret)
			}
		}
	}
	all[0].Payload = all[1].Payload
	err := in.Registrations.processRegistration(t.Context(), all[0])
	if f, ok := errors.AsType[*outbox.Failure](err); !ok || !f.Permanent {
		t.Errorf("another message's payload: got %v, want it given up", err)
	}
}

func TestEverythingWrongWithARegistrationIsSaidAtOnce(t *testing.T) {
	in := onSQLite(t)
	for _, ask := range []func(Registration) error{
		func(r Registration) error { return in.Registrations.Request(t.Context(), r) },
		func(r Registration) error { _, _, err := in.Registrations.Register(t.Context(), r); return err },
	} {
		var faults FieldErrors
		err := ask(Registration{Email: "bob@acme-corp.com,eve@evil.example", Name: "Bob\r\nBcc: eve@evil.example", Password: "short"})
		if !errors.As(err, &faults) || len(faults) != 3 {
			t.Errorf("got %v, want three faults", err)
		}
		// RS-02, RS-07: nothing that a mail program would take for more.
		for _, email := range []string{"", "bob@acme-corp.com eve@evil.example", "Bob <bob@acme-corp.com>", "bob@acme-corp.com\r\nBcc: eve@evil.example",
			"bob@acme-corp.com(comment)", `"bob@acme-corp.com"@evil.example`, "bob@acme-corp.com%00@evil.example", ".bob@acme-corp.com"} {
			if err := ask(Registration{Email: email, Password: oldPassword}); !errors.As(err, &faults) || faults[0].Field != "email" {
				t.Errorf("%q: got %v, want a fault", email, err)
			}
		}
		for name, ok := range map[string]bool{"": true, strings.Repeat("é", 200): true, strings.Repeat("é", 201): false, "Bob\u202eekaB": false, "Bob\x00": false, "{{.}} <b>": true} {
			err := ask(Registration{Email: uuid.NewString() + "@a.example", Name: name, Password: oldPassword})
			if (err == nil) != ok {
				t.Errorf("name %.20q: got %v", name, err)
			}
		}
	}
	// LG-07: the address and the name are no passwords.
	for _, password := range []string{"robert@acme-corp.com", "Thistlewood2026", "acmecorp1"} {
		var faults FieldErrors
		if err := in.Registrations.Request(t.Context(), Registration{Email: "robert@acme-corp.com", Name: "Robert Thistlewood", Password: password}); !errors.As(err, &faults) {
			t.Errorf("%s: got %v", password, err)
		}
	}
}

func TestWhoMayRegister(t *testing.T) {
	for mode, want := range map[string]error{RegistrationOpen: nil, RegistrationInvite: ErrRegistrationClosed, RegistrationClosed: ErrRegistrationClosed} {
		in := onSQLite(t, func(c *Config) { c.Accounts.Registration = mode })
		_, _, made := in.Registrations.Register(t.Context(), Registration{Email: "bob@acme-corp.com", Password: oldPassword})
		asked := in.Registrations.Request(t.Context(), Registration{Email: "eve@acme-corp.com", Password: oldPassword})
		if made != want || asked != want || in.Registrations.Mode() != mode {
			t.Errorf("%s: got %v, %v, want %v", mode, made, asked, want)
		}
	}
	in := onSQLite(t, confirming)
	if _, _, err := in.Registrations.Register(t.Context(), Registration{Email: "bob@acme-corp.com", Password: oldPassword}); !errors.Is(err, ErrForbidden) {
		t.Errorf("without a proof: got %v", err)
	}
}

func TestAnInvitedPersonRegistersWithTheirAddressAlone(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		owner := in.user(t, "alice@acme-corp.com", false)
		o, err := in.Organizations.Create(t.Context(), Operator(), "acme-corp", "Acme", owner.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Invitations.Create(t.Context(), Actor{UserID: owner.ID}, o.ID, "Bob@acme-corp.com", storage.RoleMember); err != nil {
			t.Fatal(err)
		}
		invitation := token(t, in.letters(t), "Bob@acme-corp.com", "invitation", "/invite")
		var faults FieldErrors
		for _, ask := range []func(Registration) error{
			func(r Registration) error { return in.Registrations.Request(t.Context(), r) },
			func(r Registration) error { _, _, err := in.Registrations.Register(t.Context(), r); return err },
		} {
			if err := ask(Registration{Email: "eve@evil.example", Password: oldPassword, Invitation: invitation}); !errors.As(err, &faults) {
				t.Errorf("another address: got %v, want a fault", err)
			}
			if err := ask(Registration{Password: oldPassword, Invitation: secret.NewToken("")}); !errors.Is(err, ErrLink) {
				t.Errorf("no invitation: got %v, want ErrLink", err)
			}
		}
		u, hash, err := in.Registrations.Register(t.Context(), Registration{Name: "Bob", Password: oldPassword, Invitation: invitation})
		if err != nil || hash == "" || !u.EmailVerified() {
			t.Fatalf("got %+v, %v", u, err)
		}
		if role, err := in.store.Role(t.Context(), o.ID, u.ID); role != storage.RoleMember || !in.signsIn(t, "bob@acme-corp.com", oldPassword) {
			t.Errorf("role %q, %v", role, err)
		}
		if _, _, err := in.Registrations.Register(t.Context(), Registration{Password: newPassword, Invitation: invitation}); !errors.Is(err, ErrLink) {
			t.Errorf("a second time: got %v, want ErrLink", err)
		}
	}, func(c *Config) { c.Accounts.Registration, c.Accounts.ConfirmEmail = RegistrationInvite, true })
}

func TestUnprovenAccountsLapse(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		bob := in.user(t, "bob@acme-corp.com", false)
		in.unproven(t, "gone@acme-corp.com")
		owner := in.unproven(t, "owner@acme-corp.com")
		if err := in.Organizations.AddMember(t.Context(), Operator(), in.settled(t, owner), bob.ID, storage.RoleMember); err != nil {
			t.Fatal(err)
		}
		in.now = in.now.Add(24 * time.Hour)
		in.unproven(t, "young@acme-corp.com")
		for _, step := range []struct {
			after time.Duration
			gone  int
		}{{6*24*time.Hour - time.Microsecond, 0}, {time.Microsecond, 1}, {0, 0}, {24 * time.Hour, 1}} {
			in.now = in.now.Add(step.after)
			if n, err := in.Registrations.DeleteUnverified(t.Context()); err != nil || n != step.gone {
				t.Errorf("after %v more: got %d, %v, want %d", step.after, n, err, step.gone)
			}
		}
		var left []string
		all, err := in.store.Users(t.Context(), uuid.Nil, 10)
		for _, u := range all {
			left = append(left, u.EmailKey)
		}
		if want := []string{"bob@acme-corp.com", "owner@acme-corp.com"}; err != nil || !slices.Equal(left, want) {
			t.Errorf("left: got %v, %v, want %v", left, err, want)
		}
		if _, _, err := in.Registrations.Register(t.Context(), Registration{Email: "gone@acme-corp.com", Password: oldPassword}); err != nil {
			t.Errorf("the address is not free again: %v", err)
		}
	}, welcoming)
}

// Strangers cannot fill the audit log: a request is no event before something comes of it.
func TestARequestToRegisterIsNoEvent(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		if err := in.Registrations.Request(t.Context(), Registration{Email: "new@acme-corp.com", Password: oldPassword}); err != nil {
			t.Fatal(err)
		}
		in.database(t, `CREATE UNIQUE INDEX no_event ON audit_events ((1))`)
		in.database(t, `INSERT INTO audit_events (id, occurred_at, type) VALUES ('01890000-0000-7000-8000-000000000000', 1, 'the only one')`)
		if letters := in.work(t); len(letters) != 1 {
			t.Errorf("got %+v, want the link alone", letters)
		}
	}, func(c *Config) { c.Accounts.ConfirmEmail = true })
}

func TestALinkWorksOnceWhoeverTriesAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		if err := in.Registrations.Request(t.Context(), Registration{Email: "new@acme-corp.com", Password: oldPassword, Browser: victims}); err != nil {
			t.Fatal(err)
		}
		link := token(t, in.work(t), "new@acme-corp.com", "completeregistration", "/verify")
		results := atOnce(t, in, 16, func(p *installation) error {
			_, err := p.Registrations.Verify(t.Context(), link, VerifyInput{Browser: victims})
			if errors.Is(err, ErrRegistered) { // who comes just after the winner is told the same as who has an account
				err = ErrLink
			}
			return err
		})
		if won := errs(t, results, ErrLink); won != 1 {
			t.Errorf("registration link: %d won, want 1", won)
		}

		in.Accounts.confirmEmail = false
		u, _, err := in.Registrations.Register(t.Context(), Registration{Email: "old@acme-corp.com", Password: oldPassword})
		if err != nil {
			t.Fatal(err)
		}
		link = token(t, in.letters(t), "old@acme-corp.com", "verifyemail", "/verify")
		results = atOnce(t, in, 16, func(p *installation) error {
			_, err := p.Registrations.Verify(t.Context(), link, VerifyInput{})
			return err
		})
		if won := errs(t, results, ErrLink); won != 1 {
			t.Errorf("verification link: %d won, want 1", won)
		}

		if err := in.Registrations.RequestRecovery(t.Context(), u.Email, ReturnTo{}, request.Info{}, ""); err != nil {
			t.Fatal(err)
		}
		link = token(t, in.work(t), u.Email, "passwordreset", "/recover/reset")
		results = atOnce(t, in, 16, func(p *installation) error {
			return p.Registrations.Reset(t.Context(), link, fmt.Sprintf("password %s", uuid.New()), request.Info{}, "")
		})
		if won := errs(t, results, ErrLink); won != 1 {
			t.Errorf("reset link: %d won, want 1", won)
		}
		if got := in.letters(t); len(got) != 1 || got[0].Kind != "passwordchanged" {
			t.Errorf("mails of 16 resets: got %+v, want one", got)
		}
	}, confirming)
}
