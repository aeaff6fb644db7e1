package page

import (
	"net/http"

	"github.com/sallyport-id/sallyport/internal/web"
)

// RedirectDone sends the browser to a page that says once what was done. ?done= tells the page to look for a notice, and
// the notice is kept for this browser, so that no link can make a page claim something. If the notice cannot be kept,
// what was done stays done: the fault is logged and the page says nothing.
func (d *Deps) RedirectDone(w http.ResponseWriter, r *http.Request, path, what string) error {
	if err := d.Sessions.SetNotice(r, what); err != nil {
		web.Annotate(r.Context(), "notice", err.Error())
	}
	return web.SeeOther(w, r, path+"?done="+what)
}

// Done returns what the page before this one has done (see RedirectDone), once; "" if nothing.
func (d *Deps) Done(r *http.Request) string {
	what := r.URL.Query().Get("done")
	done, err := d.Sessions.TakeNotice(r, what)
	if err != nil {
		web.Annotate(r.Context(), "notice", err.Error())
	}
	if !done {
		return ""
	}
	return what
}
