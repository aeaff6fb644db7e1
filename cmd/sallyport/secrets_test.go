package main

import (
	"strings"
	"testing"
)

// A former key is dropped when status names nothing under it: it must name all there is.
func TestSecretsCountsAndSealsWhateverIsSealed(t *testing.T) {
	f := emptyFolder(t)
	f.want(0, "", "admin", "bootstrap")
	out, _ := f.want(0, "", "secrets", "status")
	for _, what := range []string{"client secrets", "signing keys", "authenticator apps"} {
		if !strings.Contains(out, what) {
			t.Errorf("status does not count %s:\n%s", what, out)
		}
	}
	if out, _ = f.want(0, "", "secrets", "rotate"); !strings.Contains(out, "0 seeds of authenticator apps were sealed anew.") {
		t.Errorf("rotate does not seal seeds:\n%s", out)
	}
}
