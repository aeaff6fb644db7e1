package storage

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// authorizing is a person who has let a client act for them in an organization, in a
// browser where they are signed in. All are new, so that one database serves many.
type authorizing struct {
	s       *Store
	client  string
	user    uuid.UUID
	boss    uuid.UUID // the organization's owner
	org     Organization
	browser secret.Hash
	session uuid.UUID
}

func newAuthorizing(t *testing.T, s *Store) *authorizing {
	t.Helper()
	name := "a" + uuid.NewString()[:8]
	registered(t, s, name)
	a := &authorizing{s: s, client: name, user: person(t, s, name+"@acme-corp.com"), boss: person(t, s, "boss-"+name+"@acme-corp.com"), browser: secret.HashOf(secret.NewToken(""))}
	behind(t, s, `UPDATE passwords SET hash = 'phc' WHERE user_id = ?`, id(a.user))
	a.org = organization(t, s, name, a.boss)
	if err := s.AddMember(t.Context(), a.org.ID, a.user, RoleMember, &Event{Type: "membership.created"}); err != nil {
		t.Fatal(err)
	}
	a.session = mustSignIn(t, s, signIn(s, a.user, secret.Hash{}, a.browser)).ID
	consentTo(t, s, a.user, name, a.org.ID, s.clock().Add(time.Hour))
	return a
}

// read is a code as it would be issued on what is there now, without a stored flow;
// nil if the person would have to be asked.
func (a *authorizing) read(ctx context.Context) (*IssueCode, error) {
	c, err := a.s.Client(ctx, a.client)
	if err != nil {
		return nil, err
	}
	v, err := a.s.SessionContext(ctx, SessionQuery{Browser: a.browser, ClientID: a.client, OrganizationID: a.org.ID})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if v.Organization == nil || v.Consent == nil || !c.Active() {
		return nil, nil
	}
	now := a.s.clock()
	g := Grant{ID: uuid.Must(uuid.NewV7()), UserID: v.User.ID, ClientID: a.client, OrganizationID: a.org.ID, SessionID: v.Session.ID, Offline: true,
		Scopes: []string{"openid"}, AuthTime: now, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	return &IssueCode{Grant: g, Client: c, Asked: g.Scopes, Consent: v.Consent, Event: Event{Type: "grant.created", User: g.UserID},
		Code: Code{Hash: secret.HashOf(secret.NewToken("")), GrantID: g.ID, ClientID: a.client, RedirectURI: "https://a.example/cb", ExpiresAt: now.Add(time.Minute)}}, nil
}

// mustRead is read for somebody who is not to be asked.
func (a *authorizing) mustRead(t *testing.T) *IssueCode {
	t.Helper()
	in, err := a.read(t.Context())
	if err != nil || in == nil {
		t.Fatalf("nothing to issue a code on: %v", err)
	}
	return in
}

// answered is read, but resting on the answer within a flow that is not remembered.
func (a *authorizing) answered(t *testing.T) *IssueCode {
	t.Helper()
	in := a.mustRead(t)
	flow := flowOf(t, a.s, a.browser, func(f *Flow) { f.ClientID = a.client })
	answer := answerOf(a.s, flow, a.browser, a.user, "openid")
	answer.ClientID, answer.Consent.OrganizationID, answer.Remember = a.client, a.org.ID, time.Time{}
	if err := a.s.AnswerConsent(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	in.Flow, in.Consent = mustFlow(t, a.s, flow), nil
	return in
}

// skipping is read, but resting on the registration of a client whose people are not asked.
func (a *authorizing) skipping(t *testing.T) *IssueCode {
	t.Helper()
	a.register(t, func(m *Metadata) { m.SkipConsent = true })
	in := a.mustRead(t)
	in.Consent = nil
	return in
}

func (a *authorizing) register(t *testing.T, change func(*Metadata)) {
	t.Helper()
	c, err := a.s.Client(t.Context(), a.client)
	if err != nil {
		t.Fatal(err)
	}
	change(&c.Metadata)
	edit(t, a.s, func(ctx context.Context, r *RegistryEdit) error {
		return r.UpdateClient(ctx, c, &Event{Type: "client.updated"})
	})
}

// withdrawals are the ways in which something that a grant rests on goes. Those that
// end only what is not for offline use say so.
var withdrawals = []struct {
	name   string
	online bool
	do     func(ctx context.Context, a *authorizing) error
}{
	{"disconnected", false, func(ctx context.Context, a *authorizing) error {
		return a.s.Disconnect(ctx, a.user, a.client, &Event{Type: "app.disconnected"})
	}},
	{"consent withdrawn", false, func(ctx context.Context, a *authorizing) error {
		return a.s.WithdrawConsent(ctx, a.user, a.client, a.org.ID, &Event{Type: "consent.withdrawn"})
	}},
	{"member removed", false, func(ctx context.Context, a *authorizing) error {
		return a.s.RemoveMember(ctx, a.org.ID, a.user, &Event{Type: "membership.removed"})
	}},
	{"person disabled", false, func(ctx context.Context, a *authorizing) error {
		_, err := a.s.DisableUser(ctx, a.user, &Event{Type: "user.disabled"})
		return err
	}},
	{"person deleted", false, func(ctx context.Context, a *authorizing) error {
		return a.s.DeleteUser(ctx, a.user, uuid.Nil, &Event{Type: "user.deleted"})
	}},
	{"password changed elsewhere", false, func(ctx context.Context, a *authorizing) error {
		return a.s.SetPassword(ctx, a.user, "new", uuid.Nil, &Event{Type: "user.password_changed"})
	}},
	{"factors reset", false, func(ctx context.Context, a *authorizing) error {
		return a.s.Factors.Reset(ctx, a.user, &Event{Type: "user.factors_reset"})
	}},
	{"session ended from another", false, func(ctx context.Context, a *authorizing) error {
		return a.s.EndSessionOf(ctx, a.user, a.session, &Event{Type: "session.ended"})
	}},
	{"signed out", true, func(ctx context.Context, a *authorizing) error {
		_, err := a.s.EndSession(ctx, a.browser, EndSignOut, "")
		return err
	}},
	{"client deleted", false, func(ctx context.Context, a *authorizing) error {
		return a.s.EditRegistry(ctx, 0, func(r *RegistryEdit) error { return r.DeleteClient(ctx, a.client, &Event{Type: "client.deleted"}) })
	}},
}

func (a *authorizing) liveGrants(t *testing.T) int {
	t.Helper()
	return counted(t, a.s, `SELECT count(*) FROM grants WHERE revoked_at IS NULL AND user_id IN (?, ?)`, id(a.user), id(a.boss))
}

// A request reads who is signed in and what they agreed to, and writes the code later.
// A consent that was withdrawn in between must not give access for 90 days more.
func TestNoCodeRestsOnWhatWasWithdrawn(t *testing.T) {
	more := append(withdrawals[:len(withdrawals):len(withdrawals)], []struct {
		name   string
		online bool
		do     func(ctx context.Context, a *authorizing) error
	}{
		{"client disabled", false, func(ctx context.Context, a *authorizing) error {
			return a.s.EditRegistry(ctx, 0, func(r *RegistryEdit) error { return r.DisableClient(ctx, a.client, &Event{Type: "client.disabled"}) })
		}},
		{"client registered anew", false, func(ctx context.Context, a *authorizing) error {
			return a.s.EditRegistry(ctx, 0, func(r *RegistryEdit) error {
				return r.UpdateClient(ctx, newClient(a.client), &Event{Type: "client.updated"})
			})
		}},
	}...)
	rests := []struct {
		name string
		on   func(*authorizing, *testing.T) *IssueCode
	}{{"consent", (*authorizing).mustRead}, {"answer", (*authorizing).answered}, {"skip_consent", (*authorizing).skipping}}
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		for _, rest := range rests {
			if err := s.IssueCode(t.Context(), *rest.on(newAuthorizing(t, s), t)); err != nil {
				t.Fatalf("on %s, with nothing withdrawn: %v", rest.name, err)
			}
			for _, w := range more {
				if rest.name == "skip_consent" && (w.name == "disconnected" || w.name == "consent withdrawn") {
					continue // it does not rest on what the person said
				}
				a := newAuthorizing(t, s)
				in := rest.on(a, t)
				clock.add(time.Second)
				if err := w.do(t.Context(), a); err != nil {
					t.Fatalf("%s beside %s: %v", w.name, rest.name, err)
				}
				if err := s.IssueCode(t.Context(), *in); !errors.Is(err, ErrSpent) {
					t.Errorf("%s beside %s: got %v, want ErrSpent", w.name, rest.name, err)
				}
				if n := counted(t, s, `SELECT count(*) FROM grants WHERE user_id = ?`, id(a.user)) + counted(t, s, `SELECT count(*) FROM codes WHERE client_id = ?`, a.client); n != 0 {
					t.Errorf("%s beside %s: %d rows were written", w.name, rest.name, n)
				}
			}
		}
	})
}

// An act of the person in another tab meanwhile counts too, and no code is written
// that nobody agreed to.
func TestNoCodeRestsOnAFlowThatChanged(t *testing.T) {
	changes := map[string]func(t *testing.T, a *authorizing, in *IssueCode){
		"spent": func(t *testing.T, a *authorizing, in *IssueCode) { must(t, a.s.SpendFlow(t.Context(), in.Flow.IDHash)) },
		"asked who the person is": func(t *testing.T, a *authorizing, in *IssueCode) {
			must(t, a.s.AskAgain(t.Context(), in.Flow.IDHash, a.browser))
		},
		"another organization picked": func(t *testing.T, a *authorizing, in *IssueCode) {
			must(t, a.s.ChooseOrganization(t.Context(), in.Flow.IDHash, a.browser, uuid.New()))
		},
		"an answer for less":          func(t *testing.T, a *authorizing, in *IssueCode) { in.Asked = []string{"openid", "phone"} },
		"an answer of another person": func(t *testing.T, a *authorizing, in *IssueCode) { in.Flow.Consent.UserID = a.boss },
		"no answer":                   func(t *testing.T, a *authorizing, in *IssueCode) { in.Flow.Consent = nil },
		"never stored":                func(t *testing.T, a *authorizing, in *IssueCode) { in.Flow.IDHash = secret.Hash{} },
		"another person's session": func(t *testing.T, a *authorizing, in *IssueCode) {
			in.Grant.UserID, in.Flow.Consent.UserID = a.boss, a.boss
		},
	}
	eachEngine(t, func(t *testing.T, s *Store) {
		for name, change := range changes {
			a := newAuthorizing(t, s)
			in := a.answered(t)
			change(t, a, in)
			if err := s.IssueCode(t.Context(), *in); !errors.Is(err, ErrSpent) {
				t.Errorf("%s: got %v, want ErrSpent", name, err)
			}
			if n := a.liveGrants(t); n != 0 {
				t.Errorf("%s: %d grants were written", name, n)
			}
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Silent authorizations that run while something is withdrawn leave no grant behind:
// either the withdrawal finds it, or it is not written.
func TestAWithdrawalWinsAgainstAuthorizationsUnderWay(t *testing.T) {
	const workers = 4
	eachEngine(t, func(t *testing.T, s *Store) {
		for _, w := range withdrawals {
			a := newAuthorizing(t, s)
			started, stop := make(chan struct{}, workers), make(chan struct{})
			var all sync.WaitGroup
			for range workers {
				all.Go(func() { a.authorizeUntil(t, stop, started, !w.online) })
			}
			for range workers {
				<-started
			}
			if err := w.do(t.Context(), a); err != nil {
				t.Errorf("%s: %v", w.name, err)
			}
			close(stop)
			all.Wait()
			if n := a.liveGrants(t); n != 0 {
				t.Errorf("%s: %d grants live on", w.name, n)
			}
		}
	})
}

// authorizeUntil issues codes, and says so when some were, until it is stopped or
// something was withdrawn.
func (a *authorizing) authorizeUntil(t *testing.T, stop <-chan struct{}, started chan<- struct{}, offline bool) {
	n := 0
	defer func() {
		for ; n < 3; n++ {
			if n == 2 {
				started <- struct{}{} // it failed before
			}
		}
	}()
	for {
		select {
		case <-stop:
			return
		default:
		}
		in, err := a.read(t.Context())
		if err != nil {
			t.Error(err)
		}
		if in == nil {
			return
		}
		in.Grant.Offline = offline
		if err := a.s.IssueCode(t.Context(), *in); err != nil {
			if !errors.Is(err, ErrSpent) {
				t.Error(err)
			}
			return
		}
		if n++; n == 3 {
			started <- struct{}{}
		}
	}
}

// Tokens are stored only while the grant's client, person, membership and session
// are there, and what was to be spent for them stays good.
func TestNoTokensForAGrantWhoseAuthorityWent(t *testing.T) {
	gone := map[string]func(a *authorizing) (query string, args []any){
		"client disabled": func(a *authorizing) (string, []any) {
			return `UPDATE clients SET disabled_at = 1 WHERE id = ?`, []any{a.client}
		},
		"client deleted": func(a *authorizing) (string, []any) {
			return `UPDATE clients SET deleted_at = 1 WHERE id = ?`, []any{a.client}
		},
		"person disabled": func(a *authorizing) (string, []any) {
			return `UPDATE users SET disabled_at = 1 WHERE id = ?`, []any{id(a.user)}
		},
		"no member": func(a *authorizing) (string, []any) {
			return `DELETE FROM memberships WHERE user_id = ?`, []any{id(a.user)}
		},
		"no organization": func(a *authorizing) (string, []any) {
			return `UPDATE organizations SET deleted_at = 1 WHERE id = ?`, []any{id(a.org.ID)}
		},
		"session ended": func(a *authorizing) (string, []any) {
			return `UPDATE sessions SET ended_at = 1 WHERE id = ?`, []any{id(a.session)}
		},
		"grant revoked": func(a *authorizing) (string, []any) {
			return `UPDATE grants SET revoked_at = 1 WHERE user_id = ?`, []any{id(a.user)}
		},
	}
	eachEngine(t, func(t *testing.T, s *Store) {
		for name, query := range gone {
			t.Run(name, func(t *testing.T) {
				a := newAuthorizing(t, s)
				in := a.mustRead(t)
				in.Grant.Offline = false
				must(t, s.IssueCode(t.Context(), *in))
				now := s.clock()
				first := &RefreshToken{Hash: secret.HashOf("first " + name), GrantID: in.Grant.ID, ClientID: a.client, Salt: []byte{1}, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
				second := &RefreshToken{Hash: secret.HashOf("second " + name), GrantID: in.Grant.ID, ClientID: a.client, Salt: []byte{1}, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
				access := func(n string) *AccessToken {
					return &AccessToken{Hash: secret.HashOf(n + name), GrantID: in.Grant.ID, ClientID: a.client, CreatedAt: now, ExpiresAt: now.Add(time.Minute)}
				}
				redeem := Redemption{Hash: in.Code.Hash, ClientID: a.client, GrantID: in.Grant.ID, Access: access("a"), Refresh: first}
				rotate := Redemption{Hash: first.Hash, ClientID: a.client, GrantID: in.Grant.ID, Access: access("b"), Refresh: second}
				behind(t, s, `INSERT INTO refresh_tokens (hash, grant_id, client_id, salt, created_at, expires_at) VALUES (?, ?, ?, ?, 1, ?)`,
					first.Hash, id(in.Grant.ID), a.client, []byte{1}, usec(now.Add(time.Hour)))
				redeem.Refresh = nil
				q, args := query(a)
				behind(t, s, q, args...)
				for what, err := range map[string]error{
					"a code":          s.RedeemCode(t.Context(), redeem),
					"a refresh":       s.Rotate(t.Context(), rotate),
					"a refresh again": s.RepeatAccess(t.Context(), access("c"), first.Hash),
				} {
					if want := what != "a refresh again"; !errors.Is(err, ErrSpent) || want && !errors.Is(err, ErrWithdrawn) {
						t.Errorf("%s: got %v, want ErrWithdrawn", what, err)
					}
				}
				if n := counted(t, s, `SELECT count(*) FROM access_tokens`); n != 0 {
					t.Errorf("%d access tokens were stored", n)
				}
				if n := counted(t, s, `SELECT count(*) FROM refresh_tokens WHERE spent_at IS NOT NULL`) + counted(t, s, `SELECT count(*) FROM codes WHERE spent_at IS NOT NULL`); n != 0 {
					t.Errorf("%d were spent for nothing", n)
				}
			})
		}
	})
}

// An answer on the consent page is remembered for half a year. A session that the
// person has ended because somebody else is in it must not leave one behind.
func TestNoAnswerIsRememberedFromASessionThatHasEnded(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		a := newAuthorizing(t, s)
		answer := answerOf(s, flowOf(t, s, a.browser, nil), a.browser, a.user, "openid", "email")
		if err := s.EndSessionOf(t.Context(), a.user, a.session, &Event{Type: "session.ended"}); err != nil {
			t.Fatal(err)
		}
		if err := s.AnswerConsent(t.Context(), answer); !errors.Is(err, ErrSpent) {
			t.Errorf("got %v, want ErrSpent", err)
		}
		if n := counted(t, s, `SELECT count(*) FROM consents WHERE organization_id <> ?`, id(a.org.ID)); n != 0 {
			t.Error("the answer is remembered")
		}
	})
}

// A session ends where its network changes, and its flows wait for the next sign-in in
// the same browser. An answer in one of them must not outlive a withdrawal in between.
func TestAnAnswerOfAnEndedSessionIsWithdrawnToo(t *testing.T) {
	ends := map[string]func(t *testing.T, a *authorizing){
		"protection": func(t *testing.T, a *authorizing) {
			_, err := a.s.EndSession(t.Context(), a.browser, EndBrowser, "")
			must(t, err)
		},
		"sign-out": func(t *testing.T, a *authorizing) {
			_, err := a.s.EndSession(t.Context(), a.browser, EndSignOut, "")
			must(t, err)
		},
		"the person": func(t *testing.T, a *authorizing) {
			err := a.s.EndSessionOf(t.Context(), a.user, a.session, &Event{Type: "session.ended"})
			must(t, err)
		},
		"nothing": func(*testing.T, *authorizing) {},
	}
	eachEngine(t, func(t *testing.T, s *Store) {
		for _, w := range withdrawals[:2] { // those of what the person said
			for ended, end := range ends {
				a := newAuthorizing(t, s)
				in := a.answered(t)
				behind(t, s, `UPDATE flows SET user_id = ? WHERE id_hash = ?`, id(a.user), in.Flow.IDHash)
				end(t, a)
				must(t, w.do(t.Context(), a))
				again := secret.HashOf(secret.NewToken(""))
				in.Grant.SessionID = mustSignIn(t, s, signIn(s, a.user, a.browser, again)).ID
				in.Flow = mustFlow(t, s, in.Flow.IDHash)
				if in.Flow.BrowserHash != again {
					t.Fatalf("the session ended by %s: its flow did not follow to the next", ended)
				}
				if err := s.IssueCode(t.Context(), *in); !errors.Is(err, ErrSpent) {
					t.Errorf("the session ended by %s, then %s: got %v, want ErrSpent", ended, w.name, err)
				}
			}
		}
	})
}
