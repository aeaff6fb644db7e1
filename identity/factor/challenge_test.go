package factor

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

func testChallenges(t *testing.T, now *time.Time, key byte) challenges {
	t.Helper()
	ring, err := secret.NewKeyring([][]byte{append(make([]byte, 31), key)})
	if err != nil {
		t.Fatal(err)
	}
	return challenges{ring.Subkeys("WebAuthn challenge"), func() time.Time { return *now }}
}

// WA-01: a challenge is for one browser, one person and one purpose, for five minutes.
func TestAChallengeIsForWhomItWasGiven(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	c := testChallenges(t, &now, 1)
	bind, user := secret.HashOf("browser"), uuid.New()
	raw, err := c.give(forSecondStep, bind, user)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString(raw)
	changed := append([]byte{}, raw...)
	changed[7]++ // a second more
	for what, try := range map[string]func() error{
		"another purpose": func() error { _, err := c.take(text, forPasskey, bind, user); return err },
		"another browser": func() error { _, err := c.take(text, forSecondStep, secret.HashOf("another"), user); return err },
		"no browser":      func() error { _, err := c.take(text, forSecondStep, secret.Hash{}, user); return err },
		"another person":  func() error { _, err := c.take(text, forSecondStep, bind, uuid.New()); return err },
		"nobody":          func() error { _, err := c.take(text, forSecondStep, bind, uuid.Nil); return err },
		"a longer life": func() error {
			_, err := c.take(base64.RawURLEncoding.EncodeToString(changed), forSecondStep, bind, user)
			return err
		},
		"a part of it":         func() error { _, err := c.take(text[:40], forSecondStep, bind, user); return err },
		"more than it":         func() error { _, err := c.take(text+"AAAA", forSecondStep, bind, user); return err },
		"padding":              func() error { _, err := c.take(text+"=", forSecondStep, bind, user); return err },
		"nothing":              func() error { _, err := c.take("", forSecondStep, bind, user); return err },
		"another installation": func() error { _, err := testChallenges(t, &now, 2).take(text, forSecondStep, bind, user); return err },
	} {
		wantError(t, what, try(), ErrChallenge)
	}
	// A line end does not make another challenge of it, which could be answered again.
	first, err := c.take(text, forSecondStep, bind, user)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.take(text[:20]+"\n"+text[20:], forSecondStep, bind, user); err == nil && again.hash != first.hash {
		t.Error("the same challenge, written differently, is spent as another")
	}
	now = now.Add(challengeLife - time.Second)
	_, err = c.take(text, forSecondStep, bind, user)
	wantError(t, "just in time", err, nil)
	now = now.Add(time.Second)
	_, err = c.take(text, forSecondStep, bind, user)
	wantError(t, "too late", err, ErrChallenge)
	_, err = c.give(forPasskey, secret.Hash{}, uuid.Nil)
	wantError(t, "for no browser", err, errNoBrowser)
}
