package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/storage"
)

// listed are the signing keys as the command lists them.
func (f terminalless) listed() []keys.Key {
	f.t.Helper()
	out, _ := f.want(0, "", "keys", "list", "--json")
	var all []keys.Key
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		f.t.Fatal(err)
	}
	return all
}

func TestRevokingASigningKeySaysWhatBreaksAndAsks(t *testing.T) {
	f := emptyFolder(t)
	f.want(0, "", "migrate", "up")
	if err := f.opened().Keys.Load(t.Context()); err != nil { // as serve does
		t.Fatal(err)
	}
	first := f.listed()
	for _, kid := range []string{"nothing", first[0].KID + "x", first[0].KID[:10], "RS256"} {
		if _, stderr := f.want(1, "", "keys", "revoke", kid, "--yes"); !strings.Contains(stderr, "keys list") {
			t.Errorf("%s: %s", kid, stderr)
		}
	}
	f.want(2, "", "keys", "revoke")
	_, stderr := f.want(2, "y\n", "keys", "revoke", first[0].KID)
	if !strings.Contains(stderr, "JWT access tokens") || !strings.Contains(stderr, "ID tokens") || !strings.Contains(stderr, "--yes") {
		t.Errorf("it does not say what breaks, or how to go on: %s", stderr)
	}
	if f.listed()[0].State != storage.KeyActive {
		t.Error("the key was revoked without an answer")
	}
	f.want(0, "", "keys", "rotate", "--alg", "ES256") // this one's successor waits
	for _, k := range first {
		if out, _ := f.want(0, "", "keys", "revoke", k.KID, "--yes"); !strings.Contains(out, k.KID+" is revoked") || !strings.Contains(out, "signs from now on") {
			t.Errorf("%s: %s", k.Alg, out)
		}
		if out, _ := f.want(0, "", "keys", "revoke", k.KID, "--yes"); !strings.Contains(out, "was revoked before") {
			t.Errorf("%s once more: %s", k.Alg, out)
		}
	}
	active, revoked := map[string]bool{}, 0
	for _, k := range f.listed() {
		switch k.State {
		case storage.KeyActive:
			active[k.Alg] = true
		case storage.KeyRevoked:
			revoked++
		}
	}
	if len(active) != 3 || revoked != 3 {
		t.Errorf("%d algorithms have a key that signs and %d keys are revoked, want 3 and 3", len(active), revoked)
	}
}
