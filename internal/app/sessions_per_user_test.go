package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/harness"
)

// signedIn signs a person in in n new browsers, a second apart.
func signedIn(t *testing.T, s *harness.Server, who harness.Person, n int) []*harness.Browser {
	t.Helper()
	all := make([]*harness.Browser, n)
	for i := range all {
		all[i] = s.Browser(t)
		s.Clock.Advance(time.Second)
		harness.SignIn(t, all[i], who)
	}
	return all
}

// mustBeIn checks in which of the browsers somebody is signed in: a + or - for each.
// Looking is a use of the session.
func mustBeIn(t *testing.T, what string, all []*harness.Browser, want string) {
	t.Helper()
	got := ""
	for _, b := range all {
		if p := b.Get(t, "/account"); p.URL.Path == "/login" {
			got += "-"
		} else {
			got += "+"
		}
	}
	if got != want {
		t.Errorf("%s: signed in %s, want %s", what, got, want)
	}
}

func TestASignInBeyondTheBoundEndsTheLongestIdleSession(t *testing.T) {
	for _, c := range []struct {
		bound int
		redis bool
	}{{1, true}, {2, false}, {2, true}, {3, true}} {
		bound := c.bound
		t.Run(fmt.Sprintf("%d, Redis %v", bound, c.redis), func(t *testing.T) {
			o := harness.Options{Redis: c.redis, Clients: harness.Clients, Environ: []string{fmt.Sprintf("SALLYPORT_SESSIONS_PER_USER=%d", bound)}}
			harness.EachEngine(t, o, func(t *testing.T, s *harness.Server) { testBound(t, s, bound) })
		})
	}
}

func testBound(t *testing.T, s *harness.Server, bound int) {
	who, other := harness.NewPerson(t, s, "often@example.com"), harness.NewPerson(t, s, "other@example.com")
	apart := signedIn(t, s, other, 1)
	all := signedIn(t, s, who, bound)
	mustBeIn(t, "within the bound", all, strings.Repeat("+", bound))
	online, offline := harness.QuietTokens(t, s, all[0], "openid"), harness.QuietTokens(t, s, all[0], "openid offline_access")
	if bound > 1 { // the first is used, so that the second is idle longest
		s.Clock.Advance(2 * time.Minute)
		mustBeIn(t, "used", all[:1], "+")
		all = append(all, signedIn(t, s, who, 1)...)
		mustBeIn(t, "with the first one used", all[1:2], "-") // looking at the first one would be another use of it
		if got := strings.Count(s.Contents(t), `"reason":"bound"`); got != 1 {
			t.Errorf("with the first one used: %d sessions ended, want one", got)
		}
		for len(all) < 2*bound { // the ones after it go first
			all = append(all, signedIn(t, s, who, 1)...)
		}
	} else {
		all = append(all, signedIn(t, s, who, 1)...)
	}
	mustBeIn(t, "beyond the bound", all, strings.Repeat("-", len(all)-bound)+strings.Repeat("+", bound))
	mustBeIn(t, "of another person", apart, "+")
	harness.MustBeSignedOut(t, all[0])
	rp := harness.Quiet(s, "openid offline_access")
	if status, _ := rp.Userinfo(t, online.AccessToken); status != http.StatusUnauthorized {
		t.Errorf("an online grant of the ended session: %d", status)
	}
	if status, _ := rp.Userinfo(t, offline.AccessToken); status != http.StatusOK {
		t.Errorf("an offline grant of the ended session: %d", status)
	}
	if r := rp.Refresh(t, offline.RefreshToken); r.Status != http.StatusOK {
		t.Errorf("an offline refresh token of the ended session: %d %s", r.Status, r.Error)
	}
	if got := strings.Count(s.Contents(t), `"reason":"bound"`); got != len(all)-bound {
		t.Errorf("%d events, want %d", got, len(all)-bound)
	}
	// A second sign-in in the same browser makes no further session.
	last := all[len(all)-bound:]
	harness.SubmitLogin(t, last[0], who)
	mustBeIn(t, "renewed", last, strings.Repeat("+", bound))
}

func TestTheBoundOfSessionsIsFiftyUnlessSet(t *testing.T) {
	for setting, ended := range map[string]int{"": 1, "SALLYPORT_SESSIONS_PER_USER=0": 0} {
		t.Run(setting, func(t *testing.T) {
			o := harness.Options{}
			if setting != "" {
				o.Environ = []string{setting}
			}
			harness.EachEngine(t, o, func(t *testing.T, s *harness.Server) {
				var all []*harness.Browser
				for range 51 {
					all = append(all, signedIn(t, s, harness.Bob, 1)...)
				}
				mustBeIn(t, "51", all, strings.Repeat("-", ended)+strings.Repeat("+", 51-ended))
				if setting != "" {
					return
				}
				// A lower bound holds from the next sign-in on.
				n := s.Node(t, "SALLYPORT_SESSIONS_PER_USER=3")
				all = append(all, signedIn(t, n, harness.Bob, 1)...)
				mustBeIn(t, "lowered", all, strings.Repeat("-", 49)+"+++")
			})
		})
	}
}

// Sessions that still need their second factor: a stranger with the password alone ends
// none of the owner's, has five of them, and each for half an hour.
func TestSessionsWithoutTheirSecondFactorAreBoundedApart(t *testing.T) {
	o := harness.Options{Environ: []string{"SALLYPORT_SESSIONS_PER_USER=2"}}
	harness.EachEngine(t, o, func(t *testing.T, s *harness.Server) {
		who := harness.NewPerson(t, s, "two@example.com")
		phone := s.Phone(t, who)
		proven := func() *harness.Browser {
			b := s.Browser(t)
			s.Clock.Advance(time.Minute) // codes are good once
			harness.SignInWith(t, b, who, phone)
			return b
		}
		full := []*harness.Browser{proven(), proven()}
		var halves []*harness.Browser
		for range 6 {
			s.Clock.Advance(20 * time.Second)
			halves = append(halves, s.Browser(t))
			harness.EnterPassword(t, halves[len(halves)-1], who)
		}
		mustBeIn(t, "full ones", full, "++")
		mustBeIn(t, "without a second factor", halves, "-+++++")
		full = append(full, proven())
		mustBeIn(t, "after a third full one", full[:1], "-")

		// The second step makes a session of the one that was to end soon.
		late := halves[5]
		p := late.Get(t, "/login/factor")
		late.Submit(t, p.FormWith(t, "code"), "code", phone.Code(t))
		s.Clock.Advance(31 * time.Minute)
		mustBeIn(t, "half an hour later", halves, "-----+")
		mustBeIn(t, "full ones, half an hour later", full, "--+")
	})
}
