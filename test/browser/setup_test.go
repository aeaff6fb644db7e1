package browser

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/sallyport-id/sallyport/internal/app"
	"github.com/sallyport-id/sallyport/internal/harness"
)

// serveEmpty runs `serve` in an empty folder, on a free port, and returns the
// address that it prints for whoever sets it up.
func serveEmpty(t *testing.T) (issuer, address string) {
	t.Helper()
	t.Chdir(t.TempDir()) // the database is made where the server is started
	log := &harness.Log{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	issuer = "http://" + strings.Replace(listen, "127.0.0.1", "localhost", 1)
	cfg, err := app.Load(app.LoadOptions{Flags: map[string]string{"ISSUER": issuer, "LISTEN": listen, "ADMIN_LISTEN": "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- app.Serve(ctx, cfg, app.Options{Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}, in)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if _, token, _ := strings.Cut(address, "token="); strings.Contains(log.String(), token) || log.String() == "" {
			t.Error("the token is in the log, or there is no log")
		}
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if address = strings.TrimSpace(lines.Text()); strings.HasPrefix(address, issuer+"/setup?token=") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return issuer, address
		}
	}
	t.Fatal("serve prints no address to set it up at")
	return "", ""
}

// logo is a picture as people have one.
const logo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 32"><rect width="64" height="32" rx="6" fill="#7a1f5c"/></svg>`

// An operator who ran `serve` and nothing else follows the printed address to an administrator
// with a passkey, a brand, and an app that signs them in.
func TestTheFirstRunInABrowser(t *testing.T) {
	issuer, address := serveEmpty(t)
	tab := harness.Chromium(t)
	withKey(t, tab)
	tab.Open(t, issuer+"/")
	tab.Wait(t, "form#setup-token")
	tab.Open(t, address)
	tab.Fill(t, "#name", "Ada")
	tab.Fill(t, "#email", "ada@example.com")
	tab.Fill(t, "#password", "a quiet river bends north")
	tab.Follow(t, "#administrator-submit")
	tab.Follow(t, "#passkey-submit")
	if codes := strings.Fields(tab.Text(t, "#codes")); len(codes) != 3 {
		t.Errorf("the recovery codes are %q", codes)
	}
	tab.Follow(t, "#continue")
	brandIt(t, tab)
	tab.Follow(t, "#continue")
	tab.Fill(t, "#name", "Acme Portal")
	tab.Follow(t, "#client-submit")
	if secret := tab.Text(t, "#client-secret"); len(secret) < 40 {
		t.Errorf("the secret is %q", secret)
	}
	tab.Follow(t, "#test-submit")
	tab.Follow(t, "#allow")
	if said := tab.Text(t, "main#tested"); !strings.Contains(said, "It works") || !strings.Contains(said, "ada@example.com") || !strings.Contains(said, "phr") {
		t.Errorf("the test says %q", said)
	}
	tab.Follow(t, "#continue")
	tab.Wait(t, "main#setup-done")
	var open int
	tab.Eval(t, `document.querySelectorAll("#open li").length`, &open)
	if open != 0 {
		t.Errorf("%d steps are open still", open)
	}
	if complaints := tab.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}

// brandIt fills in the page of the brand, watches its preview, and saves.
func brandIt(t *testing.T, tab *harness.Tab) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "logo.svg")
	if err := os.WriteFile(file, []byte(logo), 0o600); err != nil {
		t.Fatal(err)
	}
	tab.Fill(t, "#name", "Acme ID")
	tab.Eval(t, `(() => { const c = document.querySelector("#color"); c.value = "#ffcc00"; c.dispatchEvent(new Event("input", {bubbles: true})) })()`, nil)
	var preview struct{ Name, Accent, Text string }
	tab.Eval(t, `(() => { const s = document.querySelector(".preview").style; return {name: document.querySelector("#preview-name").textContent,
		accent: s.getPropertyValue("--accent"), text: s.getPropertyValue("--accent-text")} })()`, &preview)
	if preview.Name != "Acme ID" || preview.Accent != "#ffcc00" || preview.Text != "#000000" {
		t.Errorf("the preview shows %+v", preview)
	}
	tab.Run(t, chromedp.SetUploadFiles("#logo-file", []string{file}, chromedp.ByQuery))
	tab.Wait(t, "#preview-logo")
	tab.Follow(t, "#brand-submit")
	tab.Wait(t, "#done")
	var shown string
	tab.Eval(t, `document.querySelector("header .brand-logo").alt + " " + document.querySelector("header .brand-logo").src.slice(0, 26)`, &shown)
	if shown != "Acme ID data:image/svg+xml;base64," {
		t.Errorf("the logo on the page is %q", shown)
	}
	var loaded bool
	for end := time.Now().Add(10 * time.Second); !loaded && time.Now().Before(end); {
		tab.Eval(t, `document.querySelector("header .brand-logo").naturalWidth > 0`, &loaded)
	}
	if !loaded {
		t.Error("the logo cannot be drawn")
	}
}
