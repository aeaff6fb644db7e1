package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/oauth2"
)

// githubEndpoints are those of github.com, or of the GitHub Enterprise Server at the connection's issuer.
func (x *exchange) githubEndpoints() (m *metadata, api string) {
	base := strings.TrimSuffix(x.kind.issuer(x.Connection), "/")
	api = "https://api.github.com"
	if x.Settings.Issuer != "" {
		api = base + "/api/v3"
	}
	// GitHub knows no Authorization header at its token endpoint.
	return &metadata{AuthURL: base + "/login/oauth/authorize", TokenURL: base + "/login/oauth/access_token",
		AuthMethods: []string{"client_secret_post"}}, api
}

func beginGitHub(_ context.Context, x *exchange, r Request, st *State) (string, error) {
	m, _ := x.githubEndpoints()
	config := x.oauth(m, r.RedirectURI)
	config.Scopes = []string{"user:email"}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(st.Verifier)}
	if r.LoginHint != "" {
		options = append(options, oauth2.SetAuthURLParam("login", r.LoginHint))
	}
	if r.Prompt != "" || !r.SignedInAfter.IsZero() {
		options = append(options, oauth2.SetAuthURLParam("prompt", "select_account"))
	}
	return config.AuthCodeURL(st.Token, options...), nil
}

func finishGitHub(ctx context.Context, x *exchange, st State, a Answer) (*Identity, error) {
	m, api := x.githubEndpoints()
	token, err := x.redeem(ctx, m, st, a.Code)
	if err != nil {
		return nil, err
	}
	// The id, not the login, which its owner can change and another person take.
	var user struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	}
	if err := x.getJSON(ctx, api+"/user", token.AccessToken, "the user", &user); err != nil {
		return nil, err
	}
	if user.ID <= 0 {
		return nil, fault(TokenSubject, nil, "GitHub names no user", "")
	}
	var addresses []struct {
		Email    string `json:"email"`
		Primary  bool   `json:"primary"`
		Verified bool   `json:"verified"`
	}
	if err := x.getJSON(ctx, api+"/user/emails", token.AccessToken, "the addresses", &addresses); err != nil {
		return nil, err
	}
	id := &Identity{Subject: strconv.FormatInt(user.ID, 10), Name: cut(user.Name)}
	for _, e := range addresses {
		if e.Primary {
			id.Email, id.EmailVerified = cut(e.Email), e.Verified
		}
	}
	return id, nil
}

func testGitHub(ctx context.Context, x *exchange, redirectURI string) error {
	m, _ := x.githubEndpoints()
	_, err := x.redeem(ctx, m, State{RedirectURI: redirectURI, Verifier: strings.Repeat("a", 43)}, "connection-test")
	if f, ok := errors.AsType[*Fault](err); ok && f.Code != CodeRefused {
		return f
	}
	return nil
}

// getJSON reads a resource of the person into v.
func (x *exchange) getJSON(ctx context.Context, uri, accessToken, what string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return fault(BadMetadata, nil, "the address of %s is not valid", "", what)
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	req.Header.Set("Accept", "application/json")
	resp, err := x.client.Do(req)
	if err != nil {
		return fault(Unreachable, nil, "%s cannot be fetched", retryRemedy, what)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil || resp.StatusCode >= 500:
		return fault(Unreachable, nil, "%s cannot be fetched", retryRemedy, what)
	case resp.StatusCode != http.StatusOK:
		return fault(BadAnswer, nil, "%s are answered with %d", "see which permissions the client has at the provider",
			what, resp.StatusCode)
	case json.Unmarshal(body, v) != nil:
		return fault(BadAnswer, nil, "%s cannot be read", "", what)
	}
	return nil
}
