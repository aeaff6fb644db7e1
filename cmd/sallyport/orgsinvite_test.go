package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/storage"
)

// Mallory may invite, has an accomplice invited, and then loses that right: page, API and commands all say that an owner
// must confirm the invitation, nobody joins by it before, and everybody does afterwards.
func TestAnInvitationWhoseInviterIsGoneMustBeConfirmed(t *testing.T) {
	harness.EachEngine(t, harness.Options{}, func(t *testing.T, s *harness.Server) {
		f, c := emptyFolder(t), s.App.Config
		key := base64.StdEncoding.EncodeToString(c.SecretKeys[0])
		command := func(code int, args ...string) string {
			t.Helper()
			out, stderr := f.want(code, "", slices.Concat([]string{"--set", "ENV=testing", "--set", "ISSUER=" + s.Issuer, "--set", "LISTEN=127.0.0.1:0",
				"--set", "DATABASE_URL=" + c.DatabaseURL, "--set", "SECRET_KEY=" + key, "--set", "ENCRYPTION_KEY=" + key}, args)...)
			return out + stderr
		}
		for name, gone := range map[string][]string{
			"removed":       {"orgs", "remove-member", "acme-corp", "-e"},
			"disabled":      {"users", "disable", "-e"},
			"made a member": {"orgs", "add-member", "acme-corp", "--role", "member", "-e"},
		} {
			mallory, friend := strings.ReplaceAll(name, " ", "-")+"@example.com", "friend-of-"+strings.ReplaceAll(name, " ", "-")+"@example.com"
			inviter, err := s.App.Identity.People.Create(t.Context(), identity.Operator(), identity.NewUser{Email: mallory, Password: passphrase})
			if err != nil {
				t.Fatal(err)
			}
			command(0, "orgs", "add-member", "acme-corp", "-e", mallory, "--role", "admin")
			acme, err := s.App.Identity.Organizations.BySlug(t.Context(), identity.Operator(), "acme-corp")
			if err != nil {
				t.Fatal(err)
			}
			invited, err := s.App.Identity.Invitations.Create(t.Context(), identity.Actor{UserID: inviter.ID}, acme.ID, friend, storage.RoleAdmin)
			if err != nil {
				t.Fatal(err)
			}
			link, err := url.Parse(s.LastMail(t, friend).Link)
			if err != nil {
				t.Fatal(err)
			}
			b := s.Browser(t)
			form := b.Get(t, link.String()).Form(t, "register")
			if out := command(1, "orgs", "confirm-invitation", "acme-corp", invited.ID.String()); !strings.Contains(out, "no such invitation that can be confirmed") {
				t.Errorf("%s, confirmed while it is open: %s", name, out)
			}
			command(0, append(gone, mallory)...)

			for what, p := range map[string]*harness.Page{"shown": b.Get(t, link.String()), "sent": b.Submit(t, form, "password", passphrase)} {
				if p.Status != http.StatusConflict || !strings.Contains(p.Body, "This invitation must be confirmed first.") || strings.Contains(p.Body, acme.Name) {
					t.Errorf("%s, the page %s: %d\n%s", name, what, p.Status, p.Body)
				}
			}
			token := link.Query().Get("token")
			if status, message := joinByAPI(t, s, token); status != http.StatusConflict || !strings.Contains(message, "must be confirmed by an owner") {
				t.Errorf("%s, the API: %d %s", name, status, message)
			}
			if out := command(0, "orgs", "invitations", "acme-corp"); !slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
				return strings.Contains(line, friend) && strings.Contains(line, "suspended")
			}) {
				t.Errorf("%s, the command:\n%s", name, out)
			}
			if _, err := s.App.Identity.People.ByEmail(t.Context(), identity.Operator(), friend); err == nil {
				t.Errorf("%s: the friend has an account", name)
			}
			command(0, "orgs", "confirm-invitation", "acme-corp", invited.ID.String())
			if p := b.Get(t, link.String()); p.Status != http.StatusOK || !strings.Contains(p.Body, acme.Name) {
				t.Errorf("%s, confirmed, the page: %d\n%s", name, p.Status, p.Body)
			}
			if status, message := joinByAPI(t, s, token); status != http.StatusCreated {
				t.Errorf("%s, confirmed, the API: %d %s", name, status, message)
			}
		}
	})
}

// joinByAPI makes an account by an invitation, and returns status and message of the answer.
func joinByAPI(t *testing.T, s *harness.Server, token string) (status int, message string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"invitation": token, "password": passphrase, "token": true})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Issuer+"/api/v1/auth/register", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.Browser(t).HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var in struct{ Message string }
	if err := json.Unmarshal(text, &in); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return resp.StatusCode, in.Message
}
