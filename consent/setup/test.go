package setup

import (
	"errors"
	"github.com/sallyport-id/sallyport/internal/page"
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/internal/clienttest"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// startTest sends the browser where the app would. A machine's test is over at once.
func (p *Pages) startTest(w http.ResponseWriter, r *http.Request, c *page.Caller, form url.Values) error {
	next, result, err := p.Tester.Start(w, r, c.Actor, c.Session.ID, form.Get("client_id"))
	if faults, ok := errors.AsType[identity.FieldErrors](err); ok {
		result, err = &clienttest.Result{Problem: "This app " + faults[0].Problem + ".", Advice: page.Capital(faults[0].Remedy) + "."}, nil
	}
	if next != "" {
		return web.SeeOther(w, r, next)
	}
	return p.render(w, r, result, err)
}

// finishTest takes the answer of the authorization endpoint.
func (p *Pages) finishTest(w http.ResponseWriter, r *http.Request, c *page.Caller) error {
	result, err := p.Tester.Finish(r, c.Actor, c.Session.ID)
	return p.render(w, r, result, err)
}

// render shows what came of a test.
func (p *Pages) render(w http.ResponseWriter, r *http.Request, result *clienttest.Result, err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return errAbsent
	} else if err != nil {
		return err
	}
	view := templates.SetupTested{SetupStep: p.step(r, 5), AppName: result.ClientName, ClientID: result.ClientID,
		Passed: result.Passed, Machine: result.Machine,
		Account: templates.Account{Name: result.Name, Email: result.Email}, Problem: result.Problem, Advice: result.Advice, Detail: result.Detail}
	for _, c := range result.Checks {
		view.Checks = append(view.Checks, templates.SetupItem{Title: c.Title, Done: c.OK})
	}
	for _, c := range result.Claims {
		view.Claims = append(view.Claims, templates.SetupClaim(c))
	}
	status := http.StatusOK
	if !view.Passed {
		status = http.StatusUnprocessableEntity
	}
	return p.Web.Page(w, status, view)
}
