package app

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/fakeidp"
	"github.com/sallyport-id/sallyport/internal/sample"
	"github.com/sallyport-id/sallyport/internal/upstream"
	"github.com/sallyport-id/sallyport/storage"
)

// demoUpstreams are the fake providers of the demonstration, at one port, and the connections to them.
func demoUpstreams(port string, now func() time.Time) (http.Handler, []identity.ConnectionConfig) {
	const clientID, clientSecret = "sallyport-demo", "sallyport_demo_secret"
	bob := sample.People()[0]
	people := []fakeidp.Person{
		{Subject: "1001", Email: "carol@users.example", EmailVerified: true, Name: "Carol, who is new here",
			Tenant: "11111111-2222-3333-4444-555555555555"},
		{Subject: "1002", Email: bob.Email, EmailVerified: true, Name: "Bob, who has an account",
			Tenant: "11111111-2222-3333-4444-555555555555"},
		{Subject: "1003", Email: "dave@users.example", Name: "Dave, whose address is not verified",
			Tenant: "99999999-2222-3333-4444-555555555555"},
	}
	mux := http.NewServeMux()
	var all []identity.ConnectionConfig
	for _, kind := range []string{upstream.KindGoogle, upstream.KindGitHub, upstream.KindMicrosoft, upstream.KindOIDC} {
		base := "http://localhost:" + port + "/" + kind
		fake := fakeidp.New(fakeidp.Config{Kind: kind, BaseURL: base, ClientID: clientID, ClientSecret: clientSecret,
			People: people, Now: now})
		mux.Handle("/"+kind+"/", http.StripPrefix("/"+kind, fake.Handler()))
		c := identity.ConnectionConfig{Name: kind, Kind: kind, Secret: clientSecret, Settings: storage.ConnectionSettings{
			Label: "Fake " + upstream.Label(kind, "OpenID"), Issuer: base, ClientID: clientID, Callback: storage.CallbackLogin}}
		if port != strconv.Itoa(demoFakePort) { // the issuer of a name never changes
			c.Name = strings.Join([]string{kind, port}, "-")
		}
		all = append(all, c)
	}
	return mux, all
}
