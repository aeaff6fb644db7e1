package upstream

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/fakeidp"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

// newService is a Service that may ask this machine, with a connection to a fake provider.
func newService(t *testing.T, timeout time.Duration) (*Service, *fakeidp.Provider, *storage.Connection) {
	t.Helper()
	sealer, err := secret.NewSealer([][]byte{secret.Random(32)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Sealer: sealer, Timeout: timeout, Now: time.Now, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	l := httptest.NewUnstartedServer(nil)
	idp := fakeidp.New(fakeidp.Config{Kind: fakeidp.OIDC, BaseURL: "http://" + l.Listener.Addr().String(), ClientID: "sallyport"})
	l.Config.Handler = idp.Handler()
	l.Start()
	t.Cleanup(l.Close)
	idp.SignInAs(&fakeidp.Person{Subject: "1001"})
	return s, idp, &storage.Connection{ID: uuid.New(), Name: "acme", Kind: KindOIDC,
		Settings: storage.ConnectionSettings{Issuer: idp.BaseURL, ClientID: "sallyport"}}
}

// answer begins a sign-in and returns what the provider answers.
func answer(t *testing.T, s *Service, c *storage.Connection) (State, Answer) {
	t.Helper()
	to, state, err := s.Begin(t.Context(), c, Request{RedirectURI: "http://localhost/callback"})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(to)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || back.Query().Get("state") != state.Token {
		t.Fatalf("the provider sends the browser to %v, %v", back, err)
	}
	return state, Answer{Code: back.Query().Get("code"), Issuer: back.Query().Get("iss")}
}

func wantFault(t *testing.T, what string, err error, code string) {
	t.Helper()
	if f, ok := errors.AsType[*Fault](err); !ok || f.Code != code {
		t.Errorf("%s: got %v, want the fault %s", what, err, code)
	}
}

// A provider that never answers costs the time that a call may take, and no more.
func TestAProviderThatDoesNotAnswer(t *testing.T) {
	s, idp, c := newService(t, 200*time.Millisecond)
	state, a := answer(t, s, c)
	idp.Lie(fakeidp.Silent)
	_, err := s.Finish(t.Context(), c, state, a)
	wantFault(t, "silence", err, Unreachable)
}

// Those who wait for one provider are bounded, and others do not wait with them.
func TestCallsThatWaitAreBounded(t *testing.T) {
	s, _, c := newService(t, time.Minute)
	e := s.endpoint(c)
	for range maxWaiting {
		e.waiting <- struct{}{}
	}
	_, _, err := s.Begin(t.Context(), c, Request{})
	wantFault(t, "one more", err, Busy)
	other := *c
	other.ID = uuid.New()
	if _, _, err := s.Begin(t.Context(), &other, Request{}); err != nil {
		t.Errorf("another connection: %v", err)
	}
	for range maxWaiting {
		<-e.waiting
	}
	// Logout tokens, which strangers can post, take no place of a sign-in.
	for range maxLogouts {
		e.logouts <- struct{}{}
	}
	_, err = s.Logout(t.Context(), c, "token")
	wantFault(t, "one more logout token", err, Busy)
	if _, _, err := s.Begin(t.Context(), c, Request{}); err != nil {
		t.Errorf("a sign-in beside logout tokens: %v", err)
	}
}

// A caller that hangs up while the metadata is fetched does not make it fail for the others.
func TestHangingUpSpoilsNoMetadata(t *testing.T) {
	s, _, c := newService(t, time.Minute)
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	_, _, _ = s.Begin(gone, c, Request{})
	if _, _, err := s.Begin(t.Context(), c, Request{}); err != nil {
		t.Errorf("the next sign-in: %v", err)
	}
}

// An answer counts for the connection and with the verifier of its own sign-in (RFC 9700, section 4.4).
func TestAnAnswerOfAnotherSignIn(t *testing.T) {
	s, _, c := newService(t, time.Minute)
	state, a := answer(t, s, c)
	other := *c
	other.ID = uuid.New()
	_, err := s.Finish(t.Context(), &other, state, a)
	wantFault(t, "another connection", err, AnswerIssuer)
	second, _ := answer(t, s, c)
	_, err = s.Finish(t.Context(), c, second, a)
	wantFault(t, "a code of another sign-in", err, CodeRefused)
	_, err = s.Finish(t.Context(), c, state, Answer{Error: "<script>"})
	wantFault(t, "an error", err, AnswerRefused)
}

// Addresses that are not public are not asked, whatever a connection names.
func TestAnIssuerInsideTheNetworkIsNotAsked(t *testing.T) {
	s, idp, c := newService(t, time.Minute)
	s.Allow = nil
	_, _, err := s.Begin(t.Context(), c, Request{})
	wantFault(t, "a provider on this machine", err, Unreachable)
	if len(idp.Asked()) > 0 {
		t.Error("it was asked")
	}
}

func TestWhichIssuersMicrosoftHas(t *testing.T) {
	const base = "https://login.microsoftonline.com/"
	const id, other = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
	for _, tc := range []struct {
		tenant, named string
		want          bool
	}{
		{"", base + "{tenantid}/v2.0", true},
		{"common", base + "{tenantid}/v2.0", true},
		{"organizations", base + "{tenantid}/v2.0", true},
		{"common", base + id + "/v2.0", false},
		{id, base + id + "/v2.0", true},
		{id, base + other + "/v2.0", false},
		{id, base + "{tenantid}/v2.0", false},
		{"contoso.example", base + id + "/v2.0", true},
		{"contoso.example", base + "{tenantid}/v2.0", false},
		{"common", "https://elsewhere.example/{tenantid}/v2.0", false},
		{"common", base + "{tenantid}/v2.0/more", false},
	} {
		c := &storage.Connection{Kind: KindMicrosoft, Settings: storage.ConnectionSettings{Tenant: tc.tenant}}
		if got := kinds[KindMicrosoft].sameIssuer(c, tc.named); got != tc.want {
			t.Errorf("%s: %s is accepted: %v, want %v", tc.tenant, tc.named, got, tc.want)
		}
	}
	personal := &claims{Tenant: personalTenant, ObjectID: "x"}
	for tenant, want := range map[string]string{"organizations": "", "common": personalTenant + ".x"} {
		c := &storage.Connection{Settings: storage.ConnectionSettings{Tenant: tenant}}
		if got := microsoftSubject(c, personal); got != want {
			t.Errorf("a personal account at %s: %q, want %q", tenant, got, want)
		}
	}
	if got := microsoftSubject(&storage.Connection{}, &claims{Tenant: "not-an-id", ObjectID: "x"}); got != "" {
		t.Errorf("a tenant that is no id: %q", got)
	}
}

// Methods that the provider reports count as a second factor only where there were two.
func TestWhatCountsAsASecondFactor(t *testing.T) {
	for _, tc := range []struct {
		acr  string
		amr  []string
		want bool
	}{
		{"", nil, false}, {"", []string{"pwd"}, false}, {"", []string{"otp"}, false}, {"0", []string{"pwd", "user"}, false},
		{"", []string{"pwd", "otp"}, true}, {"", []string{"mfa"}, true}, {"phr", nil, true}, {"urn:sallyport:acr:mfa", nil, true},
	} {
		if got := (&claims{ACR: tc.acr, AMR: tc.amr}).hasMFA(); got != tc.want {
			t.Errorf("acr %q, amr %v: %v, want %v", tc.acr, tc.amr, got, tc.want)
		}
	}
}

// A new sign-in is asked for in the words that each provider knows: Google refuses prompt=login, and only a provider that
// answers with auth_time is sent max_age alone.
func TestEachKindIsAskedForANewSignIn(t *testing.T) {
	s, _, oidcConnection := newService(t, time.Minute)
	for _, tc := range []struct {
		kind   string
		r      Request
		prompt string
		maxAge bool
	}{
		{KindOIDC, Request{}, "", false},
		{KindOIDC, Request{Prompt: "login"}, "login", false},
		{KindOIDC, Request{SignedInAfter: s.Now()}, "", true},
		{KindGoogle, Request{Prompt: "login"}, "select_account", false},
		{KindGoogle, Request{SignedInAfter: s.Now()}, "select_account", false},
		{KindGoogle, Request{}, "", false},
		{KindGitHub, Request{SignedInAfter: s.Now()}, "select_account", false},
	} {
		c := *oidcConnection
		c.ID, c.Kind = uuid.New(), tc.kind
		to, _, err := s.Begin(t.Context(), &c, tc.r)
		if err != nil {
			t.Fatal(tc.kind, err)
		}
		u, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		if q := u.Query(); q.Get("prompt") != tc.prompt || q.Has("max_age") != tc.maxAge {
			t.Errorf("%s, %+v: got prompt %q, max_age %q", tc.kind, tc.r, q.Get("prompt"), q.Get("max_age"))
		}
	}
}
