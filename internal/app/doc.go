// Package app puts the product together: it reads the configuration and joins the packages that otherwise do not know
// each other. It is a package rather than main so that tests start the true server.
//
//	Load (config*.go)      flags, environment, .env, sallyport.yaml → Config, or every fault at once
//	Open (app.go)          Config → App: database, Redis, keys, domain; what commands need, too
//	App.NewServer          App → Server: pages, sessions, handlers, outbox worker (server.go)
//	Serve (serve.go)       Server → listeners and background jobs, until the context ends
//
// # Where things are
//
//	config_keys.go   the table of configuration keys: each row has a default, a help text, a parser and a field
//	server.go        which package gets what; the route table
//	jobs.go          the table of background jobs
//	health.go        /healthz, /readyz and the admin listener
//	doctor.go        what `sallyport doctor` looks at
//	demo.go          `sallyport demo`: server, sample data and a relying party
package app
