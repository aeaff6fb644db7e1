package app

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/storage"
)

// logo serves the picture of a client under the hash of its content, so that browsers keep it for ever. It is a PNG of
// our own making; the policy is for those who open it by itself.
func (s *Server) logo(w http.ResponseWriter, r *http.Request) error {
	hash, ok := strings.CutSuffix(web.Var(r, "file"), ".png")
	if raw, err := hex.DecodeString(hash); !ok || err != nil || len(raw) != 16 {
		return &web.Error{Status: http.StatusNotFound}
	}
	image, err := s.app.Store.Logos.Image(r.Context(), hash)
	if errors.Is(err, storage.ErrNotFound) {
		return &web.Error{Status: http.StatusNotFound}
	}
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "image/png")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", `"`+hash+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(image))
	return nil
}
