package session

import (
	"net/http/httptest"
	"testing"
	"time"
)

// A browser's cookie and a program's token never stand in for each other, and a session that has
// ended or was never there is nobody's.
func TestCurrentTellsWhoIsSignedIn(t *testing.T) {
	s := newSite(t, nil)
	user := s.person()
	current := func() *Current {
		t.Helper()
		c, err := s.Current(s.request())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if current() != nil {
		t.Error("somebody is signed in in a browser without a cookie")
	}
	s.signIn(user)
	if c := current(); c == nil || c.User.ID != user || c.Status != Valid {
		t.Fatalf("got %+v, want the user, from where the session was made", c)
	}
	token, err := s.Start(t.Context(), s.SourceByToken(s.request()), SignIn{User: user, PasswordHash: "phc"})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("User-Agent", s.agent)
	r.Header.Set("Authorization", "Bearer "+token)
	if c, err := s.CurrentByToken(r); err != nil || c == nil || c.User.ID != user {
		t.Errorf("by the token: %+v, %v", c, err)
	}
	if c, err := s.Current(r); err != nil || c != nil {
		t.Errorf("a browser's session for a token: %+v, %v", c, err)
	}
	if c, err := s.CurrentByToken(s.request()); err != nil || c != nil {
		t.Errorf("a program's session for a cookie: %+v, %v", c, err)
	}
	s.now = s.now.Add(30 * time.Minute)
	if c := current(); c == nil || !s.visit().Session.LastSeenAt.Equal(s.now) {
		t.Error("the use of the session is not noted")
	}
	s.agent = "curl/8.0"
	if current() != nil {
		t.Error("another browser with the cookie is signed in under strong protection")
	}
	s.agent = firefox
	if current() != nil {
		t.Error("the session that this ended is back")
	}
}
