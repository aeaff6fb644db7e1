package identity

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/storage"
)

// confirmLink is the link of a registration with oldPassword.
func (in *installation) confirmLink(t testing.TB, r Registration) string {
	t.Helper()
	r.Password = oldPassword
	if err := in.Registrations.Request(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return token(t, in.work(t), r.Email, "completeregistration", "/verify")
}

// verifyLink is a person's link to prove their address.
func (in *installation) verifyLink(t testing.TB, u *storage.User) string {
	t.Helper()
	in.letters(t)
	if err := in.Registrations.RequestVerification(t.Context(), Actor{UserID: u.ID}, request.Info{}); err != nil {
		t.Fatal(err)
	}
	return token(t, in.letters(t), u.Email, "verifyemail", "/verify")
}

// chooses the password that a proof left to be chosen.
func (in *installation) choose(t testing.TB, done *VerifiedEmail, password string) {
	t.Helper()
	if done.PasswordToken == "" {
		t.Fatal("there is no link to choose a password")
	}
	if err := in.Registrations.Reset(t.Context(), done.PasswordToken, password, request.Info{}, ""); err != nil {
		t.Fatal(err)
	}
	if in.signsIn(t, done.User.Email, oldPassword) || !in.signsIn(t, done.User.Email, password) {
		t.Error("the password is not the one that was chosen")
	}
}

// FD-01: somebody registers the address of another, who is the one to follow the
// link. The password of the registration is worth nothing then, unless whoever
// follows is known to have chosen it.
func TestThePasswordOfARegistrationCountsForWhoeverChoseIt(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		const email = "victim@acme-corp.com"
		for name, tc := range map[string]struct {
			by   VerifyInput
			want bool
		}{
			"the same browser":                      {VerifyInput{Browser: attackers}, true},
			"another browser":                       {VerifyInput{Browser: victims}, false},
			"no browser":                            {VerifyInput{}, false},
			"another browser, the password again":   {VerifyInput{Browser: victims, Password: oldPassword}, true},
			"signed in as somebody else, elsewhere": {VerifyInput{Browser: victims, SignedInAs: uuid.New()}, false},
		} {
			link := in.confirmLink(t, Registration{Email: email, Browser: attackers, Flow: "flow"})
			done, err := in.Registrations.Verify(t.Context(), link, tc.by)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := in.signsIn(t, email, oldPassword); got != tc.want || tc.want != (done.PasswordToken == "") {
				t.Errorf("%s: the password signs in %v, want %v; another to be chosen: %v", name, got, tc.want, done.PasswordToken != "")
			}
			if (done.Flow != "") != (tc.by.Browser == attackers) {
				t.Errorf("%s: the flow %q goes on in another browser", name, done.Flow)
			}
			if !tc.want {
				in.choose(t, done, newPassword)
			}
			if err := in.People.Delete(t.Context(), Operator(), done.User.ID); err != nil {
				t.Fatal(err)
			}
			in.letters(t)
		}
		link := in.confirmLink(t, Registration{Email: email}) // by the API: no browser
		if _, err := in.Registrations.Verify(t.Context(), link, VerifyInput{Password: newPassword}); err != ErrWrongPassword {
			t.Errorf("another password: got %v, want ErrWrongPassword", err)
		}
		if done, err := in.Registrations.Verify(t.Context(), link, VerifyInput{}); err != nil || done.PasswordToken == "" {
			t.Errorf("the link did not stay, or two that have no browser are one: %+v, %v", done, err)
		}
	}, confirming)
}

func TestOfTwoRegistrationsOfOneAddressTheFirstProvenCounts(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		theirs := in.confirmLink(t, Registration{Email: "bob@acme-corp.com", Name: "Mallory", Browser: attackers})
		mine := in.confirmLink(t, Registration{Email: "bob@acme-corp.com", Name: "Bob", Browser: victims})
		done, err := in.Registrations.Verify(t.Context(), mine, VerifyInput{Browser: victims})
		if err != nil || done.User.Profile.Name != "Bob" {
			t.Fatalf("got %+v, %v", done, err)
		}
		for _, by := range []VerifyInput{{Browser: attackers}, {Browser: victims}, {SignedInAs: done.User.ID}, {Password: oldPassword}} {
			if _, err := in.Registrations.Verify(t.Context(), theirs, by); err != ErrRegistered {
				t.Errorf("the other link: got %v, want ErrRegistered", err)
			}
		}
	}, confirming)
}

// FD-02: what somebody prepared on an account with another's address is void once
// that other has proven it: password, live sessions, offline grants, what was told
// about the person, and the organization that came with the account.
func TestTheFirstProofTakesAnAccountFromWhoeverMadeIt(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		const email = "victim@acme-corp.com"
		acme, err := in.Organizations.Create(t.Context(), Operator(), "acme-corp", "Acme", uuid.Nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, prove := range map[string]func(t testing.TB, u *storage.User) (password string){
			"by the link, in another browser": func(t testing.TB, u *storage.User) string {
				done, err := in.Registrations.Verify(t.Context(), in.verifyLink(t, u), VerifyInput{Browser: victims})
				if err != nil {
					t.Fatal(err)
				}
				if in.signsIn(t, email, oldPassword) {
					t.Error("the password of whoever made it still signs in")
				}
				in.choose(t, done, newPassword)
				return newPassword
			},
			"by a reset": func(t testing.TB, _ *storage.User) string {
				if _, _, err := in.Registrations.Register(t.Context(), Registration{Email: email, Password: newPassword}); err != ErrRegistered {
					t.Fatalf("registering a taken address: got %v, want ErrRegistered", err)
				}
				if err := in.Registrations.RequestRecovery(t.Context(), email, ReturnTo{}, request.Info{}, ""); err != nil {
					t.Fatal(err)
				}
				in.letters(t)
				if err := in.Registrations.Reset(t.Context(), token(t, in.work(t), email, "passwordreset", "/recover/reset"), newPassword, request.Info{}, ""); err != nil {
					t.Fatal(err)
				}
				return newPassword
			},
			"by registering, where CONFIRM_EMAIL is on now": func(t testing.TB, _ *storage.User) string {
				if err := in.Registrations.Request(t.Context(), Registration{Email: email, Name: "Victoria", Password: newPassword, Browser: victims}); err != nil {
					t.Fatal(err)
				}
				done, err := in.Registrations.Verify(t.Context(), token(t, in.work(t), email, "completeregistration", "/verify"), VerifyInput{Browser: victims})
				if err != nil || done.PasswordToken != "" || done.User.Profile.Name != "Victoria" {
					t.Fatalf("got %+v, %v", done, err)
				}
				return newPassword
			},
			"by an invitation": func(t testing.TB, _ *storage.User) string {
				invitation, _ := in.invited(t, Operator(), acme, email, storage.RoleMember)
				if _, _, err := in.Registrations.Register(t.Context(), Registration{Email: email, Name: "Victoria", Password: newPassword, Invitation: invitation}); err != nil {
					t.Fatal(err)
				}
				return newPassword
			},
			"by registering, followed elsewhere": func(t testing.TB, _ *storage.User) string {
				done, err := in.Registrations.Verify(t.Context(), in.confirmLink(t, Registration{Email: email, Browser: attackers}), VerifyInput{Browser: victims})
				if err != nil {
					t.Fatal(err)
				}
				in.choose(t, done, newPassword)
				return newPassword
			},
			"by an operator who gives it the address": func(t testing.TB, u *storage.User) string {
				if err := in.People.SetEmail(t.Context(), Operator(), u.ID, email); err != nil {
					t.Fatal(err)
				}
				return ""
			},
		} {
			u := in.unproven(t, email)
			live := in.session(t, u)
			in.consent(t, live, in.grant(t, u, live))
			theirs := in.settled(t, u)
			password := prove(t, u)
			now, err := in.store.UserByEmail(t.Context(), email)
			if err != nil || now.ID != u.ID || !now.EmailVerified() {
				t.Fatalf("%s: got %+v, %v", name, now, err)
			}
			if in.signsIn(t, email, oldPassword) || in.lives(t, live) || in.granted(t, u) != 0 {
				t.Errorf("%s: password %v, session %v, grants %d are left", name, in.signsIn(t, email, oldPassword), in.lives(t, live), in.granted(t, u))
			}
			if apps, err := in.Accounts.Apps(t.Context(), Actor{UserID: u.ID}); err != nil || len(apps) != 0 {
				t.Errorf("%s: consents are left: %v, %v", name, apps, err)
			}
			if password != "" && !in.signsIn(t, email, password) {
				t.Errorf("%s: the new password does not sign in", name)
			}
			if p := now.Profile; p.PhoneNumber != "" || p.Picture != "" || p.Name == "Mallory" {
				t.Errorf("%s: the account tells of itself: %+v", name, p)
			}
			if _, err := in.store.Organization(t.Context(), theirs); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("%s: the organization of whoever made the account: got %v, want it gone", name, err)
			}
			if err := in.Accounts.OnFirstSignIn(t.Context(), now); err != nil {
				t.Fatal(err)
			}
			if own, err := in.store.Memberships(t.Context(), u.ID, "", 0); err != nil || len(own) == 0 || own[len(own)-1].Organization.ID == theirs {
				t.Errorf("%s: the owner is not welcomed: %+v, %v", name, own, err)
			}
			if err := in.People.Delete(t.Context(), Operator(), u.ID); err != nil {
				t.Fatal(err)
			}
			in.letters(t)
		}
	}, welcoming)
}

func welcoming(c *Config) { c.Accounts.PersonalOrg = PersonalAlways }

// settled is a person who has signed in and told about themself; it returns the
// organization they got.
func (in *installation) settled(t testing.TB, u *storage.User) uuid.UUID {
	t.Helper()
	phone, picture := "+44 20 5550100", "https://evil.example/face.png"
	if err := in.Accounts.UpdateProfile(t.Context(), Actor{UserID: u.ID}, ProfilePatch{PhoneNumber: &phone, Picture: &picture}); err != nil {
		t.Fatal(err)
	}
	if err := in.Accounts.OnFirstSignIn(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	own, err := in.store.Memberships(t.Context(), u.ID, "", 0)
	if err != nil || len(own) != 1 {
		t.Fatalf("got %+v, %v, want one organization", own, err)
	}
	return own[0].Organization.ID
}

func TestWhoeverIsSignedInToTheAccountLosesNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		for name, by := range map[string]func(u *storage.User) VerifyInput{
			"signed in": func(u *storage.User) VerifyInput { return VerifyInput{Browser: victims, SignedInAs: u.ID} },
			"the password again": func(*storage.User) VerifyInput {
				return VerifyInput{Browser: victims, Password: oldPassword}
			},
		} {
			u := in.unproven(t, "bob@acme-corp.com")
			live := in.session(t, u)
			in.grant(t, u, live)
			link := in.verifyLink(t, u)
			if _, err := in.Registrations.Verify(t.Context(), link, VerifyInput{Password: newPassword}); err != ErrWrongPassword {
				t.Errorf("%s: another password: got %v", name, err)
			}
			done, err := in.Registrations.Verify(t.Context(), link, by(u))
			if err != nil || !done.User.EmailVerified() || done.PasswordToken != "" {
				t.Fatalf("%s: got %+v, %v", name, done, err)
			}
			if !in.signsIn(t, u.Email, oldPassword) || !in.lives(t, live) || in.granted(t, u) != 1 {
				t.Errorf("%s: something is lost", name)
			}
			if err := in.People.Delete(t.Context(), Operator(), u.ID); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A second proof changes nothing: an account that is somebody's stays theirs.
func TestALinkForAProvenAddressTakesNothing(t *testing.T) {
	in := onSQLite(t)
	u := in.unproven(t, "bob@acme-corp.com")
	first, second := in.verifyLink(t, u), in.verifyLink(t, u)
	if _, err := in.Registrations.Verify(t.Context(), first, VerifyInput{SignedInAs: u.ID}); err != nil {
		t.Fatal(err)
	}
	live := in.session(t, u)
	done, err := in.Registrations.Verify(t.Context(), second, VerifyInput{Browser: attackers})
	if err != nil || done.PasswordToken != "" || !in.lives(t, live) || !in.signsIn(t, u.Email, oldPassword) {
		t.Errorf("got %+v, %v", done, err)
	}
	if err := in.Registrations.RequestVerification(t.Context(), Actor{UserID: u.ID}, request.Info{}); err != nil || len(in.letters(t)) != 0 {
		t.Errorf("another mail is sent to a proven address: %v", err)
	}
}

func TestWhenALinkToVerifyIsWorthNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		for name, spoil := range map[string]func(u *storage.User) error{
			"the person is disabled": func(u *storage.User) error {
				_, err := in.People.Disable(t.Context(), Operator(), u.ID)
				return err
			},
			"the person is gone": func(u *storage.User) error { return in.People.Delete(t.Context(), Operator(), u.ID) },
			"the address changed": func(u *storage.User) error {
				return in.People.SetEmail(t.Context(), Operator(), u.ID, uuid.NewString()+"@a.example")
			},
			"a day is over": func(*storage.User) error { in.now = in.now.Add(24 * time.Hour); return nil },
		} {
			u := in.unproven(t, uuid.NewString()+"@acme-corp.com")
			link := in.verifyLink(t, u)
			if _, err := in.Registrations.OpenVerification(t.Context(), link); err != nil {
				t.Fatal(err)
			}
			if err := spoil(u); err != nil {
				t.Fatal(err)
			}
			_, opened := in.Registrations.OpenVerification(t.Context(), link)
			_, used := in.Registrations.Verify(t.Context(), link, VerifyInput{SignedInAs: u.ID})
			_, reset := in.Registrations.OpenReset(t.Context(), link)
			if opened != ErrLink || used != ErrLink || reset != ErrLink {
				t.Errorf("%s: got %v, %v, %v, want ErrLink", name, opened, used, reset)
			}
		}
	})
}

// A disabled account is not opened by registering its address again.
func TestADisabledAccountIsNotRegisteredOver(t *testing.T) {
	in := onSQLite(t)
	u := in.unproven(t, "bob@acme-corp.com")
	in.Accounts.confirmEmail = true
	link := in.confirmLink(t, Registration{Email: "bob@acme-corp.com", Browser: victims})
	if _, err := in.People.Disable(t.Context(), Operator(), u.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Registrations.Verify(t.Context(), link, VerifyInput{Browser: victims}); err != ErrLink {
		t.Errorf("got %v, want ErrLink", err)
	}
	if now, err := in.store.User(t.Context(), u.ID); err != nil || now.EmailVerified() || now.Active() {
		t.Errorf("got %+v, %v", now, err)
	}
}

// A link sealed under a removed key is a link that does not work, not a fault.
func TestALinkUnderAForgottenKeyIsDead(t *testing.T) {
	in := onSQLite(t, confirming)
	link := in.confirmLink(t, Registration{Email: "bob@acme-corp.com", Browser: victims})
	in.People.sealer = otherSealer(t)
	_, opened := in.Registrations.OpenVerification(t.Context(), link)
	_, used := in.Registrations.Verify(t.Context(), link, VerifyInput{Browser: victims})
	if !errors.Is(opened, ErrLink) || !errors.Is(used, ErrLink) {
		t.Errorf("got %v, %v, want ErrLink", opened, used)
	}
}

// Once CONFIRM_EMAIL is switched on, whoever came in unproven before is out.
func TestUnprovenPeopleAreOutWhereAddressesMustBeProven(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		bob, eve := in.user(t, "bob@acme-corp.com", false), in.unproven(t, "eve@acme-corp.com")
		in.unproven(t, "idle@acme-corp.com")
		his, hers := in.session(t, bob), in.session(t, eve)
		in.grant(t, bob, his)
		in.grant(t, eve, hers)
		for _, step := range []struct {
			confirm bool
			ended   int
		}{{false, 0}, {true, 1}, {true, 0}} {
			in.Accounts.confirmEmail = step.confirm
			if n, err := in.Registrations.RevokeUnverified(t.Context()); err != nil || n != step.ended {
				t.Errorf("CONFIRM_EMAIL %v: got %d, %v, want %d", step.confirm, n, err, step.ended)
			}
			if in.lives(t, hers) == step.confirm || (in.granted(t, eve) == 0) != step.confirm {
				t.Errorf("CONFIRM_EMAIL %v: session %v, %d grants", step.confirm, in.lives(t, hers), in.granted(t, eve))
			}
		}
		if !in.lives(t, his) || in.granted(t, bob) != 1 {
			t.Error("somebody proven is out too")
		}
		events, err := in.store.EventsAbout(t.Context(), eve.ID, 10)
		if err != nil || !slices.ContainsFunc(events, func(e storage.Event) bool { return e.Type == "user.access_ended" }) {
			t.Errorf("there is no event: %+v, %v", events, err)
		}
	})
}
