package web

import (
	stdlog "log"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// NewServer returns a server for handler whose limits let slow or idle connections hold nothing for long. OPTIONS * goes
// to handler like everything else, so that no response leaves without its headers. What net/http has to say becomes
// records of log. While closing reports true every response ends its connection; nil never does.
func NewServer(handler http.Handler, log *slog.Logger, closing func() bool) *http.Server {
	return &http.Server{
		Handler:                      endConnections(handler, closing),
		ErrorLog:                     stdlog.New(RecordWriter{log}, "", 0),
		ReadHeaderTimeout:            5 * time.Second,
		ReadTimeout:                  15 * time.Second,
		WriteTimeout:                 30 * time.Second,
		IdleTimeout:                  120 * time.Second,
		MaxHeaderBytes:               32 << 10,
		DisableGeneralOptionsHandler: true,
	}
}

// endConnections ends the connection after responses that must be the last on it.
//
// A request with Transfer-Encoding may have had a Content-Length as well, of which net/http does not tell, and in
// HTTP/1.0 Transfer-Encoding itself is not told of. A proxy in front that believed the other of the two would take the
// rest of the body for the next request, so RFC 9112, section 6.1, has the connection closed. In HTTP/2, which frames
// by itself, the header makes net/http send GOAWAY.
func endConnections(h http.Handler, closing func() bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ambiguous := r.ProtoMajor == 1 && (r.ProtoMinor == 0 || len(r.TransferEncoding) > 0)
		if ambiguous || closing != nil && closing() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

// RecordWriter makes records of what net/http and others write to a log of lines. The text is an attribute and not the
// message, because handlers quote attributes: it may have line breaks, and parts that a stranger chose.
type RecordWriter struct{ Log *slog.Logger }

// Write logs p, a line or a panic with its stack, as one record.
func (w RecordWriter) Write(p []byte) (int, error) {
	text, stack, _ := strings.Cut(strings.TrimSpace(string(p)), "\n")
	switch {
	case strings.Contains(text, "panic"):
		w.Log.Error("a panic was recovered", "error", text, "stack", stack)
	case strings.HasPrefix(text, "http: TLS handshake error"): // anybody who can connect causes one
		w.Log.Info("a TLS handshake failed", "error", text)
	default:
		w.Log.Warn("a library reports a fault", "error", strings.TrimSpace(string(p)))
	}
	return len(p), nil
}
