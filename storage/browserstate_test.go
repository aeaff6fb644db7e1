package storage

import (
	"errors"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/secret"
)

// At a sign-in the states of a browser move to its new token, by each of the ways that a sign-in is written.
func TestABrowsersStatesMoveWithItAtASignIn(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		user := guest(t, s)
		for name, change := range map[string]func(*SignIn){"one statement": func(*SignIn) {}, "steps": func(in *SignIn) { in.PasswordHash = "" }} {
			from, to := secret.HashOf("from "+name), secret.HashOf("to "+name)
			for _, kind := range []string{"notice", "other"} {
				if err := s.PutBrowserState(t.Context(), &BrowserState{ID: from, Name: kind, Data: []byte(kind), ExpiresAt: s.clock().Add(time.Minute)}); err != nil {
					t.Fatal(err)
				}
			}
			in := signIn(s, user, from, to)
			change(in)
			mustSignIn(t, s, in)
			for _, kind := range []string{"notice", "other"} {
				if data, err := s.BrowserState(t.Context(), to, kind); err != nil || string(data) != kind {
					t.Errorf("%s, new token: %s is %q, %v", name, kind, data, err)
				}
				if _, err := s.BrowserState(t.Context(), from, kind); !errors.Is(err, ErrNotFound) {
					t.Errorf("%s, old token: %s is there: %v", name, kind, err)
				}
			}
		}
		refused := signIn(s, user, secret.HashOf("to steps"), secret.HashOf("refused"))
		refused.PasswordHash = "another"
		if _, err := s.SignIn(t.Context(), refused); !errors.Is(err, ErrConflict) {
			t.Fatalf("got %v, want ErrConflict", err)
		}
		if _, err := s.BrowserState(t.Context(), secret.HashOf("to steps"), "notice"); err != nil {
			t.Errorf("a refused sign-in took the state away: %v", err)
		}
	})
}

func TestABrowsersStateIsReplacedExpiresAndIsDeleted(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		clock := stopClock(s)
		b := &BrowserState{ID: secret.HashOf("browser"), Name: "notice", Data: []byte("first"), ExpiresAt: clock.t.Add(time.Minute)}
		for _, data := range []string{"first", "second"} {
			b.Data = []byte(data)
			if err := s.PutBrowserState(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			if got, err := s.BrowserState(t.Context(), b.ID, b.Name); err != nil || string(got) != data {
				t.Errorf("got %q, %v, want %q", got, err, data)
			}
		}
		clock.add(time.Minute)
		if _, err := s.BrowserState(t.Context(), b.ID, b.Name); !errors.Is(err, ErrNotFound) {
			t.Errorf("expired: got %v, want ErrNotFound", err)
		}
		b.ExpiresAt = clock.t.Add(time.Minute)
		if err := s.PutBrowserState(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteBrowserState(t.Context(), b.ID, b.Name); err != nil {
			t.Fatal(err)
		}
		if _, err := s.BrowserState(t.Context(), b.ID, b.Name); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleted: got %v, want ErrNotFound", err)
		}
	})
}
