// Package web is the ceremony around every HTTP handler of the server. A handler finds out who and what, refuses early,
// changes one thing and answers, or returns an error; everything else happens here, once:
//
//	Router    for each request, whatever comes of it (404, 405 and panics too): request id, security headers, the
//	          check of Host and path, the cap on the body, one access line, one observation for metrics
//	Web       errors become responses: Handle for people, HandleJSON for machines
//	SameOrigin, Form, Query, AnyOrigin, ClientOrigins    what a route adds for itself
//
// What never reaches the log: query strings, bodies, cookies, credentials.
package web
