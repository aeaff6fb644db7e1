package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

const halfClients = `version: 1
clients:
  - {client_id: anyones, client_name: Reports, redirect_uris: ["http://localhost:5001/callback"], scope: openid org orgs, secret: reports_secret_2024_01, skip_consent: true}
  - {client_id: of-acme, client_name: Reports, organization: acme-corp, redirect_uris: ["http://localhost:5001/callback"], scope: openid org, secret: reports_secret_2024_01, skip_consent: true}
  - {client_id: of-tech, client_name: Reports, organization: tech-startup, redirect_uris: ["http://localhost:5001/callback"], scope: openid org, secret: reports_secret_2024_01, skip_consent: true}
`

// halfAnswers compares what a session that has yet to prove its second factor is told
// about one organization and another.
type halfAnswers struct {
	*harness.Server
	b  *harness.Browser
	rp *harness.RP
}

// variable is all of an answer that differs between two equal requests: tokens,
// challenges, ids.
var variable = regexp.MustCompile(`[A-Za-z0-9_.%-]{40,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// answer is a page in a form that can be compared.
func (h *halfAnswers) answer(t *testing.T, p *harness.Page) string {
	t.Helper()
	for _, name := range []string{"Acme Corp", "Tech Startup"} {
		if strings.Contains(p.Body, name) {
			t.Errorf("%s shows %s", p.URL, name)
		}
	}
	to := p.URL.Path
	if p.Away != nil {
		to = p.Away.Path + "?error=" + p.Away.Query().Get("error") + "&description=" + p.Away.Query().Get("error_description")
	}
	return fmt.Sprintf("%d ", p.Status) + variable.ReplaceAllString(to+"\n"+p.Body, "…")
}

// same fails unless ask answers alike for each of these.
func (h *halfAnswers) same(t *testing.T, what string, each []string, ask func(organization string) string) {
	t.Helper()
	want := ask(each[0])
	for _, o := range each[1:] {
		if got := ask(o); got != want {
			t.Errorf("%s: the answer for %s differs from that for %s:\n%s\n--- and:\n%s", what, o, each[0], got, want)
		}
	}
}

// A password alone does not tell where its person is a member: whatever organization
// is asked for, one of the person's, another one, one that does not exist and one that
// cannot, status, page and next step are the same.
func TestBeforeTheSecondFactorNoAnswerDependsOnMemberships(t *testing.T) {
	harness.EachEngine(t, harness.Options{Clients: halfClients}, func(t *testing.T, s *harness.Server) {
		h := &halfAnswers{Server: s, b: s.Browser(t), rp: s.RP("anyones", "reports_secret_2024_01", "http://localhost:5001/callback", "openid org")}
		hints := []string{"", h.rp.SignIn(t, s.Browser(t), harness.Bob, nil).IDToken,
			h.rp.SignIn(t, s.Browser(t), harness.Bob, url.Values{"scope": {"openid"}}).IDToken}
		acme, err := s.App.Store.OrganizationBySlug(t.Context(), "acme-corp")
		if err != nil {
			t.Fatal(err)
		}
		tech, err := s.App.Store.OrganizationBySlug(t.Context(), "tech-startup")
		if err != nil {
			t.Fatal(err)
		}
		phone := s.Phone(t, harness.Bob)
		harness.EnterPassword(t, h.b, harness.Bob)
		slugs := []string{"acme-corp", "tech-startup", "does-not-exist", "Not-A-Slug!"}
		ids := []string{acme.ID.String(), tech.ID.String(), uuid.NewString(), "00000000-0000-0000-0000-000000000000"}
		testHalfAtAuthorize(t, h, slugs, ids, hints)
		testHalfWithinAFlow(t, h, slugs)
		testHalfElsewhere(t, h, slugs, ids)

		// The factor proven, the difference is told.
		p := harness.OpenSecondFactor(t, h.b, h.rp.Authorize(url.Values{"organization": {"tech-startup"}}))
		p = h.b.Submit(t, p.Form(t, "factor"), "code", phone.Code(t))
		if p.Status != http.StatusForbidden || !strings.Contains(p.Body, `data-error="not_a_member"`) {
			t.Errorf("with the factor: %d at %s", p.Status, p.URL)
		}
	})
}

func testHalfAtAuthorize(t *testing.T, h *halfAnswers, slugs, ids, hints []string) {
	ask := func(extra url.Values) string {
		t.Helper()
		return h.answer(t, h.b.Get(t, h.rp.Authorize(extra).URL))
	}
	with := func(prompt string, extra url.Values) url.Values {
		if prompt != "" {
			extra.Set("prompt", prompt)
		}
		return extra
	}
	for _, prompt := range []string{"", "none", "consent"} {
		h.same(t, prompt+" organization by slug", slugs, func(o string) string { return ask(with(prompt, url.Values{"organization": {o}})) })
		h.same(t, prompt+" organization by id", ids, func(o string) string { return ask(with(prompt, url.Values{"organization": {o}})) })
		h.same(t, prompt+" org:<slug>", slugs, func(o string) string { return ask(with(prompt, url.Values{"scope": {"openid org:" + o}})) })
		h.same(t, prompt+" id_token_hint", hints, func(hint string) string {
			if hint == "" {
				return ask(with(prompt, url.Values{}))
			}
			return ask(with(prompt, url.Values{"id_token_hint": {hint}}))
		})
		h.same(t, prompt+" client of an organization", []string{"of-acme", "of-tech", "anyones"}, func(client string) string {
			return ask(with(prompt, url.Values{"client_id": {client}}))
		})
	}
	h.same(t, "pushed", slugs, func(o string) string {
		var pushed struct {
			URI string `json:"request_uri"`
		}
		if status, _ := h.rp.Post(t, "/oauth2/par", h.rp.Authorize(url.Values{"organization": {o}}).Params, &pushed); status != http.StatusCreated {
			t.Fatalf("the pushed request answers %d", status)
		}
		return h.answer(t, h.b.Get(t, "/oauth2/authorize?client_id=anyones&request_uri="+url.QueryEscape(pushed.URI)))
	})
	h.same(t, "posted", slugs, func(o string) string {
		return h.answer(t, h.b.Post(t, "/oauth2/authorize", h.rp.Authorize(url.Values{"organization": {o}}).Params))
	})
}

func testHalfWithinAFlow(t *testing.T, h *halfAnswers, slugs []string) {
	h.same(t, "the pages of a flow", slugs, func(o string) string {
		p := harness.OpenSecondFactor(t, h.b, h.rp.Authorize(url.Values{"organization": {o}}))
		flow := "?flow=" + p.URL.Query().Get("flow")
		var all []string
		for _, path := range []string{"/oauth2/authorize", "/login", "/login/factor", "/org", "/consent", "/register", "/recover"} {
			all = append(all, h.answer(t, h.b.Get(t, path+flow)))
		}
		csrf := p.Form(t, "factor").Values.Get("csrf")
		for path, form := range map[string]url.Values{"/org": {"organization": {"acme-corp"}, "csrf": {csrf}}, "/consent": {"answer": {"allow"}, "csrf": {csrf}}} {
			all = append(all, path+h.answer(t, h.b.Post(t, path+flow, form)))
		}
		all = append(all, h.answer(t, h.b.Submit(t, p.Form(t, "factor"), "code", "000000")))
		return strings.Join(sorted(all), "\n")
	})
	h.same(t, "picking within a flow", slugs, func(o string) string {
		p := harness.OpenSecondFactor(t, h.b, h.rp.Authorize(nil))
		return h.answer(t, h.b.Post(t, "/org?flow="+p.URL.Query().Get("flow"), url.Values{"organization": {o}, "csrf": {p.Form(t, "factor").Values.Get("csrf")}}))
	})
}

// testHalfElsewhere asks outside a flow: by id, and with a policy of the person's
// organization, of another and of none, which must not show either.
func testHalfElsewhere(t *testing.T, h *halfAnswers, slugs, ids []string) {
	for _, path := range []string{"/api/v1/organizations/%s/security-policy", "/api/v1/organizations/%s/compliance", "/account/organizations?o=%s", "/?o=%s"} {
		h.same(t, path, ids, func(o string) string { return h.answer(t, h.b.Get(t, fmt.Sprintf(path, o))) })
	}
	for _, require := range []string{storage.RequirePasskey, storage.RequireTOTP, storage.RequireAny} {
		h.same(t, "a policy of "+require, slugs[:3], func(o string) string {
			if found, err := h.App.Store.OrganizationBySlug(t.Context(), o); err == nil {
				harness.RequirePolicy(t, h.Server, found.ID, storage.MFAPolicy{Require: require})
				defer harness.RequirePolicy(t, h.Server, found.ID, storage.MFAPolicy{})
			}
			var all []string
			for _, path := range []string{"/login/factor", "/login/factor?to=/account", "/account", "/account/organizations", "/account/security", "/invite?token=x",
				"/api/v1/auth/me", "/api/v1/users/me", "/api/v1/users/me/organizations", "/api/v1/users/me/grants"} {
				all = append(all, h.answer(t, h.b.Get(t, path)))
			}
			return strings.Join(all, "\n")
		})
	}
}

func sorted(all []string) []string { return slices.Sorted(slices.Values(all)) }
