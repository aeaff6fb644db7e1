package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/request"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

func TestAProfileIsChangedMemberByMember(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		bob, err := in.People.Create(t.Context(), Operator(), NewUser{Email: "bob@acme-corp.com", Profile: bobsProfile()})
		if err != nil {
			t.Fatal(err)
		}
		me := Actor{UserID: bob.ID}
		name, none, phone := " Robert Baker ", "", "+44 20 7946 0000"
		if err := in.Accounts.UpdateProfile(t.Context(), me, ProfilePatch{Name: &name, Nickname: &none, PhoneNumber: &phone, Address: &storage.Address{Country: "Wales"}}); err != nil {
			t.Fatal(err)
		}
		want := bobsProfile()
		want.Name, want.Nickname, want.PhoneNumber, want.PhoneNumberVerified, want.Address = "Robert Baker", "", phone, false, &storage.Address{Country: "Wales"}
		got, err := in.store.User(t.Context(), bob.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Profile); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := in.Accounts.UpdateProfile(t.Context(), me, ProfilePatch{Address: &storage.Address{}}); err != nil {
			t.Fatal(err)
		}
		if got, err = in.store.User(t.Context(), bob.ID); err != nil || got.Profile.Address != nil {
			t.Errorf("a cleared address: got %+v, %v", got.Profile.Address, err)
		}
		if err := in.Accounts.UpdateProfile(t.Context(), Actor{UserID: uuid.New()}, ProfilePatch{Name: &name}); !errors.Is(err, ErrForbidden) {
			t.Errorf("a stranger: got %v", err)
		}
	})
}

// The claims of OpenID Connect Core 1.0, section 5.1, in the forms it gives them.
func TestWhatIsNoClaimIsRefused(t *testing.T) {
	for field, cases := range map[string]map[string]bool{
		"name":         {"Bob": true, strings.Repeat("é", 200): true, strings.Repeat("é", 201): false, "Bob\r\nBcc: x": false, "Bob\u202eb": false},
		"website":      {"https://bob.example": true, "http://bob.example/me": true, "javascript:alert(1)": false, "//bob.example": false, "https://user:pw@bob.example": false, "https://" + strings.Repeat("b", 2048): false},
		"picture":      {"data:image/png;base64,AAAA": false, "https://bob.example/b.png": true},
		"birthdate":    {"1985-04-12": true, "1985": true, "0000-02-29": true, "0000-04-12": true, "1985-13-01": false, "12.4.1985": false, "1985-4-12": false},
		"zoneinfo":     {"Europe/Berlin": true, "America/Argentina/Buenos_Aires": true, "Etc/GMT+1": true, "../etc/passwd": false, "Europe/": false},
		"locale":       {"en-GB": true, "de": true, "zh-Hant-TW": true, "en_US": true, "english please": false, "-": false},
		"phone_number": {"+49 30 5550100": true, "+1 (604) 555-1234;ext=5678": true, "call me": false, "+": false},
	} {
		for value, ok := range cases {
			var p ProfilePatch
			document, err := json.Marshal(map[string]string{field: value})
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(document, &p); err != nil {
				t.Fatal(err)
			}
			if changed, err := p.Check(); (err == nil) != ok || !slices.Equal(changed, []string{field}) {
				t.Errorf("%s %.30q: got %v, %v, want accepted %v", field, value, changed, err, ok)
			}
		}
	}
	for name, a := range map[string]storage.Address{
		"a line break in the country": {Country: "Wales\nEngland"}, "invisible": {Region: "A\u200bB"}, "endless": {StreetAddress: strings.Repeat("x ", 400)},
	} {
		if _, err := (&ProfilePatch{Address: &a}).Check(); err == nil {
			t.Errorf("%s: got no fault", name)
		}
	}
	if _, err := (&ProfilePatch{Address: &storage.Address{Formatted: "1 Lane\r\nBerlin"}}).Check(); err != nil {
		t.Errorf("lines of a formatted address: %v", err)
	}
}

// RS-09: people do not change their address; who administers the installation does,
// and whoever had the old one hears of it and is out.
func TestAnAddressIsChangedByThePlatformAlone(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		bob, root := in.user(t, "bob@acme-corp.com", false), in.user(t, "root@acme-corp.com", true)
		live := in.session(t, bob)
		in.grant(t, bob, live)
		link := in.resetLink(t, bob)
		if err := in.People.SetEmail(t.Context(), Actor{UserID: bob.ID}, bob.ID, "eve@evil.example"); !errors.Is(err, ErrForbidden) {
			t.Errorf("their own: got %v, want ErrForbidden", err)
		}
		var faults FieldErrors
		if err := in.People.SetEmail(t.Context(), Operator(), bob.ID, "bob@@b"); !errors.As(err, &faults) {
			t.Errorf("no address: got %v", err)
		}
		if err := in.People.SetEmail(t.Context(), Operator(), bob.ID, "ROOT@acme-corp.com"); !errors.Is(err, storage.ErrExists) {
			t.Errorf("a taken address: got %v, want ErrExists", err)
		}
		if !in.lives(t, live) || len(in.letters(t)) != 0 {
			t.Error("a refused change has changed something")
		}
		if err := in.People.SetEmail(t.Context(), Actor{UserID: root.ID}, bob.ID, " Robert@Acme-Corp.com"); err != nil {
			t.Fatal(err)
		}
		got, err := in.store.User(t.Context(), bob.ID)
		if err != nil || got.Email != "Robert@Acme-Corp.com" || got.EmailKey != "robert@acme-corp.com" || !got.EmailVerified() || got.Sub != bob.Sub {
			t.Errorf("got %+v, %v", got, err)
		}
		if in.lives(t, live) || in.granted(t, bob) != 0 {
			t.Error("sessions or grants are left")
		}
		if in.signsIn(t, "bob@acme-corp.com", oldPassword) || !in.signsIn(t, "robert@acme-corp.com", oldPassword) {
			t.Error("the password of a proven account does not go along")
		}
		if _, err := in.Registrations.OpenReset(t.Context(), link); err != ErrLink {
			t.Errorf("a link in the old mailbox: got %v, want ErrLink", err)
		}
		letters := in.letters(t)
		if err := in.People.SetEmail(t.Context(), Operator(), bob.ID, "bob@acme-corp.com"); err != nil {
			t.Fatal(err)
		}
		if _, err := in.Registrations.OpenReset(t.Context(), link); err != ErrLink {
			t.Errorf("a link of before, after the address came back: got %v, want ErrLink", err)
		}
		if len(letters) != 1 || letters[0].Kind != "emailchanged" || letters[0].To != "bob@acme-corp.com" || !strings.Contains(letters[0].Text, "R•••@Acme-Corp.com") || strings.Contains(letters[0].Text, "Robert@") {
			t.Errorf("mails: got %+v", letters)
		}
	})
}

func TestDeletingAnAccountIsBlockedWhileOthersNeedIt(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		alice, bob := in.user(t, "alice@acme-corp.com", false), in.user(t, "bob@acme-corp.com", false)
		me := Actor{UserID: alice.ID, RequestID: "req"}
		shared, err := in.Organizations.Create(t.Context(), Operator(), "shared", "Shared", alice.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Organizations.Create(t.Context(), Operator(), "own", "Own", alice.ID); err != nil {
			t.Fatal(err)
		}
		if err := in.Organizations.AddMember(t.Context(), Operator(), shared.ID, bob.ID, storage.RoleMember); err != nil {
			t.Fatal(err)
		}
		d, err := in.Accounts.PreviewDeletion(t.Context(), me)
		if err != nil || len(d.Blocking) != 1 || d.Blocking[0].Slug != "shared" || len(d.Ending) != 1 || d.Ending[0].Slug != "own" {
			t.Fatalf("got %+v, %v", d, err)
		}
		live := in.session(t, alice)
		if err := in.Accounts.Delete(t.Context(), me, uuid.Nil, request.Info{}); !errors.Is(err, storage.ErrConflict) {
			t.Errorf("got %v, want ErrConflict", err)
		}
		if len(in.letters(t)) != 0 || !in.lives(t, live) || !in.signsIn(t, alice.Email, oldPassword) {
			t.Error("a blocked deletion has deleted something")
		}
		if err := in.Organizations.SetRole(t.Context(), Operator(), shared.ID, bob.ID, storage.RoleOwner); err != nil {
			t.Fatal(err)
		}
		if err := in.Accounts.Delete(t.Context(), me, uuid.Nil, request.Info{Device: "Firefox on Linux"}); err != nil {
			t.Fatal(err)
		}
		letters := in.letters(t)
		if len(letters) != 1 || letters[0].Kind != "accountdeleted" || letters[0].To != alice.Email {
			t.Errorf("mails: got %+v", letters)
		}
		if in.lives(t, live) || in.signsIn(t, alice.Email, oldPassword) {
			t.Error("somebody deleted is still in")
		}
		if _, err := in.store.OrganizationBySlug(t.Context(), "own"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("an organization of nobody: got %v", err)
		}
		about, err := in.store.EventsAbout(t.Context(), alice.ID, 100)
		if err != nil || !slices.ContainsFunc(about, func(e storage.Event) bool { return e.Type == "user.deleted" }) {
			t.Errorf("no event: %v", err)
		}
		for _, e := range about {
			if len(e.Personal) > 0 {
				t.Errorf("%s still names them: %v", e.Type, e.Personal)
			}
		}
		if err := in.Accounts.Delete(t.Context(), me, uuid.Nil, request.Info{}); !errors.Is(err, ErrForbidden) {
			t.Errorf("once more: got %v", err)
		}
	})
}

// An unproven address is nobody's, and gets no mail about what happens to the account.
func TestNoticesGoToProvenAddressesAlone(t *testing.T) {
	in := onSQLite(t)
	u := in.unproven(t, "bob@acme-corp.com")
	me := Actor{UserID: u.ID}
	notice, err := in.Sessions.NewDeviceMail(t.Context(), u, request.Info{})
	if err != nil || notice != nil {
		t.Errorf("a new device: got %v, %v", notice, err)
	}
	err = errors.Join(in.Accounts.ChangePassword(t.Context(), me, oldPassword, newPassword, uuid.Nil, request.Info{}),
		in.People.SetPassword(t.Context(), Operator(), u.ID, "eleven geese cross the moat", uuid.Nil), in.Accounts.Delete(t.Context(), me, uuid.Nil, request.Info{}))
	if got := in.letters(t); err != nil || len(got) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	bob := in.user(t, "bob@acme-corp.com", false)
	if notice, err := in.Sessions.NewDeviceMail(t.Context(), bob, request.Info{}); err != nil || notice == nil {
		t.Errorf("a proven one: got %v, %v", notice, err)
	}
	// MF-10: a mailbox that has had enough gets no more of them.
	in.People.mailboxWait = func(_ context.Context, kind, key string) (time.Duration, error) {
		if kind != "new device" || key != bob.EmailKey {
			return 0, nil
		}
		return time.Hour, nil
	}
	if notice, err := in.Sessions.NewDeviceMail(t.Context(), bob, request.Info{}); err != nil || notice != nil {
		t.Errorf("one too many: got %v, %v", notice, err)
	}
}

func TestSessionsAreEndedByTheirPerson(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		bob, eve := in.user(t, "bob@acme-corp.com", false), in.user(t, "eve@evil.example", false)
		here, there, third, hers := in.session(t, bob), in.session(t, bob), in.session(t, bob), in.session(t, eve)
		in.grant(t, bob, here)
		in.grant(t, bob, there)
		me := Actor{UserID: bob.ID}
		if all, err := in.Sessions.List(t.Context(), me); err != nil || len(all) != 3 {
			t.Fatalf("got %d, %v, want 3", len(all), err)
		}
		if err := in.Sessions.End(t.Context(), me, hers.ID); !errors.Is(err, storage.ErrNotFound) || !in.lives(t, hers) {
			t.Errorf("somebody else's: got %v", err)
		}
		if err := in.Sessions.End(t.Context(), me, there.ID); err != nil || in.lives(t, there) || in.granted(t, bob) != 1 {
			t.Errorf("one: got %v; %d grants", err, in.granted(t, bob))
		}
		if err := in.Sessions.End(t.Context(), me, there.ID); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("again: got %v", err)
		}
		if err := in.Sessions.EndOthers(t.Context(), me, here.ID); err != nil || in.lives(t, third) || !in.lives(t, here) || !in.lives(t, hers) || in.granted(t, bob) != 1 {
			t.Errorf("all others: %v", err)
		}
		if err := in.Sessions.EndOthers(t.Context(), me, uuid.Nil); err != nil || in.lives(t, here) || in.granted(t, bob) != 0 {
			t.Errorf("all: %v", err)
		}
	})
}

func TestAppsAreDisconnectedByTheirPerson(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		bob, eve := in.user(t, "bob@acme-corp.com", false), in.user(t, "eve@evil.example", false)
		live, hers := in.session(t, bob), in.session(t, eve)
		one, two, other := in.grant(t, bob, live), in.grant(t, bob, live), in.grant(t, eve, hers)
		me := Actor{UserID: bob.ID}
		in.consent(t, live, one)
		if err := in.store.TouchGrants(t.Context(), []storage.GrantUse{{GrantID: one.ID, At: in.now}}); err != nil {
			t.Fatal(err)
		}
		apps, err := in.Accounts.Apps(t.Context(), me)
		if err != nil || len(apps) != 2 {
			t.Fatalf("got %+v, %v, want two", apps, err)
		}
		n := slices.IndexFunc(apps, func(a App) bool { return a.Client.ID == one.ClientID })
		want := App{Client: apps[n].Client, Scopes: []string{"openid", "offline_access"}, GrantedAt: in.now, LastUsedAt: in.now, GrantIDs: []uuid.UUID{one.ID}}
		if diff := cmp.Diff(want, apps[n]); diff != "" || apps[n].Client.Name() != "Acme "+one.ClientID || apps[n].Client.Secrets != nil {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for name, act := range map[string]func() error{
			"an app of somebody else":  func() error { return in.Accounts.Disconnect(t.Context(), me, other.ClientID) },
			"an app there is not":      func() error { return in.Accounts.Disconnect(t.Context(), me, "nothing") },
			"a grant of somebody else": func() error { return in.Accounts.RevokeGrant(t.Context(), me, other.ID) },
			"a grant there is not":     func() error { return in.Accounts.RevokeGrant(t.Context(), me, uuid.New()) },
			"an app, the second time": func() error {
				return errors.Join(in.Accounts.Disconnect(t.Context(), me, one.ClientID), in.Accounts.Disconnect(t.Context(), me, one.ClientID))
			},
			"a grant, the second time ": func() error {
				return errors.Join(in.Accounts.RevokeGrant(t.Context(), me, two.ID), in.Accounts.RevokeGrant(t.Context(), me, two.ID))
			},
		} {
			if err := act(); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("%s: got %v, want ErrNotFound", name, err)
			}
		}
		if mine, hers := in.granted(t, bob), in.granted(t, eve); mine != 0 || hers != 1 {
			t.Errorf("%d and %d grants are left, want 0 and 1", mine, hers)
		}
		if apps, err := in.Accounts.Apps(t.Context(), me); err != nil || len(apps) != 0 {
			t.Errorf("left: got %+v, %v", apps, err)
		}
	})
}

// A download says all that is held and nothing that lets anybody in.
func TestADownloadHoldsNoSecret(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		bob, err := in.People.Create(t.Context(), Operator(), NewUser{Email: "bob@acme-corp.com", Password: oldPassword, Profile: bobsProfile()})
		if err != nil {
			t.Fatal(err)
		}
		in.factor(t, bob, "Phone")
		live := in.session(t, bob)
		grant := in.grant(t, bob, live)
		in.resetLink(t, bob)
		o, err := in.Organizations.Create(t.Context(), Operator(), "acme-corp", "Acme", bob.ID)
		if err != nil {
			t.Fatal(err)
		}
		me := Actor{UserID: bob.ID}
		pat, _, err := in.Tokens.Create(t.Context(), me, NewToken{OrganizationID: o.ID, Name: "laptop script", Scopes: []string{ScopeRead}})
		if err != nil {
			t.Fatal(err)
		}
		waiting := &storage.Factor{ID: uuid.Must(uuid.NewV7()), UserID: bob.ID, Kind: storage.FactorTOTP, Name: "never shown", Sealed: []byte("CANARY"), CreatedAt: in.now}
		if err := in.store.Factors.Begin(t.Context(), waiting); err != nil {
			t.Fatal(err)
		}
		root := in.user(t, "root@acme-corp.com", true)
		if err := in.store.Record(t.Context(), withOrigin(userEvent(Actor{UserID: root.ID}, "test.by_another", bob.ID), request.Info{Device: "the administrator's device"})); err != nil {
			t.Fatal(err)
		}
		x, err := in.Accounts.Export(t.Context(), me)
		if err != nil {
			t.Fatal(err)
		}
		document, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		text := string(document)
		for _, said := range []string{bob.Sub.String(), bob.Email, "Road Runner", "Phone", "Firefox on Linux", "192.0.2.0/24", grant.ClientID, "acme-corp", "laptop script",
			"user.created", "test.by_another", "factor.enrolled", "user.recovery_requested", "Safari on macOS", `"recovery_codes_left":1`} {
			if !strings.Contains(text, said) {
				t.Errorf("it does not say %q", said)
			}
		}
		_, hash, err := in.store.UserWithPassword(t.Context(), bob.EmailKey)
		if err != nil {
			t.Fatal(err)
		}
		for _, hidden := range []string{"CANARY", "argon2", hash, live.TokenHash.String(), secret.HashOf(pat).String(), pat, "never shown", "the administrator's device"} {
			if strings.Contains(text, hidden) {
				t.Errorf("it says %q", hidden)
			}
		}
		eve := in.user(t, "eve@evil.example", false)
		if hers, err := in.Accounts.Export(t.Context(), Actor{UserID: eve.ID}); err != nil || strings.Contains(fmt.Sprintf("%+v", hers), "bob") {
			t.Errorf("another's download: %v", err)
		}
	})
}

func TestADownloadSaysWhatItLeavesOut(t *testing.T) {
	in := onSQLite(t)
	now := in.now
	p := &storage.NewUser{User: storage.User{ID: uuid.Must(uuid.NewV7()), Sub: uuid.New(), Email: "bob@acme-corp.com", EmailKey: "bob@acme-corp.com", EmailVerifiedAt: now, CreatedAt: now, UpdatedAt: now}}
	for k := range maxExportedEvents + 1 {
		p.Events = append(p.Events, &storage.Event{Type: storage.EventType(fmt.Sprintf("event.%d", k)), User: p.User.ID})
	}
	if err := in.store.CreateUsers(storage.WithLongCalls(t.Context(), time.Minute), p); err != nil {
		t.Fatal(err)
	}
	x, err := in.Accounts.Export(t.Context(), Actor{UserID: p.User.ID})
	if err != nil || !x.EventsLeftOut || len(x.Events) != maxExportedEvents || x.Events[0].Type != fmt.Sprintf("event.%d", maxExportedEvents) {
		t.Fatalf("got %d events, left out %v, %v: the newest count", len(x.Events), x.EventsLeftOut, err)
	}
}

// bobsProfile has every standard claim (OpenID Connect Core 1.0, section 5.1).
func bobsProfile() storage.Profile {
	return storage.Profile{
		Name: "Bob Baker", GivenName: "Bob", FamilyName: "Baker", MiddleName: "Benjamin", Nickname: "Bobby",
		ProfileURL: "https://acme-corp.example/people/bob", Picture: "https://acme-corp.example/people/bob.png", Website: "https://bob.example",
		Gender: "male", Birthdate: "1985-04-12", Zoneinfo: "Europe/Berlin", Locale: "en-GB",
		PhoneNumber: "+49 30 5550100", PhoneNumberVerified: true,
		Address: &storage.Address{Formatted: "1 Road Runner Lane\n10115 Berlin\nGermany", StreetAddress: "1 Road Runner Lane",
			Locality: "Berlin", Region: "Berlin", PostalCode: "10115", Country: "Germany"},
	}
}
