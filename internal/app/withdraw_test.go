package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// jsonAPI sends a request to the JSON API and returns data of the answer.
func jsonAPI(t *testing.T, s *harness.Server, token, method, path string, body any) (int, json.RawMessage) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.Issuer+"/api/v1"+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.Transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, out.Data
}

// A browser that asks for codes in silence while its person takes back what those
// rest on ends with an error for the app, never with a grant that lives on and never
// with an error of ours.
func TestAWithdrawalIsNotOvertakenBySilentAuthorizations(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		ctx, person := context.WithoutCancel(t.Context()), s.User(t, harness.Bob)
		org, err := s.App.Identity.Organizations.BySlug(ctx, identity.Operator(), "acme-corp")
		if err != nil {
			t.Fatal(err)
		}
		silent := url.Values{"prompt": {"none"}, "scope": {"openid offline_access"}}
		for _, way := range []struct {
			name, refusal string
			withdraw      func(b *harness.Browser)
		}{
			{"disconnecting on the page", "consent_required", func(b *harness.Browser) {
				ask := b.Get(t, "/account/apps/disconnect?client=acme-portal-001")
				harness.MustShow(t, b.Submit(t, ask.Form(t, "confirm")), http.StatusOK, "The app is disconnected.")
			}},
			{"withdrawing by the API", "consent_required", func(*harness.Browser) {
				_, login := jsonAPI(t, s, "", http.MethodPost, "/auth/login", map[string]any{"email": harness.Bob.Email, "password": harness.Bob.Password, "token": true})
				var signedIn struct {
					Token string `json:"token"`
				}
				if err := json.Unmarshal(login, &signedIn); err != nil || signedIn.Token == "" {
					t.Fatalf("no token: %s", login)
				}
				grants, err := s.App.Store.UserGrants(ctx, person.ID, uuid.Max, 1)
				if err != nil || len(grants) == 0 {
					t.Fatalf("no grants: %v", err)
				}
				if status, _ := jsonAPI(t, s, signedIn.Token, http.MethodDelete, "/users/me/grants/"+grants[0].ID.String(), struct{}{}); status != http.StatusOK {
					t.Errorf("the API answers %d", status)
				}
			}},
			{"leaving the organization", "access_denied", func(*harness.Browser) {
				if err := s.App.Identity.Organizations.RemoveMember(ctx, identity.Operator(), org.ID, person.ID); err != nil {
					t.Error(err)
				}
			}},
			{"being disabled", "login_required", func(*harness.Browser) {
				if _, err := s.App.Identity.People.Disable(ctx, identity.Operator(), person.ID); err != nil {
					t.Error(err)
				}
			}},
		} {
			if err := s.App.Identity.Organizations.AddMember(ctx, identity.Operator(), org.ID, person.ID, storage.RoleMember); err != nil && !errors.Is(err, storage.ErrExists) {
				t.Fatal(err)
			}
			b := s.Browser(t)
			s.Portal().SignIn(t, b, harness.Bob, url.Values{"scope": {"openid offline_access"}})
			const workers = 4
			started, refusals := make(chan struct{}, workers), make(chan string, workers)
			var all sync.WaitGroup
			for range workers {
				all.Go(func() {
					var once sync.Once
					defer once.Do(func() { started <- struct{}{} })
					for {
						p := b.Get(t, s.Portal().Authorize(silent).URL)
						if p.Away == nil {
							refusals <- p.URL.Path + " " + http.StatusText(p.Status)
							return
						}
						if e := p.Away.Query().Get("error"); e != "" {
							refusals <- e
							return
						}
						once.Do(func() { started <- struct{}{} })
					}
				})
			}
			for range workers {
				<-started
			}
			way.withdraw(b)
			all.Wait()
			close(refusals)
			for got := range refusals {
				if got != way.refusal {
					t.Errorf("%s: an authorization ends with %q, want %q", way.name, got, way.refusal)
				}
			}
			grants, err := s.App.Store.UserGrants(ctx, person.ID, uuid.Max, 100)
			if err != nil || len(grants) > 0 {
				t.Errorf("%s: %d grants live on, %v", way.name, len(grants), err)
			}
		}
	})
}
