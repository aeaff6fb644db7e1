// Package app is the one place where the product is put together: it reads the
// configuration and joins the packages that otherwise do not know each other.
// It is a package rather than main so that tests start the true server.
package app
