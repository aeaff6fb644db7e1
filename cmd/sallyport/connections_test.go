package main

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/fakeidp"
	"github.com/sallyport-id/sallyport/storage"
)

// The commands show a connection without its secret, test it against its provider, and switch it off and on.
func TestConnectionsAreShownTestedAndSwitched(t *testing.T) {
	f := emptyFolder(t)
	f.want(0, "", "migrate", "up")
	l := httptest.NewUnstartedServer(nil)
	idp := fakeidp.New(fakeidp.Config{Kind: fakeidp.OIDC, BaseURL: "http://" + l.Listener.Addr().String(), ClientID: "sallyport",
		ClientSecret: "canary"})
	l.Config.Handler = idp.Handler()
	l.Start()
	t.Cleanup(l.Close)
	configure := func(secret string) {
		t.Helper()
		if err := f.opened().Identity.Connections.Configure(t.Context(), identity.Operator(), []identity.ConnectionConfig{{Name: "acme",
			Kind: fakeidp.OIDC, Secret: secret, Settings: storage.ConnectionSettings{Label: "Acme ID", Issuer: idp.BaseURL,
				ClientID: "sallyport", Callback: storage.CallbackLogin}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, stderr := f.want(0, "", "connections", "list"); !strings.Contains(stderr, "docs/upstream.md") {
		t.Errorf("without any: %s", stderr)
	}
	configure("canary")
	for _, args := range [][]string{{"list"}, {"list", "--json"}, {"show", "acme"}, {"show", "acme", "--json"}, {"test", "acme"}} {
		out, _ := f.want(0, "", append([]string{"connections"}, args...)...)
		if !strings.Contains(out, "acme") || strings.Contains(out, "canary") {
			t.Errorf("%v: %s", args, out)
		}
	}
	for lie, want := range map[fakeidp.Lie]string{fakeidp.WrongMetadata: "wrong_issuer", fakeidp.Down: "unreachable"} {
		idp.Lie(lie)
		if _, stderr := f.want(1, "", "connections", "test", "acme"); !strings.Contains(stderr, want) {
			t.Errorf("%s: %s, want %s", lie, stderr, want)
		}
	}
	idp.Lie(fakeidp.Honest)
	configure("another")
	if _, stderr := f.want(1, "", "connections", "test", "acme"); !strings.Contains(stderr, "client_refused") || !strings.Contains(stderr, "client_secret") {
		t.Errorf("a wrong secret: %s", stderr)
	}
	for _, verb := range []string{"disable", "enable"} {
		if out, _ := f.want(0, "", "connections", verb, "acme"); out != "acme is "+verb+"d.\n" {
			t.Errorf("%s: %s", verb, out)
		}
		if out, _ := f.want(0, "", "connections", verb, "acme"); out != "acme is "+verb+"d already.\n" {
			t.Errorf("%s again: %s", verb, out)
		}
	}
	f.want(0, "", "connections", "disable", "acme")
	configure("canary") // a restart of the server with another configuration
	if out, _ := f.want(0, "", "connections", "list"); !strings.Contains(out, "disabled") {
		t.Errorf("the configuration switches on what an operator has switched off: %s", out)
	}
	for _, verb := range []string{"show", "test", "enable", "disable"} {
		if _, stderr := f.want(1, "", "connections", verb, "nothing"); !strings.Contains(stderr, "connections list") {
			t.Errorf("%s: %s", verb, stderr)
		}
	}
}
