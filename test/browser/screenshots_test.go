package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/sallyport-id/sallyport/internal/harness"
	"github.com/sallyport-id/sallyport/templates/samples"
)

const (
	narrow, wide = 320, 1280
	// maxWeight is all that one page may bring over the wire, in bytes.
	maxWeight = 60 << 10
)

// gallery photographs pages, and holds each against what every page promises.
type gallery struct {
	tab   *harness.Tab
	dir   string
	axe   string
	ours  []string // origins that pages may ask
	shots []string
}

func newGallery(t *testing.T, ours ...string) *gallery {
	t.Helper()
	axe, err := os.ReadFile(filepath.Join("node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal("axe-core is not installed: run `make test`, which does that, or `npm ci --ignore-scripts` in test/browser")
	}
	g := &gallery{tab: harness.Chromium(t), dir: os.Getenv("SALLYPORT_TEST_SCREENSHOTS"), axe: string(axe), ours: append(ours, "data:")}
	if g.dir == "" {
		g.dir = t.TempDir()
	}
	if err := os.MkdirAll(g.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// Without its cache the browser asks for everything that a first visit needs.
	g.tab.Run(t, network.SetCacheDisabled(true))
	return g
}

// look photographs the page in the tab at every width, light and dark. What it
// cost is counted since the look before.
func (g *gallery) look(t *testing.T, name string) {
	t.Helper()
	g.cost(t, name)
	g.tab.Run(t, chromedp.Evaluate(g.axe, nil))
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{narrow, 768, wide} {
			at := fmt.Sprintf("%s-%d-%s", name, width, scheme)
			var image []byte
			var overflow int64
			g.tab.Run(t,
				emulation.SetDeviceMetricsOverride(width, 800, 1, width == narrow),
				emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
					{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}),
				chromedp.Evaluate(`document.documentElement.scrollWidth - document.documentElement.clientWidth`, &overflow),
				photograph(&image))
			if overflow > 0 {
				t.Errorf("%s: the page is %d px wider than the window", at, overflow)
			}
			if err := os.WriteFile(filepath.Join(g.dir, at+".png"), image, 0o644); err != nil {
				t.Fatal(err)
			}
			g.shots = append(g.shots, at)
			if width != 768 {
				g.accessible(t, at)
			}
		}
	}
	if complaints := g.tab.Complaints(); len(complaints) > 0 {
		t.Errorf("%s: the browser complains: %q", name, complaints)
	}
	g.tab.Forget()
}

// photograph takes the whole page, with little care for the size of the file.
func photograph(image *[]byte) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		_, _, _, _, _, size, err := page.GetLayoutMetrics().Do(ctx)
		if err != nil {
			return err
		}
		*image, err = page.CaptureScreenshot().WithCaptureBeyondViewport(true).WithOptimizeForSpeed(true).
			WithClip(&page.Viewport{Width: size.Width, Height: size.Height, Scale: 1}).Do(ctx)
		return err
	})
}

// cost checks what the page asked for: little, and nothing of others.
func (g *gallery) cost(t *testing.T, name string) {
	t.Helper()
	var weight int64
	for _, x := range g.tab.Exchanges() {
		weight += x.Bytes
		if !slices.ContainsFunc(g.ours, func(origin string) bool { return strings.HasPrefix(x.URL, origin) }) {
			t.Errorf("%s: the page asks a third party: %s", name, x.URL)
		}
		if x.Failed != "" || x.Status >= 400 && strings.Contains(x.URL, "/static/") {
			t.Errorf("%s: %s fails: %d %s", name, x.URL, x.Status, x.Failed)
		}
	}
	if weight == 0 || weight > maxWeight {
		t.Errorf("%s: the page weighs %d bytes, want at most %d", name, weight, maxWeight)
	}
}

// accessible holds the page against all rules of axe (WCAG 2.2 A and AA among them).
func (g *gallery) accessible(t *testing.T, at string) {
	t.Helper()
	var violations []json.RawMessage
	g.tab.Eval(t, `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v => ({
		rule: v.id, nodes: v.nodes.map(n => n.target.join(" ") + ": " + n.failureSummary)})))`, &violations)
	for _, v := range violations {
		t.Errorf("%s: axe: %s", at, v)
	}
}

var index = template.Must(template.New("index").Parse(`<!doctype html><meta charset="utf-8"><title>Every page</title>
<style>body{font:14px system-ui;background:#888;margin:16px}figure{display:inline-block;vertical-align:top;margin:4px}img{max-height:420px}</style>
{{range .}}<figure><figcaption>{{.}}</figcaption><a href="{{.}}.png"><img loading="lazy" src="{{.}}.png" alt=""></a></figure>
{{end}}`))

// close writes a page that shows all of the gallery at a glance.
func (g *gallery) close(t *testing.T) {
	t.Helper()
	f, err := os.Create(filepath.Join(g.dir, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := index.Execute(f, g.shots); err != nil {
		t.Fatal(err)
	}
}

// Every page: those of a running server as people meet them, and each with its
// usual, longest and emptiest data. `make screenshots` keeps the pictures.
func TestScreenshots(t *testing.T) {
	s, pages := start(t), serveSamples(t)
	g := newGallery(t, s.Issuer, s.app, pages)
	g.journey(t, s)
	for _, sample := range samples.Pages() {
		g.tab.Open(t, pages+"/"+sample.Name)
		g.look(t, sample.Name)
	}
	g.close(t)
}

// journey looks at each page on a person's way.
func (g *gallery) journey(t *testing.T, s *site) {
	t.Helper()
	tab := g.tab
	tab.Open(t, s.app+"/")
	g.look(t, "live-app")
	tab.Follow(t, "#sign-in")
	g.look(t, "live-login")
	tab.SignIn(t, harness.Person{Email: harness.Alice.Email, Password: "not hers"})
	tab.Wait(t, "#login-error")
	g.look(t, "live-login-error")
	tab.SignIn(t, harness.Alice)
	tab.Wait(t, "form#org")
	g.look(t, "live-org")
	tab.Follow(t, "button[name=organization][value=acme-corp]")
	tab.Wait(t, "#allow")
	g.look(t, "live-consent")
	tab.Follow(t, "#allow")
	tab.Wait(t, "#signed-in")
	g.look(t, "live-app-signed-in")
	tab.Open(t, s.Issuer+"/")
	tab.Wait(t, "#sign-out")
	g.look(t, "live-home")
	tab.Open(t, s.Issuer+"/oauth2/logout?client_id=gallery")
	tab.Wait(t, "#logout-yes")
	g.look(t, "live-logout")
	tab.Follow(t, "#logout-yes")
	tab.Wait(t, "main#signed-out")
	g.look(t, "live-signed-out")
	tab.Open(t, s.Issuer+"/oauth2/authorize?client_id=nobody&response_type=code")
	tab.Wait(t, "main#error")
	g.look(t, "live-error")
	tab.Open(t, s.Issuer+"/")
	tab.Wait(t, "#sign-in")
	g.look(t, "live-home-signed-out")
}
