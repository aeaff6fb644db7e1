package app_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// varying is what differs between any two answers: tokens, dates, request ids.
var varying = regexp.MustCompile(`(%3D)?[A-Za-z0-9_-]{43,}|Expires=[^;]*|[0-9]{1,2} [A-Z][a-z]+ 20[0-9]{2}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// look is all of an answer that could tell something, without what was typed.
func look(p *harness.Page, typed string) string {
	header := http.Header{}
	maps.Copy(header, p.Header)
	for _, name := range []string{"Date", "X-Request-Id", "Content-Length"} {
		header.Del(name)
	}
	body := p.Body
	for _, form := range []string{typed, url.QueryEscape(typed)} {
		if form == "" {
			break
		}
		body = strings.ReplaceAll(body, form, "*")
	}
	to := *p.URL
	to.RawQuery = ""
	return fmt.Sprint(p.Status, " ", to.Path, "\n", varying.ReplaceAllString(fmt.Sprint(header), "*"), "\n", varying.ReplaceAllString(body, "*"))
}

// LG-01: an answer tells nobody whether an address has an account, nor of what
// kind. The addresses are of one length, so that length is compared too.
func TestNoAnswerTellsWhoHasAnAccount(t *testing.T) {
	o := confirming()
	o.Host = "localhost"
	harness.EachEngine(t, o, func(t *testing.T, s *harness.Server) {
		addresses := accounts(t, s)
		for name, ask := range map[string]func(b *harness.Browser, email string) *harness.Page{
			"login": func(b *harness.Browser, email string) *harness.Page { return tryPassword(t, b, "/login", email) },
			"register": func(b *harness.Browser, email string) *harness.Page {
				return register(t, b, b.Get(t, "/register"), harness.Person{Email: email, Password: newPassword})
			},
			"recover": func(b *harness.Browser, email string) *harness.Page { return recovery(t, b, email) },
			"login within a flow": func(b *harness.Browser, email string) *harness.Page {
				return tryPassword(t, b, harness.Quiet(s, "openid").Authorize(nil).URL, email)
			},
			"an invitation": func(b *harness.Browser, email string) *harness.Page {
				return b.Get(t, invite(t, s, email, storage.RoleMember))
			},
			"a passkey": func(b *harness.Browser, _ string) *harness.Page {
				form := b.Get(t, "/login").FormWith(t, "credential")
				p := b.Post(t, form.Begin, url.Values{"csrf": form.Values["csrf"]})
				says(t, "a challenge", p, http.StatusOK, "publicKey")
				return p
			},
		} {
			looks := map[string]string{}
			for _, kind := range slices.Sorted(maps.Keys(addresses)) {
				if name == "an invitation" && kind == "member" {
					continue // there is none
				}
				s.Clock.Advance(time.Hour) // within every limit
				looks[kind] = look(ask(s.Browser(t), addresses[kind]), addresses[kind])
			}
			alike(t, name, looks)
		}
		// A link that was used, is late, or never was one.
		b := s.Browser(t)
		links := map[string]string{"unknown": s.Issuer + "/verify?token=" + strings.Repeat("A", 43)}
		links["late"] = registerAnew(t, s, b, harness.Person{Email: "late@example.com", Password: newPassword})
		s.Clock.Advance(25 * time.Hour)
		links["used"] = registerAnew(t, s, b, harness.Person{Email: "used@example.com", Password: newPassword})
		b.Submit(t, b.Get(t, links["used"]).Form(t, "verify"))
		looks := map[string]string{}
		for kind, link := range links {
			looks[kind] = look(s.Browser(t).Get(t, link), s.Issuer)
		}
		alike(t, "links", looks)
	})
}

// alike wants one look of all.
func alike(t *testing.T, what string, looks map[string]string) {
	t.Helper()
	kinds := slices.Sorted(maps.Keys(looks))
	for _, kind := range kinds[1:] {
		if diff := cmp.Diff(looks[kinds[0]], looks[kind]); diff != "" {
			t.Errorf("%s: %s and %s differ:\n%s", what, kinds[0], kind, diff)
		}
	}
}

func tryPassword(t *testing.T, b *harness.Browser, path, email string) *harness.Page {
	t.Helper()
	return b.Submit(t, b.Get(t, path).Form(t, "login"), "email", email, "password", "not the password")
}

// accounts are addresses of every kind of account, and of none.
func accounts(t *testing.T, s *harness.Server) map[string]string {
	t.Helper()
	all := map[string]string{"unknown": "nobody-at@acme.example", "known": "somebody@acme.example", "disabled": "disabled@acme.example",
		"passwordless": "keyonly@acme.example", "second step": "factors@acme.example", "registering": "halfway@acme.example", "member": harness.Bob.Email}
	people := s.App.Identity
	for kind, email := range all {
		n := identity.NewUser{Email: email, Password: newPassword}
		switch kind {
		case "unknown", "registering", "member":
			continue
		case "passwordless":
			n.Password = ""
		}
		u, err := people.People.Create(t.Context(), identity.Operator(), n)
		if err != nil {
			t.Fatal(err)
		}
		if kind == "disabled" {
			if _, err := people.People.Disable(t.Context(), identity.Operator(), u.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.Phone(t, harness.Person{Email: all["second step"]})
	registerAnew(t, s, s.Browser(t), harness.Person{Email: all["registering"], Password: newPassword})
	return all
}

// A password that is right for an account that is not confirmed says the same as a
// wrong one.
func TestAnUnconfirmedAccountLooksLikeAWrongPassword(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		// Made where CONFIRM_EMAIL was off; it has been switched on since.
		who := harness.Person{Email: "carol@example.com", Password: newPassword}
		b := s.Browser(t)
		register(t, b, b.Get(t, "/register"), who)
		strict := s.Node(t, "SALLYPORT_CONFIRM_EMAIL=true")
		right, wrong := strict.Browser(t), strict.Browser(t)
		one := right.Submit(t, right.Get(t, "/login").Form(t, "login"), "email", who.Email, "password", who.Password)
		other := wrong.Submit(t, wrong.Get(t, "/login").Form(t, "login"), "email", who.Email, "password", "not the password")
		alike(t, "signing in", map[string]string{"right": look(one, who.Email), "wrong": look(other, who.Email)})
		says(t, "the sentence", one, http.StatusUnprocessableEntity, "has to be confirmed first")
	})
}
