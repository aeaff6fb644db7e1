// Package page is what the packages with pages share: consent, consent/login, consent/factor, consent/account,
// consent/setup, and later the console for admins.
//
// # Parts
//
//	Deps     what the handlers of every page package need; internal/app fills it in once
//	Request  one request to a page on the way to a code, or to this server itself: its flow, its forms, its links
//	Gate     pages outside any flow: it admits users whose sign-in is complete and fresh enough, and checks their forms
//	Route    a page with the handlers of its GET, its POST and its script
//	notices  Deps.RedirectDone and Deps.Done: a page says once what the page before it did
//	words    FieldTexts, Capital, Shorten, Wait, RoleNames: errors and roles as a page says them
//
// # A request in a flow
//
//	Deps.ReadRequest ──▶ Request.Flow: the stored flow with its next step (Flow.NextStep) and Flow.ResumeURL
//	handler           ──▶ another step is next: redirect to Request.NextURL
//	                      else Request.Form checks the form, the handler acts, redirect to Request.NextURL
//	package provider  ──▶ asks consent.NextStep again and sends the browser to the next page or to the app
//
// No page knows the order of the steps: it compares the next step with its own path and sends the browser back to the
// authorization endpoint.
//
// # A request outside a flow
//
//	Gate.Page, Gate.Act
//	  no user is signed in         ──▶ /login?to=HERE, or 404 where a platform role is needed
//	  a second factor is missing   ──▶ /login/factor?to=HERE
//	  the sign-in is not fresh     ──▶ /login?to=HERE&notice=fresh
//	  else                         ──▶ the handler, of a POST with its checked form
//
// # Forms
//
// Every form holds a token for one browser and one purpose (session.Manager.CSRFToken). A form whose token does not fit
// is refused with ErrStale in the error; mostly another tab has signed in or out meanwhile.
//
// This package calls identity, internal/signin, internal/session, internal/web and storage; none of them calls back.
package page
