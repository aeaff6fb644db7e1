package web

import (
	"net/http"
	"regexp"
)

// localPaths are the pages that a person may be led to after signing in. A path
// is letters, digits and single dashes between slashes, so that there is nothing
// for a browser to read as another host; an invitation keeps its token.
var localPaths = regexp.MustCompile(`^(?:/(?:account|setup|admin|orgs)(?:/[a-z0-9]+(?:-[a-z0-9]+)*)*|/invite\?token=[A-Za-z0-9_-]{43})$`)

// LocalPath is to if it is such a page, else "/": whatever else a request names as
// the place to go on is not followed.
func LocalPath(to string) string {
	if len(to) > 200 || !localPaths.MatchString(to) {
		return "/"
	}
	return to
}

// SeeOther sends a person on. 303: what comes next is a GET, whatever this was.
func SeeOther(w http.ResponseWriter, r *http.Request, to string) error {
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}
