package web

import (
	"net/http"
	"time"
)

// NewServer returns a server for handler whose limits let slow or idle connections hold nothing for long. OPTIONS * goes
// to handler like everything else, so that no response leaves without its headers.
func NewServer(addr string, handler http.Handler) *http.Server {
	return &http.Server{
		Addr:                         addr,
		Handler:                      handler,
		ReadHeaderTimeout:            5 * time.Second,
		ReadTimeout:                  15 * time.Second,
		WriteTimeout:                 30 * time.Second,
		IdleTimeout:                  120 * time.Second,
		MaxHeaderBytes:               32 << 10,
		DisableGeneralOptionsHandler: true,
	}
}
