package browser

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/internal/samplerp"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
	"github.com/sallyport-id/sallyport/templates/samples"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.StopChromium()
	os.Exit(code)
}

// site is a running server and a relying party that signs in at it.
type site struct {
	*harness.Server
	app string // URL of the sample relying party
}

const appSecret = "Jc5QkYw0TqS8dM2vR7nXb1LfZ3hAeP9u"

func start(t *testing.T) *site {
	t.Helper()
	return startWith(t, harness.Options{})
}

func startWith(t *testing.T, o harness.Options) *site {
	t.Helper()
	s := &site{Server: harness.Start(t, storage.SQLite, o)}
	app := httptest.NewUnstartedServer(nil)
	s.app = "http://" + strings.Replace(app.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
	app.Config.Handler = samplerp.New(samplerp.Config{Issuer: s.Issuer, ClientID: "gallery", ClientSecret: appSecret, BaseURL: s.app,
		People: []samplerp.Person{{Email: harness.Alice.Email, Password: harness.Alice.Password, Who: "owner of Acme Corp, admin of Tech Startup"}}}).Handler()
	app.Start()
	t.Cleanup(app.Close)
	s.Apply(t, `
version: 1
clients:
  - client_id: gallery
    client_name: Acme Portal
    redirect_uris: [`+s.app+`/callback]
    post_logout_redirect_uris: [`+s.app+`/]
    grant_types: [authorization_code, refresh_token]
    scope: openid profile email phone address offline_access org orgs groups roles
    policy_uri: https://portal.acme.example/privacy
    tos_uri: https://portal.acme.example/terms
    secret: `+appSecret+`
`)
	return s
}

// serveSamples serves samples.Pages by their names, with the headers that the
// server sends, and returns its URL.
func serveSamples(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	pages, err := templates.New(templates.Brand{SupportEmail: "help@acme.example"})
	if err != nil {
		t.Fatal(err)
	}
	w, err := web.New(web.Config{Issuer: url, Templates: pages, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	rt := w.NewRouter()
	for _, sample := range samples.Pages() {
		rt.Handle("/"+sample.Name, w.Handle(func(rw http.ResponseWriter, _ *http.Request) error {
			return w.Page(rw, http.StatusOK, sample.Page)
		}), http.MethodGet)
	}
	rt.Handle("/static/{file}", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		// The page that sends itself on would be gone before anybody saw it.
		if strings.HasPrefix(r.URL.Path, "/static/formpost.") {
			rw.Header().Set("Content-Type", "text/javascript")
			return
		}
		pages.Static().ServeHTTP(rw, r)
	}), http.MethodGet)
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: rt}}
	server.Start()
	t.Cleanup(server.Close)
	return url
}
