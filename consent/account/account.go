// Package account is where users look after their own account: /account.
//
//	/account                        overview
//	/account/profile                names and other standard claims
//	/account/email                  another mail to verify the address
//	/account/password         fresh change or set it
//	/account/security               second factors; below it one of them by its id
//	/account/security/app     fresh add an authenticator app
//	/account/security/passkey fresh add a passkey or security key; …/begin answers its script
//	/account/security/codes   fresh new recovery codes
//	/account/security/ID/remove fresh
//	/account/sessions               where the user is signed in; …/ID/end, …/end-others
//	/account/linked                 identities of other providers; …/confirm, …/remove fresh
//	/account/apps                   apps with access; …/disconnect
//	/account/organizations          memberships
//	/account/data             fresh all data about the user, as a file
//	/account/delete           fresh delete the account
//
// page.Gate admits a session only when its sign-in is complete: one that still needs its second factor sees nothing here.
// A user who has yet to set up a factor that an organization requires sees the list of organizations alone. The pages
// marked fresh weaken the account or tell everything about it; they require a sign-in within the last five minutes, when
// the page is opened and again when its form is sent.
//
// Before a loss a page of its own says what is lost (templates.AccountConfirm). A GET changes nothing, except that the
// page of an authenticator app makes a key, which waits to be confirmed.
package account

import (
	"net/http"

	"github.com/sallyport-id/sallyport/internal/page"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/templates"
)

// Pages are the handlers of this package.
type Pages struct{ page.Gate }

// New returns the pages.
func New(d *page.Deps) *Pages { return &Pages{page.Gate{Deps: d, Path: "/account"}} }

// Mount adds the pages to the route table.
func (p *Pages) Mount(rt *web.Router) {
	p.Deps.Mount(rt, nil,
		page.Route{Path: "/account", Show: p.Page(page.SignedIn, p.overview)},
		page.Route{Path: "/account/profile", Show: p.Page(page.SignedIn, p.showProfile), Act: p.Act(page.SignedIn, p.saveProfile)},
		page.Route{Path: "/account/email", Show: p.Page(page.SignedIn, p.showEmail), Act: p.Act(page.SignedIn, p.sendVerification)},
		page.Route{Path: "/account/password", Show: p.Page(page.Fresh, p.showPassword), Act: p.Act(page.Fresh, p.changePassword)},
		page.Route{Path: "/account/security", Show: p.Page(page.SignedIn, p.security)},
		page.Route{Path: "/account/security/app", Show: p.Page(page.Fresh, p.showApp), Act: p.Act(page.SameDevice, p.addApp)},
		page.Route{Path: passkeyPath, Show: p.Page(page.Fresh, p.showPasskey), Act: p.Act(page.SameDevice, p.addPasskey)},
		page.Route{Path: "/account/security/codes", Show: p.Page(page.Fresh, p.confirmNewCodes), Act: p.Act(page.Fresh, p.makeCodes)},
		page.Route{Path: "/account/security/{id}", Show: p.Page(page.SignedIn, p.showFactor), Act: p.Act(page.SignedIn, p.renameFactor)},
		page.Route{Path: "/account/security/{id}/remove", Show: p.Page(page.Fresh, p.confirmRemoval), Act: p.Act(page.Fresh, p.removeFactor)},
		page.Route{Path: "/account/sessions", Show: p.Page(page.SignedIn, p.sessions)},
		page.Route{Path: "/account/sessions/end-others", Show: p.Page(page.SignedIn, p.confirmEndOthers), Act: p.Act(page.SignedIn, p.endOthers)},
		page.Route{Path: "/account/sessions/{id}/end", Show: p.Page(page.SignedIn, p.confirmEnd), Act: p.Act(page.SignedIn, p.end)},
		page.Route{Path: "/account/apps", Show: p.Page(page.SignedIn, p.apps)},
		page.Route{Path: "/account/apps/disconnect", Show: p.Page(page.SignedIn, p.confirmDisconnect), Act: p.Act(page.SignedIn, p.disconnect)},
		page.Route{Path: linkedPath, Show: p.Page(page.SignedIn, p.linked)},
		page.Route{Path: linkedPath + "/confirm", Show: p.Page(page.Fresh, p.confirmLink), Act: p.Act(page.Fresh, p.link)},
		page.Route{Path: linkedPath + "/remove", Show: p.Page(page.Fresh, p.confirmUnlink), Act: p.Act(page.Fresh, p.unlink)},
		page.Route{Path: "/account/organizations", Show: p.Page(page.Enrolling, p.organizations)},
		page.Route{Path: "/account/data", Show: p.Page(page.Fresh, p.showData), Act: p.Act(page.Fresh, p.download)},
		page.Route{Path: "/account/delete", Show: p.Page(page.Fresh, p.confirmDeletion), Act: p.Act(page.Fresh, p.deleteAccount)})
	p.MountPasskeyScript(rt, passkeyPath)
}

const (
	passkeyPath  = "/account/security/passkey"
	securityPath = "/account/security"
)

// part is what every page has: the form's token, and once what was just done.
func (p *Pages) part(r *http.Request) templates.AccountPart {
	return templates.AccountPart{CSRF: p.CSRF(r), Now: p.Now(), Done: doneWords[p.Done(r)]}
}
