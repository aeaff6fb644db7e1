package browser

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/sallyport-id/sallyport/templates"
	"github.com/sallyport-id/sallyport/templates/samples"
)

// mailProgram is wide enough for a mail's 600 px and their margin.
const mailProgram = 700

// Every mail, as a phone and a mail program show it: it fits, asks nobody for
// anything, and can be read by everybody.
func TestScreenshotsOfMails(t *testing.T) {
	tmpl, err := templates.New(templates.Brand{Name: "Acme ID", SupportEmail: "help@acme.example"})
	if err != nil {
		t.Fatal(err)
	}
	var shown templates.Letter
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, shown.HTML)
	}))
	defer server.Close()
	g := newGallery(t, server.URL)
	for _, s := range samples.Mails() {
		if shown, err = tmpl.RenderMail(s.Mail); err != nil {
			t.Fatal(err)
		}
		g.tab.Open(t, server.URL+"/"+s.Name)
		g.mail(t, s.Name)
	}
	f, err := os.Create(filepath.Join(g.dir, "mails.html"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := index.Execute(f, g.shots); err != nil {
		t.Fatal(err)
	}
}

// mail is look for a document that is no page of ours: it has no landmarks.
func (g *gallery) mail(t *testing.T, name string) {
	t.Helper()
	g.cost(t, name)
	g.tab.Run(t, chromedp.Evaluate(g.axe, nil))
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{narrow, mailProgram} {
			at := fmt.Sprintf("%s-%d-%s", name, width, scheme)
			var image []byte
			var overflow int64
			g.tab.Run(t,
				emulation.SetDeviceMetricsOverride(width, 600, 1, width == narrow),
				emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
				chromedp.Evaluate(`document.documentElement.scrollWidth - document.documentElement.clientWidth`, &overflow),
				photograph(&image))
			if overflow > 0 {
				t.Errorf("%s: the mail is %d px wider than the window", at, overflow)
			}
			if err := os.WriteFile(filepath.Join(g.dir, at+".png"), image, 0o644); err != nil {
				t.Fatal(err)
			}
			g.shots = append(g.shots, at)
			var violations []json.RawMessage
			g.tab.Eval(t, `axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}).then(r => r.violations.map(v => ({
				rule: v.id, nodes: v.nodes.map(n => n.target.join(" ") + ": " + n.failureSummary)})))`, &violations)
			for _, v := range violations {
				t.Errorf("%s: axe: %s", at, v)
			}
		}
	}
	g.tab.Forget()
}
