package identity

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/storage"
)

// organization makes an organization with an owner of its own.
func (in *installation) organization(t *testing.T, slug string) (o *storage.Organization, owner Actor) {
	t.Helper()
	u := in.user(t, "owner@"+slug+".example", false)
	o, err := in.Organizations.Create(t.Context(), Operator(), slug, "Org "+slug, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	return o, Actor{UserID: u.ID}
}

func (in *installation) member(t *testing.T, o *storage.Organization, email, role string) Actor {
	t.Helper()
	u := in.user(t, email, false)
	if err := in.Organizations.AddMember(t.Context(), Operator(), o.ID, u.ID, role); err != nil {
		t.Fatal(err)
	}
	return Actor{UserID: u.ID}
}

// invited invites an address and returns the token from the mail.
func (in *installation) invited(t testing.TB, a Actor, o *storage.Organization, email, role string) (token string, n *storage.Invitation) {
	t.Helper()
	n, err := in.Invitations.Create(t.Context(), a, o.ID, email, role)
	if err != nil {
		t.Fatal(err)
	}
	letters := in.letters(t)
	if len(letters) != 1 || letters[0].Kind != "invitation" || letters[0].To != email {
		t.Fatalf("letters: got %+v, want an invitation to %s", letters, email)
	}
	token, ok := strings.CutPrefix(letters[0].Link, issuer+"/invite?token=")
	if !ok {
		t.Fatalf("link: got %q", letters[0].Link)
	}
	return token, n
}

// OR-04: bound to address, role and organization; the link works once, for whoever
// has the address, however they write it.
func TestAnInvitationIsForOneAddressAndOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		acme, owner := in.organization(t, "acme")
		bob, eve := Actor{UserID: in.user(t, "Bob@acme-corp.com", false).ID}, Actor{UserID: in.user(t, "eve@evil.example", false).ID}
		token, n := in.invited(t, owner, acme, "bob@ACME-corp.com", storage.RoleAdmin)
		opened, err := in.Invitations.Open(t.Context(), token)
		if err != nil || opened.Organization.ID != acme.ID || opened.Invitation.Role != storage.RoleAdmin ||
			opened.Invitation.Email != "bob@ACME-corp.com" || opened.Invitation.Inviter != "owner@acme.example" {
			t.Fatalf("opened: got %+v, %v", opened, err)
		}
		if _, err := in.Invitations.Accept(t.Context(), eve, token, uuid.Nil); !errors.Is(err, ErrForbidden) {
			t.Errorf("with a forwarded link: got %v, want ErrForbidden", err)
		}
		if _, err := in.Invitations.Accept(t.Context(), Actor{}, token, uuid.Nil); !errors.Is(err, ErrForbidden) {
			t.Errorf("by nobody: got %v, want ErrForbidden", err)
		}
		if o, err := in.Invitations.Accept(t.Context(), bob, token, uuid.Nil); err != nil || o.ID != acme.ID {
			t.Fatalf("accepted: got %v, %v", o, err)
		}
		if role, err := in.store.Role(t.Context(), acme.ID, bob.UserID); err != nil || role != storage.RoleAdmin {
			t.Errorf("role: got %q, %v", role, err)
		}
		if _, err := in.Invitations.Accept(t.Context(), bob, token, uuid.Nil); !errors.Is(err, ErrLink) {
			t.Errorf("again: got %v, want ErrLink", err)
		}
		if err := in.Invitations.Revoke(t.Context(), owner, acme.ID, n.ID); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("revoking a used one: got %v, want ErrNotFound", err)
		}

		late, _ := in.invited(t, owner, acme, "eve@evil.example", storage.RoleMember)
		in.now = in.now.Add(InvitationLife)
		for name, bad := range map[string]string{"expired": late, "none": "nothing", "empty": ""} {
			if _, err := in.Invitations.Open(t.Context(), bad); !errors.Is(err, ErrLink) {
				t.Errorf("opening, %s: got %v, want ErrLink", name, err)
			}
			if _, err := in.Invitations.Accept(t.Context(), eve, bad, uuid.Nil); !errors.Is(err, ErrLink) {
				t.Errorf("accepting, %s: got %v, want ErrLink", name, err)
			}
		}
		revoked, n := in.invited(t, owner, acme, "eve@evil.example", storage.RoleMember)
		if err := in.Invitations.Revoke(t.Context(), owner, acme.ID, n.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := in.Invitations.Accept(t.Context(), eve, revoked, uuid.Nil); !errors.Is(err, ErrLink) {
			t.Errorf("revoked: got %v, want ErrLink", err)
		}
	})
}

// Nothing that an administrator of an organization does makes them more than they
// are, and a stranger does not learn that it exists.
func TestWhoInvitesWhomAsWhat(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		acme, owner := in.organization(t, "acme")
		_, stranger := in.organization(t, "other")
		who := map[string]Actor{
			"owner": owner, "stranger": stranger, "operator": Operator(), "superadmin": {UserID: in.user(t, "root@sallyport.test", true).ID},
			"admin": in.member(t, acme, "admin@acme.example", storage.RoleAdmin), "member": in.member(t, acme, "member@acme.example", storage.RoleMember),
			"guest": in.member(t, acme, "guest@acme.example", storage.RoleGuest),
		}
		who["owner's token"] = (&Bearer{Scopes: []string{ScopeRead, ScopeWrite}, User: storage.User{ID: owner.UserID}, Token: storage.PersonalToken{Organization: *acme}}).Actor("")
		for name, a := range who {
			for _, role := range []string{storage.RoleOwner, storage.RoleAdmin, storage.RoleMember, storage.RoleGuest} {
				n, err := in.Invitations.Create(t.Context(), a, acme.ID, uuid.NewString()+"@acme.example", role)
				want := name == "owner" || name == "operator" || name == "superadmin" || name == "admin" && role != storage.RoleOwner
				if (err == nil) != want {
					t.Errorf("%s invites %s: got %v, want allowed %v", name, role, err, want)
				}
				if name == "stranger" && !errors.Is(err, storage.ErrNotFound) {
					t.Errorf("%s invites %s: got %v, want ErrNotFound", name, role, err)
				}
				if err != nil {
					continue
				}
				if err := in.Invitations.Revoke(t.Context(), who["member"], acme.ID, n.ID); !errors.Is(err, ErrForbidden) {
					t.Errorf("a member revokes: got %v, want ErrForbidden", err)
				}
				if err := in.Invitations.Revoke(t.Context(), stranger, acme.ID, n.ID); !errors.Is(err, storage.ErrNotFound) {
					t.Errorf("a stranger revokes: got %v, want ErrNotFound", err)
				}
				if err := in.Invitations.Revoke(t.Context(), a, acme.ID, n.ID); err != nil {
					t.Errorf("%s revokes: %v", name, err)
				}
			}
			_, err := in.Invitations.List(t.Context(), a, acme.ID, uuid.Nil, 10)
			if want := name != "stranger" && name != "member" && name != "guest"; (err == nil) != want {
				t.Errorf("%s lists: got %v, want allowed %v", name, err, want)
			}
		}
		var faults FieldErrors
		if _, err := in.Invitations.Create(t.Context(), owner, acme.ID, "nobody", "king"); !errors.As(err, &faults) || len(faults) != 2 {
			t.Errorf("neither address nor role: got %v, want two faults", err)
		}
		if _, err := in.Invitations.Create(t.Context(), owner, acme.ID, "member@acme.example", storage.RoleAdmin); !errors.Is(err, storage.ErrExists) {
			t.Errorf("a member: got %v, want ErrExists", err)
		}
	})
}

// An organization cannot make this server write to strangers without end.
func TestInvitationsAreBounded(t *testing.T) {
	in := onSQLite(t, func(c *Config) {
		c.Mail.Wait = func(_ context.Context, kind, emailKey string) (time.Duration, error) {
			if kind == "invitation" && emailKey != "full@acme.example" {
				return 0, nil
			}
			return time.Hour, nil
		}
	})
	acme, owner := in.organization(t, "acme")
	if _, err := in.Invitations.Create(t.Context(), owner, acme.ID, "Full@acme.example", storage.RoleMember); !errors.Is(err, ErrTooManyMails) {
		t.Errorf("got %v, want ErrTooManyMails", err)
	}
	for range maxInvitations {
		if _, err := in.Invitations.Create(t.Context(), owner, acme.ID, uuid.NewString()+"@acme.example", storage.RoleMember); err != nil {
			t.Fatal(err)
		}
	}
	in.letters(t)
	if _, err := in.Invitations.Create(t.Context(), owner, acme.ID, "more@acme.example", storage.RoleMember); !errors.Is(err, ErrTooManyInvitations) {
		t.Errorf("got %v, want ErrTooManyInvitations", err)
	}
	if letters := in.letters(t); len(letters) != 0 {
		t.Errorf("a mail went out for none: %+v", letters)
	}
}

// Whether the invited address has an account is none of the page's business.
func TestAnInvitationDoesNotTellWhetherTheAddressHasAnAccount(t *testing.T) {
	in := onSQLite(t)
	acme, owner := in.organization(t, "acme")
	in.user(t, "known@acme.example", false)
	var told [2]InvitationView
	for n, email := range []string{"known@acme.example", "unknown@acme.example"} {
		token, _ := in.invited(t, owner, acme, email, storage.RoleMember)
		opened, err := in.Invitations.Open(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		opened.Invitation.ID, opened.Invitation.Token = uuid.Nil, [32]byte{}
		opened.Invitation.Email = strings.Replace(opened.Invitation.Email, "unknown", "known", 1)
		opened.Invitation.EmailKey = strings.Replace(opened.Invitation.EmailKey, "unknown", "known", 1)
		told[n] = *opened
	}
	if told[0] != told[1] {
		t.Errorf("got %+v and %+v", told[0], told[1])
	}
}

// Nothing attaches to an address that is not proven. The invitation is a proof
// by itself, and whoever registers with it has the account, whoever made it before.
func TestRegisteringByInvitation(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		acme, owner := in.organization(t, "acme")
		register := func(token, email string) (*storage.User, error) {
			u, _, err := in.Registrations.Register(t.Context(), Registration{Email: email, Name: "Bob", Password: "a quiet river bends north", Invitation: token})
			return u, err
		}
		token, _ := in.invited(t, owner, acme, "bob@acme.example", storage.RoleMember)
		if _, err := register(token, "eve@evil.example"); err == nil {
			t.Error("somebody else registered by bob's invitation")
		}
		u, err := register(token, "")
		if err != nil || !u.EmailVerified() || u.Email != "bob@acme.example" {
			t.Fatalf("got %+v, %v", u, err)
		}
		if _, err := register(token, ""); !errors.Is(err, ErrLink) {
			t.Errorf("again: got %v, want ErrLink", err)
		}
		if role, err := in.store.Role(t.Context(), acme.ID, u.ID); err != nil || role != storage.RoleMember {
			t.Errorf("role: got %q, %v", role, err)
		}

		squatter, _, err := in.Registrations.Register(t.Context(), Registration{Email: "carol@acme.example", Name: "Mallory", Password: "waiting for carol here"})
		if err != nil {
			t.Fatal(err)
		}
		in.letters(t)
		token, _ = in.invited(t, owner, acme, "carol@acme.example", storage.RoleMember)
		carol, err := register(token, "carol@acme.example")
		if err != nil || carol.ID != squatter.ID || !carol.EmailVerified() {
			t.Fatalf("got %+v, %v", carol, err)
		}
		if _, _, err := in.check(t.Context(), "carol@acme.example", "waiting for carol here"); !errors.Is(err, ErrCredentials) {
			t.Errorf("the squatter's password: got %v, want ErrCredentials", err)
		}
		if _, _, err := in.check(t.Context(), "carol@acme.example", "a quiet river bends north"); err != nil {
			t.Errorf("carol's password: %v", err)
		}

		in.user(t, "dave@acme.example", false)
		token, _ = in.invited(t, owner, acme, "dave@acme.example", storage.RoleMember)
		if _, err := register(token, ""); !errors.Is(err, ErrRegistered) {
			t.Errorf("an address with an account: got %v, want ErrRegistered", err)
		}
		if _, err := in.Invitations.Open(t.Context(), token); err != nil {
			t.Errorf("the invitation after that: %v", err)
		}
	})
}

// One of sixteen at once on two nodes.
func TestAnInvitationIsAcceptedOnceByMany(t *testing.T) {
	eachTwo(t, func(t *testing.T, nodes [2]*installation) {
		in := nodes[0]
		acme, owner := in.organization(t, "acme")
		bob := Actor{UserID: in.user(t, "bob@acme.example", false).ID}
		token, _ := in.invited(t, owner, acme, "bob@acme.example", storage.RoleMember)
		onceOf16(t, nodes, func(in *installation) error {
			_, err := in.Invitations.Accept(t.Context(), bob, token, uuid.Nil)
			return err
		}, ErrLink)
		token, _ = in.invited(t, owner, acme, "new@acme.example", storage.RoleMember)
		onceOf16(t, nodes, func(in *installation) error {
			_, _, err := in.Registrations.Register(t.Context(), Registration{Password: "a quiet river bends north", Invitation: token})
			return err
		}, ErrLink, ErrRegistered)
		if members, err := in.Organizations.Members(t.Context(), owner, acme.ID, uuid.Nil, 10); err != nil || len(members) != 3 {
			t.Errorf("members: got %d, %v, want 3", len(members), err)
		}
	})
}

// eachTwo runs f on two nodes over one database of each engine.
func eachTwo(t *testing.T, f func(t *testing.T, nodes [2]*installation), how ...configured) {
	t.Helper()
	two := func(t *testing.T, url string) {
		f(t, [2]*installation{install(t, url, how...), install(t, url, how...)})
	}
	t.Run("sqlite", func(t *testing.T) { two(t, sqliteURL(t)) })
	t.Run("postgres", func(t *testing.T) { two(t, postgresURL(t)) })
}

// onceOf16 does something sixteen times at once, of which one time succeeds and the
// others fail as they may.
func onceOf16(t *testing.T, nodes [2]*installation, act func(*installation) error, may ...error) {
	t.Helper()
	var done atomic.Int64
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			err := act(nodes[n%2])
			if err == nil {
				done.Add(1)
				return
			}
			for _, m := range may {
				if errors.Is(err, m) {
					return
				}
			}
			t.Errorf("got %v, want one of %v", err, may)
		})
	}
	all.Wait()
	if done.Load() != 1 {
		t.Errorf("%d succeeded, want 1", done.Load())
	}
}

// allOf16 does something sixteen times at once, which all succeed.
func allOf16(t *testing.T, nodes [2]*installation, act func(*installation) error) {
	t.Helper()
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			if err := act(nodes[n%2]); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// Audit: what was done to whom by whom, and no address that nothing would erase.
func TestInvitationsAreInTheAuditLog(t *testing.T) {
	in := onSQLite(t)
	acme, owner := in.organization(t, "acme")
	bob := in.user(t, "bob@acme.example", false)
	token, _ := in.invited(t, owner, acme, "bob@acme.example", storage.RoleMember)
	if _, err := in.Invitations.Accept(t.Context(), Actor{UserID: bob.ID, RequestID: "r"}, token, uuid.Nil); err != nil {
		t.Fatal(err)
	}
	events, err := in.store.EventsAbout(t.Context(), bob.ID, 10)
	if err != nil {
		t.Fatal(err)
	}
	e := events[0]
	if e.Type != "invitation.accepted" || e.Organization != acme.ID || e.Actor != bob.ID || e.RequestID != "r" || len(e.Personal) != 0 || in.now.Sub(e.At) > time.Minute {
		t.Errorf("got %+v", e)
	}
}

// A first proof by an invitation is written down, and leaves nobody in but who acts.
func TestAcceptingIsAProof(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		acme, owner := in.organization(t, "acme")
		u := in.unproven(t, "bob@acme-corp.com")
		mine, other := in.session(t, u), in.session(t, u)
		in.grant(t, u, other)
		token, _ := in.invited(t, owner, acme, "bob@acme-corp.com", storage.RoleMember)
		if _, err := in.Invitations.Accept(t.Context(), Actor{UserID: u.ID}, token, mine.ID); err != nil {
			t.Fatal(err)
		}
		if !in.lives(t, mine) || in.lives(t, other) || in.granted(t, u) != 0 || !in.signsIn(t, u.Email, oldPassword) {
			t.Errorf("the acting session %v, the other %v, %d grants", in.lives(t, mine), in.lives(t, other), in.granted(t, u))
		}
		proofs := func() (n int) {
			events, err := in.store.EventsAbout(t.Context(), u.ID, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if e.Type == "user.email_proven" {
					n++
				}
			}
			return n
		}
		if proofs() != 1 {
			t.Errorf("%d events of the proof, want one", proofs())
		}
		// The second invitation proves nothing new.
		other = in.session(t, u)
		another, _ := in.organization(t, "another")
		token, _ = in.invited(t, Operator(), another, "bob@acme-corp.com", storage.RoleMember)
		if _, err := in.Invitations.Accept(t.Context(), Actor{UserID: u.ID}, token, mine.ID); err != nil || !in.lives(t, other) || proofs() != 1 {
			t.Errorf("of a proven address: %v, session %v, %d proofs", err, in.lives(t, other), proofs())
		}
	})
}
