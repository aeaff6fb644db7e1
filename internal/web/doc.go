// Package web is the ceremony around every HTTP handler of the server. A handler finds out who and what, refuses early,
// changes one thing and answers, or returns an error; everything else happens here, once:
//
//	Router    for each request, whatever comes of it (404, 405 and panics too): request id, security headers, the
//	          check of Host and path, the cap on the body, one access line, one observation for metrics
//	Web       errors become responses: Handle for people, HandleJSON for the protocol, HandleAPI for the JSON API, whose
//	          answers are all in the Envelope
//	SameOrigin, CheckOrigin, CheckAPIOrigin, Form, Query    what a route refuses by itself
//	AnyOrigin, ClientOrigins, APIOrigins                    which pages of other origins it lets in
//
// Query strings, bodies, cookies and credentials never reach the log.
package web
