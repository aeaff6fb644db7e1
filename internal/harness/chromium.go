package harness

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// patience is how long anything in a tab may take: far more than it should, for
// slow machines under the race detector.
const patience = 30 * time.Second

// chromium is the one browser of a test binary; tabs share its process and nothing else.
var chromium struct {
	sync.Mutex
	ctx  context.Context
	stop func()
}

// Tab is a tab of a real Chromium, with cookies of its own. It keeps what its
// pages complained about and what they asked for.
type Tab struct {
	ctx context.Context

	mu         sync.Mutex
	complaints []string
	requests   map[network.RequestID]*Exchange
	order      []network.RequestID
}

// Exchange is one request that a tab made, redirects counted apart.
type Exchange struct {
	Method, URL string
	Status      int64
	Location    string // of a redirect
	Bytes       int64  // of the answer as it came over the wire, with its header
	Failed      string // why there was no answer
}

// Chromium opens a tab in the browser that CHROMIUM names, which `make test` sets.
// The tab closes with the test. The browser stays for the next one: the test
// binary's TestMain ends it with StopChromium.
func Chromium(t testing.TB) *Tab {
	t.Helper()
	root, err := startChromium(variable(t, "CHROMIUM"))
	if err != nil {
		t.Fatalf("CHROMIUM: %v", err)
	}
	browser := cdp.WithExecutor(root, chromedp.FromContext(root).Browser)
	cookies, err := target.CreateBrowserContext().Do(browser)
	if err != nil {
		t.Fatalf("Chromium: %v", err)
	}
	t.Cleanup(func() { _ = target.DisposeBrowserContext(cookies).Do(browser) })
	// Cookies of their own have no window yet, so that the tab comes with one.
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(cookies).WithNewWindow(true).Do(browser)
	if err != nil {
		t.Fatalf("Chromium: %v", err)
	}
	ctx, stop := chromedp.NewContext(root, chromedp.WithTargetID(id))
	t.Cleanup(stop)
	tab := &Tab{ctx: ctx, requests: map[network.RequestID]*Exchange{}}
	chromedp.ListenTarget(ctx, tab.listen)
	// The first run takes the tab over; a deadline on it would close the tab when it passes.
	if err := chromedp.Run(ctx, network.Enable(), log.Enable()); err != nil {
		t.Fatalf("Chromium opens no tab: %v", err)
	}
	return tab
}

func startChromium(path string) (context.Context, error) {
	chromium.Lock()
	defer chromium.Unlock()
	if chromium.ctx != nil {
		return chromium.ctx, nil
	}
	dir, err := os.MkdirTemp("", "sallyport-chromium-")
	if err != nil {
		return nil, err
	}
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.Flag("headless", "new"),
		chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("hide-scrollbars", true)}
	for _, flag := range []string{"no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "no-default-browser-check",
		"disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage", "disable-extensions"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	allocator, release := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	stop := func() {
		// Closing lets it write and remove its files; a browser that does not close in time is killed with its context.
		soon, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		_ = chromedp.Cancel(soon)
		release()
		_ = os.RemoveAll(dir)
	}
	if err := chromedp.Run(ctx); err != nil {
		stop()
		return nil, err
	}
	chromium.ctx, chromium.stop = ctx, stop
	return ctx, nil
}

// StopChromium ends the browser of this test binary, if there is one:
//
//	func TestMain(m *testing.M) {
//		code := m.Run()
//		harness.StopChromium()
//		os.Exit(code)
//	}
func StopChromium() {
	chromium.Lock()
	defer chromium.Unlock()
	if chromium.stop != nil {
		chromium.stop()
		chromium.ctx, chromium.stop = nil, nil
	}
}

// Run does things in the tab, within half a minute.
func (tab *Tab) Run(t testing.TB, actions ...chromedp.Action) {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatalf("%v\n%s", err, tab.describe())
	}
}

// arrive does something that leads to another page, and waits until that has loaded.
func (tab *Tab) arrive(t testing.TB, actions ...chromedp.Action) {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, actions...); err != nil {
		t.Fatalf("%v\n%s", err, tab.describe())
	}
}

// Open goes to a URL, past all redirects.
func (tab *Tab) Open(t testing.TB, url string) {
	t.Helper()
	tab.Run(t, chromedp.Navigate(url))
}

// Follow clicks on what a CSS selector finds, and waits for the page it leads to,
// past all redirects.
func (tab *Tab) Follow(t testing.TB, selector string) {
	t.Helper()
	tab.Wait(t, selector)
	tab.arrive(t, chromedp.Click(selector, chromedp.ByQuery))
}

// Press types a key or text where the focus is, and waits for the page it leads to.
func (tab *Tab) Press(t testing.TB, keys string) {
	t.Helper()
	tab.arrive(t, chromedp.KeyEvent(keys))
}

// Wait waits until a selector finds something that can be seen.
func (tab *Tab) Wait(t testing.TB, selector string) {
	t.Helper()
	tab.Run(t, chromedp.WaitVisible(selector, chromedp.ByQuery))
}

// Fill types a text into a field, in place of what is there.
func (tab *Tab) Fill(t testing.TB, selector, text string) {
	t.Helper()
	tab.Run(t, chromedp.Clear(selector, chromedp.ByQuery), chromedp.SendKeys(selector, text, chromedp.ByQuery))
}

// SignIn fills in the login form and sends it.
func (tab *Tab) SignIn(t testing.TB, who Person) {
	t.Helper()
	tab.Wait(t, "form#login")
	tab.Fill(t, "#email", who.Email)
	tab.Fill(t, "#password", who.Password)
	tab.Follow(t, "#login-submit")
}

// Text is what can be read in what a selector finds.
func (tab *Tab) Text(t testing.TB, selector string) string {
	t.Helper()
	var text string
	tab.Run(t, chromedp.WaitVisible(selector, chromedp.ByQuery), chromedp.Text(selector, &text, chromedp.ByQuery))
	return text
}

// Eval evaluates an expression in the page, promises awaited, into v.
func (tab *Tab) Eval(t testing.TB, expression string, v any) {
	t.Helper()
	tab.Run(t, chromedp.Evaluate(expression, v, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
}

// Location is the URL of the page.
func (tab *Tab) Location(t testing.TB) string {
	t.Helper()
	var url string
	tab.Run(t, chromedp.Location(&url))
	return url
}

// Complaints are the errors and warnings of the tab's pages so far: exceptions,
// what they wrote to the console, and what the browser refused them (a content
// security policy, a third-party cookie). An answer that is an error page is none.
func (tab *Tab) Complaints() []string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	return slices.Clone(tab.complaints)
}

// Exchanges are the requests of the tab so far, in their order.
func (tab *Tab) Exchanges() []Exchange {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	out := make([]Exchange, len(tab.order))
	for i, id := range tab.order {
		out[i] = *tab.requests[id]
	}
	return out
}

// Forget starts Complaints and Exchanges anew.
func (tab *Tab) Forget() {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.complaints, tab.order = nil, nil
	clear(tab.requests)
}

// listen is told everything that happens in the tab.
func (tab *Tab) listen(event any) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if serious := e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning; serious && e.Entry.Source != log.SourceNetwork {
			tab.complaints = append(tab.complaints, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning || e.Type == runtime.APITypeAssert {
			var words []string
			for _, a := range e.Args {
				words = append(words, strings.Trim(string(a.Value), `"`)+a.Description)
			}
			tab.complaints = append(tab.complaints, "console: "+strings.Join(words, " "))
		}
	case *runtime.EventExceptionThrown:
		tab.complaints = append(tab.complaints, "exception: "+e.ExceptionDetails.Error())
	case *network.EventRequestWillBeSent:
		tab.request(e)
	case *network.EventResponseReceived:
		if x := tab.requests[e.RequestID]; x != nil {
			x.Status = e.Response.Status
		}
	case *network.EventLoadingFinished:
		if x := tab.requests[e.RequestID]; x != nil {
			x.Bytes = int64(e.EncodedDataLength)
		}
	case *network.EventLoadingFailed:
		if x := tab.requests[e.RequestID]; x != nil {
			x.Failed = strings.TrimSpace(e.ErrorText + " " + string(e.BlockedReason))
		}
	}
}

// request notes a request. All of a chain of redirects have one id: the answered
// one is put aside under a name of its own.
func (tab *Tab) request(e *network.EventRequestWillBeSent) {
	if x := tab.requests[e.RequestID]; x != nil && e.RedirectResponse != nil {
		x.Status = e.RedirectResponse.Status
		for name, value := range e.RedirectResponse.Headers {
			if strings.EqualFold(name, "Location") {
				x.Location = fmt.Sprint(value)
			}
		}
		x.Bytes = int64(e.RedirectResponse.EncodedDataLength)
		aside := network.RequestID(fmt.Sprintf("%s before %d", e.RequestID, len(tab.order)))
		tab.requests[aside] = x
		tab.order[slices.Index(tab.order, e.RequestID)] = aside
	}
	tab.requests[e.RequestID] = &Exchange{Method: e.Request.Method, URL: e.Request.URL}
	tab.order = append(tab.order, e.RequestID)
}

// describe says where the tab is, for a test that fails.
func (tab *Tab) describe() string {
	ctx, cancel := context.WithTimeout(tab.ctx, 5*time.Second)
	defer cancel()
	var url, text string
	if err := chromedp.Run(ctx, chromedp.Location(&url), chromedp.Evaluate("document.body ? document.body.innerText : ''", &text)); err != nil {
		text = err.Error()
	}
	return fmt.Sprintf("the tab is at %s\n%s\ncomplaints: %q", url, text, tab.Complaints())
}
