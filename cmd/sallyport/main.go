// Command sallyport is an OpenID Connect provider and OAuth 2.0 authorization
// server in one binary. Each file here is one command of it; what they do is in
// internal/app and identity.
//
// Exit codes: 0 done, 1 failed, 2 bad usage or, for `clients plan`, a difference.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// The first signal stops the program gracefully and restores the default, so that a second one ends it at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	p := &program{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ()}
	os.Exit(p.run(ctx, os.Args[1:]))
}
