package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// invite has Alice invite an address to Acme, and returns the mail's link.
func invite(t *testing.T, s *harness.Server, email, role string) string {
	t.Helper()
	acme, err := s.App.Store.OrganizationBySlug(t.Context(), "acme-corp")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.App.Identity.Invitations.Create(t.Context(), identity.Actor{UserID: s.User(t, harness.Alice).ID}, acme.ID, email, role); err != nil {
		t.Fatal(err)
	}
	return s.LastMail(t, email).Link
}

// roleIn is a person's role in Acme, "" for none.
func roleIn(t *testing.T, s *harness.Server, who harness.Person) string {
	t.Helper()
	acme, err := s.App.Store.OrganizationBySlug(t.Context(), "acme-corp")
	if err != nil {
		t.Fatal(err)
	}
	role, err := s.App.Store.Role(t.Context(), acme.ID, s.User(t, who).ID)
	if err != nil {
		return ""
	}
	return role
}

// What the page of an invitation promises.
func TestAnInvitationIsAccepted(t *testing.T) {
	harness.EachEngine(t, confirming("SALLYPORT_REGISTRATION=invite"), func(t *testing.T, s *harness.Server) {
		t.Run("account", func(t *testing.T) { testJoiningWithAnAccount(t, s) })
		t.Run("newcomer", func(t *testing.T) { testJoiningWithoutAnAccount(t, s) })
		t.Run("second step", func(t *testing.T) { testJoiningTakesTheSecondStep(t, s) })
		t.Run("taken back", func(t *testing.T) { testInvitationsThatEnd(t, s) })
		t.Run("overdue", func(t *testing.T) { testJoiningWhileOverdue(t, s) })
	})
}

// Admin is in no organization: signing in leads back to the invitation.
func testJoiningWithAnAccount(t *testing.T, s *harness.Server) {
	link := invite(t, s, harness.Admin.Email, storage.RoleAdmin)
	b := s.Browser(t)
	page := b.Get(t, link)
	says(t, "a stranger's", page, http.StatusOK, "Join <bdi>Acme Corp</bdi>", "as an admin", harness.Admin.Email, `id="register-submit"`, `id="sign-in"`,
		s.Clock.Now().Add(identity.InvitationLife).UTC().Format("2 January 2006"))

	// Another user is told that the invitation is not theirs, and cannot accept with a form of their own.
	bob := s.Browser(t)
	harness.SignIn(t, bob, harness.Bob)
	bobs := bob.Get(t, link)
	says(t, "Bob's", bobs, http.StatusOK, "signed in with a different address", harness.Bob.Email, `id="sign-in"`)
	if strings.Contains(bobs.Body, `id="accept"`) || strings.Contains(bobs.Body, `id="register"`) {
		t.Error("Bob is offered to accept")
	}

	login := b.Get(t, href(t, page, "sign-in"))
	says(t, "signing in", login, http.StatusOK, `id="register" href="/invite?token=`) // which makes an account that joins at once
	back := b.Submit(t, login.Form(t, "login"), "email", harness.Admin.Email, "password", harness.Admin.Password)
	if back.URL.Path != "/invite" {
		t.Fatalf("signed in, the way leads to %s", back.URL)
	}
	says(t, "signed in", back, http.StatusOK, `id="accept"`, harness.Admin.Email)
	form := back.FormWith(t, "act")
	says(t, "Admin's form in Bob's browser", bob.Submit(t, form, "act", "accept"), http.StatusForbidden, `data-error="csrf"`)
	if roleIn(t, s, harness.Admin) != "" {
		t.Fatal("opening the invitation has accepted it")
	}
	if p := b.Submit(t, form, "act", "accept"); p.URL.Path != "/account/organizations" || roleIn(t, s, harness.Admin) != storage.RoleAdmin {
		t.Errorf("accepted: %d at %s, role %q", p.Status, p.URL, roleIn(t, s, harness.Admin))
	}
	says(t, "once more", b.Submit(t, form, "act", "accept"), http.StatusBadRequest, `data-error="invite_link"`, "does not work any more")
}

// The token was mailed to the address, which it proves; so the account is there at
// once, whatever CONFIRM_EMAIL says, and the address cannot be another.
func testJoiningWithoutAnAccount(t *testing.T, s *harness.Server) {
	who := harness.Person{Email: "eve@example.com", Password: newPassword}
	link := invite(t, s, who.Email, storage.RoleMember)
	b := s.Browser(t)
	form := b.Get(t, link).Form(t, "register")
	says(t, "a common password", b.Submit(t, form, "name", "Eve", "password", "password1"), http.StatusUnprocessableEntity, `id="password-error"`, `value="Eve"`)
	done := b.Submit(t, form, "name", "Eve Example", "password", who.Password, "email", "mallory@example.com")
	if done.URL.Path != "/account/organizations" || !strings.Contains(b.Get(t, "/").Body, who.Email) {
		t.Fatalf("registered by invitation: %d at %s:\n%s", done.Status, done.URL, done.Body)
	}
	if u := s.User(t, who); !u.EmailVerified() || roleIn(t, s, who) != storage.RoleMember || strings.Contains(s.Contents(t), "mallory") {
		t.Errorf("%+v, role %q", u, roleIn(t, s, who))
	}
	if !signsIn(t, s, who) {
		t.Error("the password does not sign in")
	}
	again := invite(t, s, "frank@example.com", storage.RoleMember)
	says(t, "the form with another invitation", b.Post(t, again, form.Values), http.StatusForbidden, `data-error="csrf"`)

	// An invited user who has an account is told so only now, having shown that the address is theirs.
	dora := harness.Person{Email: "dora@example.com", Password: "nine quiet badgers dig"}
	if _, err := s.App.Identity.People.Create(t.Context(), identity.Operator(), identity.NewUser{Email: dora.Email, Password: dora.Password}); err != nil {
		t.Fatal(err)
	}
	registered := s.Browser(t)
	form = registered.Get(t, invite(t, s, dora.Email, storage.RoleOwner)).Form(t, "register")
	says(t, "Dora's address", registered.Submit(t, form, "password", newPassword), http.StatusUnprocessableEntity, "has an account already", `id="sign-in"`)
	if !signsIn(t, s, dora) || roleIn(t, s, dora) != "" {
		t.Error("registering by invitation changed an account that was there")
	}
}

// Half a session is led to its second step, and back.
func testJoiningTakesTheSecondStep(t *testing.T, s *harness.Server) {
	who := harness.Person{Email: "eve@example.com", Password: newPassword}
	acme, err := s.App.Store.OrganizationBySlug(t.Context(), "acme-corp")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.App.Identity.Organizations.RemoveMember(t.Context(), identity.Actor{UserID: s.User(t, harness.Alice).ID}, acme.ID, s.User(t, who).ID); err != nil {
		t.Fatal(err)
	}
	phone := s.Phone(t, who)
	link := invite(t, s, who.Email, storage.RoleGuest)
	b := s.Browser(t)
	login := b.Get(t, href(t, b.Get(t, link), "sign-in"))
	step := b.Submit(t, login.Form(t, "login"), "email", who.Email, "password", who.Password)
	if step.URL.Path != "/login/factor" {
		t.Fatalf("the password leads to %s", step.URL)
	}
	if p := b.Get(t, link); p.URL.Path != "/login/factor" {
		t.Errorf("half a session sees %s", p.URL)
	}
	back := b.Submit(t, step.FormWith(t, "code"), "code", phone.Code(t))
	if back.URL.Path != "/invite" {
		t.Fatalf("the code leads to %s", back.URL)
	}
	b.Submit(t, back.FormWith(t, "act"), "act", "accept")
	if got := roleIn(t, s, who); got != storage.RoleGuest {
		t.Errorf("role %q", got)
	}
}

func testInvitationsThatEnd(t *testing.T, s *harness.Server) {
	s.Clock.Advance(time.Minute)
	acme, err := s.App.Store.OrganizationBySlug(t.Context(), "acme-corp")
	if err != nil {
		t.Fatal(err)
	}
	busy := s.Browser(t)
	crowded := busy.Get(t, invite(t, s, "ida@example.com", storage.RoleMember)).Form(t, "register")
	for i := range 11 { // ten registrations a minute, by invitation too
		want := http.StatusUnprocessableEntity
		if i == 10 {
			want = http.StatusTooManyRequests
		}
		says(t, "registering often", busy.Submit(t, crowded, "password", "password1"), want, `id="register-submit"`)
	}
	s.Clock.Advance(time.Minute)
	revoked, late := invite(t, s, "gina@example.com", storage.RoleMember), invite(t, s, "hugo@example.com", storage.RoleMember)
	b := s.Browser(t)
	form := b.Get(t, revoked).Form(t, "register")
	alice := identity.Actor{UserID: s.User(t, harness.Alice).ID}
	open, err := s.App.Identity.Invitations.List(t.Context(), alice, acme.ID, uuid.Nil, 200)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range open {
		if i.Email == "gina@example.com" {
			if err := s.App.Identity.Invitations.Revoke(t.Context(), alice, acme.ID, i.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	says(t, "taken back, shown", b.Get(t, revoked), http.StatusBadRequest, `data-error="invite_link"`)
	says(t, "taken back, sent", b.Submit(t, form, "password", newPassword), http.StatusBadRequest, `data-error="invite_link"`)
	s.Clock.Advance(identity.InvitationLife + time.Second)
	says(t, "late", b.Get(t, late), http.StatusBadRequest, `data-error="invite_link"`)
}

// Where nobody registers, an invitation is for people who have an account.
func TestAnInvitationWhereRegistrationIsClosed(t *testing.T) {
	harness.EachEngine(t, confirming("SALLYPORT_REGISTRATION=false"), func(t *testing.T, s *harness.Server) {
		b := s.Browser(t)
		open := b.Get(t, invite(t, s, "eve@example.com", storage.RoleMember))
		says(t, "the invitation", open, http.StatusOK, `id="sign-in"`)
		if strings.Contains(open.Body, `id="register"`) || strings.Contains(b.Get(t, href(t, open, "sign-in")).Body, `id="register"`) {
			t.Error("it offers to register")
		}
	})
}

// href is where the link of a page with that id leads.
func href(t *testing.T, p *harness.Page, id string) string {
	t.Helper()
	_, rest, ok := strings.Cut(p.Body, `id="`+id+`" href="`)
	to, _, _ := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("the page %s has no link %s:\n%s", p.URL, id, p.Body)
	}
	return strings.ReplaceAll(to, "&amp;", "&")
}

// MF-07: whoever must set up a second step first does not join before.
func testJoiningWhileOverdue(t *testing.T, s *harness.Server) {
	who := harness.Person{Email: "gina@example.com", Password: newPassword}
	if _, err := s.App.Identity.People.Create(t.Context(), identity.Operator(), identity.NewUser{Email: who.Email, Password: who.Password}); err != nil {
		t.Fatal(err)
	}
	link := invite(t, s, who.Email, storage.RoleMember)
	b := s.Browser(t)
	harness.SignIn(t, b, who)
	form := b.Get(t, link).FormWith(t, "act")
	if _, err := s.App.Identity.Policies.SetPlatformMFA(t.Context(), identity.Operator(), storage.MFAPolicy{Require: storage.RequireAny}); err != nil {
		t.Fatal(err)
	}
	if err := s.App.Registry.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := b.Submit(t, form, "act", "accept"); p.URL.Path != "/login/factor" || roleIn(t, s, who) != "" {
		t.Errorf("accepted: %d at %s, role %q", p.Status, p.URL, roleIn(t, s, who))
	}
	if p := b.Get(t, link); p.URL.Path != "/login/factor" {
		t.Errorf("the invitation leads to %s", p.URL)
	}
}
