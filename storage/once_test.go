package storage

import (
	"errors"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/secret"
)

// RFC 6749, sections 4.1.2 and 10.4: a code or refresh token that is presented twice is in two hands. The statement that
// spends it decides, because two requests can both have read it unspent.
func TestACodeAndARefreshTokenAreSpentOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		a := newAuthorizing(t, s)
		in := a.mustRead(t)
		must(t, s.IssueCode(t.Context(), *in))
		now := s.clock()
		refresh := func(name string) *RefreshToken {
			return &RefreshToken{Hash: secret.HashOf(name), GrantID: in.Grant.ID, ClientID: a.client, Salt: []byte{1}, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
		}
		code := Redemption{Hash: in.Code.Hash, ClientID: a.client, GrantID: in.Grant.ID, Refresh: refresh("first")}
		must(t, s.RedeemCode(t.Context(), code))
		code.Refresh = refresh("stolen")
		if err := s.RedeemCode(t.Context(), code); !errors.Is(err, ErrSpent) {
			t.Errorf("a code a second time: got %v, want ErrSpent", err)
		}
		rotation := Redemption{Hash: secret.HashOf("first"), ClientID: "another", GrantID: in.Grant.ID, Refresh: refresh("second")}
		if err := s.Rotate(t.Context(), rotation); !errors.Is(err, ErrSpent) {
			t.Errorf("a refresh token of another client: got %v, want ErrSpent", err)
		}
		rotation.ClientID = a.client
		must(t, s.Rotate(t.Context(), rotation))
		rotation.Refresh = refresh("third")
		if err := s.Rotate(t.Context(), rotation); !errors.Is(err, ErrSpent) {
			t.Errorf("a refresh token a second time: got %v, want ErrSpent", err)
		}
		if n := counted(t, s, `SELECT count(*) FROM refresh_tokens`); n != 2 {
			t.Errorf("%d refresh tokens were stored, want the first and its one successor", n)
		}
	})
}

// A flow ends with one answer: a second code for it would be one that its person never saw asked for.
func TestAFlowIsSpentOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		registered(t, s, "app")
		flow := flowOf(t, s, secret.HashOf(secret.NewToken("")), nil)
		must(t, s.SpendFlow(t.Context(), flow))
		if err := s.SpendFlow(t.Context(), flow); !errors.Is(err, ErrSpent) {
			t.Errorf("a second time: got %v, want ErrSpent", err)
		}
	})
}

// Two requests may both have read a link that still counts. The statement that spends it lets one of them go on.
func TestALinkIsSpentOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		user := guest(t, s)
		link := mailed(t, s, LinkVerify, user)
		proof := func() error {
			return s.VerifyEmail(t.Context(), &EmailVerification{UserID: user, EmailKey: user.String() + "@example.com", Link: link, Purpose: LinkVerify,
				Event: &Event{Type: "test"}})
		}
		must(t, proof())
		if err := proof(); !errors.Is(err, ErrSpent) {
			t.Errorf("a second time: got %v, want ErrSpent", err)
		}
	})
}

// Another person who learned the id of a flow is signed in, too, in their own browser: their answer must not become its.
func TestAnAnswerComesFromTheBrowserOfItsFlow(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		registered(t, s, "app")
		mallory, hers := guest(t, s), browserOf("hers")
		mustSignIn(t, s, signIn(s, mallory, secret.Hash{}, hers))
		flow := flowOf(t, s, browserOf("mine"), nil)
		if err := s.AnswerConsent(t.Context(), answerOf(s, flow, hers, mallory, "openid")); !errors.Is(err, ErrSpent) {
			t.Errorf("from another browser: got %v, want ErrSpent", err)
		}
		if f := mustFlow(t, s, flow); f.Consent != nil {
			t.Errorf("the flow has the answer %+v", f.Consent)
		}
	})
}
