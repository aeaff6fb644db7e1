package consent

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
	"github.com/sallyport-id/sallyport/storage"
)

var (
	bob     = uuid.MustParse("00000000-0000-0000-0000-0000000000b0")
	acme    = uuid.MustParse("00000000-0000-0000-0000-0000000000ac")
	now     = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	webApp  = storage.Client{ID: "app", Metadata: storage.Metadata{TokenEndpointAuthMethod: "client_secret_basic"}}
	ownApp  = storage.Client{ID: "own", Metadata: storage.Metadata{TokenEndpointAuthMethod: "client_secret_basic", SkipConsent: true}}
	spa     = storage.Client{ID: "spa", Metadata: storage.Metadata{TokenEndpointAuthMethod: "none", SkipConsent: true}}
	webURI  = "https://app.example.com/cb"
	loopURI = "http://127.0.0.1:49152/cb"
)

// journey is bob at the consent page of app for openid and email.
func journey(change func(*storage.FlowState)) *storage.FlowState {
	j := &storage.FlowState{
		Flow: &storage.Flow{IDHash: secret.HashOf("flow")}, Client: &webApp, RedirectURI: webURI,
		Session: &storage.SessionContext{User: storage.User{ID: bob}, Session: storage.Session{AuthTime: now}},
		Scopes:  []string{"openid", "email"}, Now: now,
	}
	if change != nil {
		change(j)
	}
	return j
}

func allowed(scopes ...string) *storage.Consent {
	return &storage.Consent{UserID: bob, ClientID: "app", Scopes: scopes, GrantedAt: now.Add(-time.Hour), ExpiresAt: now.Add(time.Hour)}
}

func TestWhenAnAnswerIsOwed(t *testing.T) {
	both := storage.FlowConsent{UserID: bob, Scopes: []string{"openid", "email"}}
	type j = storage.FlowState
	for name, tc := range map[string]struct {
		change func(*j)
		want   bool
	}{
		"nothing is remembered":                {nil, true},
		"all is remembered":                    {func(j *j) { j.Consent = allowed("openid", "email", "phone") }, false},
		"one scope is new":                     {func(j *j) { j.Consent = allowed("openid") }, true},
		"offline_access is new":                {func(j *j) { j.Consent = allowed("openid", "email"); j.Scopes = append(j.Scopes, "offline_access") }, true},
		"remembered for too long":              {func(j *j) { j.Consent = allowed("openid", "email"); j.Consent.ExpiresAt = now }, true},
		"remembered for another organization":  {func(j *j) { j.Consent = allowed("openid", "email"); j.Consent.OrganizationID = acme }, true},
		"no scopes, nothing remembered":        {func(j *j) { j.Scopes = nil }, true},
		"prompt=consent over what is known":    {func(j *j) { j.Consent = allowed("openid", "email"); j.Prompt = []string{"consent"} }, true},
		"prompt=consent, answered":             {func(j *j) { j.Flow.Consent = &both; j.Prompt = []string{"consent"} }, false},
		"answered in the flow":                 {func(j *j) { j.Flow.Consent = &both }, false},
		"answered for fewer scopes":            {func(j *j) { j.Flow.Consent = &both; j.Scopes = append(j.Scopes, "phone") }, true},
		"answered by another person":           {func(j *j) { j.Flow.Consent = &storage.FlowConsent{UserID: acme, Scopes: both.Scopes} }, true},
		"answered for another organization":    {func(j *j) { j.Flow.Consent = &both; j.Organization = &storage.Organization{ID: acme} }, true},
		"denied in the flow":                   {func(j *j) { j.Flow.Consent = &storage.FlowConsent{UserID: bob, Denied: true} }, false},
		"denied by another person":             {func(j *j) { j.Flow.Consent = &storage.FlowConsent{UserID: acme, Denied: true} }, true},
		"our own app":                          {func(j *j) { j.Client = &ownApp }, false},
		"our own app, prompt=consent":          {func(j *j) { j.Client = &ownApp; j.Prompt = []string{"consent"} }, true},
		"skip_consent of a public client":      {func(j *j) { j.Client = &spa }, true},
		"a public client that is remembered":   {func(j *j) { j.Client = &spa; j.Consent = allowed("openid", "email") }, false},
		"a public client on the device":        {func(j *j) { j.Client = &spa; j.RedirectURI = loopURI; j.Consent = allowed("openid", "email") }, true},
		"a public client's own scheme":         {func(j *j) { j.Client = &spa; j.RedirectURI = "com.app:/cb"; j.Consent = allowed("openid", "email") }, true},
		"on the device, answered":              {func(j *j) { j.Client = &spa; j.RedirectURI = loopURI; j.Flow.Consent = &both }, false},
		"a confidential client on the device":  {func(j *j) { j.RedirectURI = loopURI; j.Consent = allowed("openid", "email") }, false},
		"nobody is signed in":                  {func(j *j) { j.Session = nil; j.Client = &ownApp }, true},
		"our own app, remembered for too long": {func(j *j) { j.Client = &ownApp; j.Consent = allowed(); j.Consent.ExpiresAt = now }, false},
	} {
		if got := NextStep(journey(tc.change)) != ""; got != tc.want {
			t.Errorf("%s: pending %v, want %v", name, got, tc.want)
		}
	}
}

// Only what was not allowed before is asked, everything where the page is shown anyway.
func TestWhatIsAsked(t *testing.T) {
	known := func(j *storage.FlowState) { j.Consent = allowed("openid") }
	for name, tc := range map[string]struct {
		change func(*storage.FlowState)
		want   []string
	}{
		"new":            {nil, []string{"openid", "email"}},
		"partly known":   {known, []string{"email"}},
		"prompt=consent": {func(j *storage.FlowState) { known(j); j.Prompt = []string{"consent"} }, []string{"openid", "email"}},
		"on the device":  {func(j *storage.FlowState) { known(j); j.Client = &spa; j.RedirectURI = loopURI }, []string{"openid", "email"}},
	} {
		j := journey(tc.change)
		if got := listedScopes(j); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
		if !slices.Equal(j.Scopes, []string{"openid", "email"}) {
			t.Errorf("%s: the request itself was changed to %v", name, j.Scopes)
		}
	}
}

func TestDestinations(t *testing.T) {
	const device = "this app on your device"
	for uri, want := range map[string]string{
		"https://app.example.com/cb":      "app.example.com",
		"https://app.example.com:8443/cb": "app.example.com:8443",
		"http://app.example.com/cb":       "app.example.com",
		"https://localhost.example.com/":  "localhost.example.com",
		"http://localhost:5001/callback":  "localhost:5001 on your device",
		"http://LOCALHOST/cb":             "LOCALHOST on your device",
		"http://app.localhost/cb":         "app.localhost on your device",
		"http://127.0.0.1:9/cb":           "127.0.0.1:9 on your device",
		"http://127.9.9.9/cb":             "127.9.9.9 on your device",
		"http://[::1]:9/cb":               "[::1]:9 on your device",
		"http://[::ffff:127.0.0.1]/cb":    "::ffff:127.0.0.1 on your device",
		"com.example.app:/cb":             device,
		"":                                device,
	} {
		if got := destination(uri); got != want {
			t.Errorf("%q: got %q, want %q", uri, got, want)
		}
	}
}

// CN-01: a form is for this person, client, organization, scopes and flow; each alone makes another.
func TestTheFormIsForExactlyWhatItShows(t *testing.T) {
	seen := map[string]string{purpose(journey(nil)): "the request itself"}
	for name, change := range map[string]func(*storage.FlowState){
		"another flow":         func(j *storage.FlowState) { j.Flow.IDHash = secret.HashOf("other") },
		"another person":       func(j *storage.FlowState) { j.Session.User.ID = acme },
		"another client":       func(j *storage.FlowState) { j.Client = &spa },
		"another organization": func(j *storage.FlowState) { j.Organization = &storage.Organization{ID: acme} },
		"a scope more":         func(j *storage.FlowState) { j.Scopes = append(j.Scopes, "phone") },
		"a scope less":         func(j *storage.FlowState) { j.Scopes = j.Scopes[:1] },
	} {
		p := purpose(journey(change))
		if other, ok := seen[p]; ok {
			t.Errorf("%s has the same form as %s", name, other)
		}
		seen[p] = name
	}
}

func TestWhatAnAnswerWrites(t *testing.T) {
	j := journey(func(j *storage.FlowState) { j.Consent = allowed("openid", "phone") })
	a := newAnswer(j, true, true, "req")
	if !a.Remember.Equal(now.Add(180*24*time.Hour)) || a.Remembered != j.Consent || a.Event.Type != "consent.granted" || !slices.Equal(a.Consent.Scopes, j.Scopes) {
		t.Errorf("allowed: got %+v", a)
	}
	if a := newAnswer(j, true, false, "req"); !a.Remember.IsZero() {
		t.Error("not to be remembered, but it is")
	}
	if a := newAnswer(j, false, true, "req"); !a.Remember.IsZero() || !a.Consent.Denied || a.Event.Type != "consent.denied" {
		t.Errorf("denied: got %+v", a)
	}
	device := journey(func(j *storage.FlowState) { j.Client = &spa; j.RedirectURI = loopURI })
	if a := newAnswer(device, true, true, "req"); !a.Remember.IsZero() {
		t.Error("on the device: remembered although the page did not offer it")
	}
}

// The steps of a flow come in one order, and each only while it is needed.
func TestTheNextStepOfAFlow(t *testing.T) {
	signedIn := &storage.SessionContext{Session: storage.Session{AuthTime: now}}
	twoFactors := &storage.SessionContext{User: storage.User{Factors: []string{storage.FactorTOTP}}, Session: storage.Session{AuthTime: now}}
	organization := &storage.Organization{Slug: "acme-corp"}
	for name, tc := range map[string]struct {
		flow storage.FlowState
		want string
	}{
		"no user is signed in":       {storage.FlowState{Flow: &storage.Flow{}}, "/login"},
		"signed in":                  {storage.FlowState{Flow: &storage.Flow{}, Session: signedIn}, ""},
		"not recently enough":        {storage.FlowState{Flow: &storage.Flow{SignInAfter: now.Add(time.Microsecond)}, Session: signedIn}, "/login"},
		"just recently enough":       {storage.FlowState{Flow: &storage.Flow{SignInAfter: now}, Session: signedIn}, ""},
		"second factor not shown":    {storage.FlowState{Flow: &storage.Flow{}, Session: twoFactors, NeedsOrganization: true}, "/login/factor"},
		"organization to choose":     {storage.FlowState{Flow: &storage.Flow{}, Session: signedIn, NeedsOrganization: true}, "/org"},
		"organization is determined": {storage.FlowState{Flow: &storage.Flow{}, Session: signedIn, NeedsOrganization: true, Organization: organization}, ""},
		"consent is asked for":       {storage.FlowState{Flow: &storage.Flow{}, Session: signedIn, Prompt: []string{"consent"}}, "/consent"},
	} {
		tc.flow.Client, tc.flow.Now, tc.flow.RedirectURI = &ownApp, now, webURI
		if got := NextStep(&tc.flow); got != tc.want {
			t.Errorf("%s: next is %q, want %q", name, got, tc.want)
		}
	}
}
