package factor

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// challengeLife is how long a WebAuthn ceremony may take.
const challengeLife = 5 * time.Minute

// The purposes of challenges. An answer for one purpose is not accepted for another.
const (
	forEnrolment  = "enrol"
	forSecondStep = "second step"
	forPasskey    = "passkey"
)

// A challenge consists of its end (seconds since 1970, 64 bits), 128 random bits, and a MAC.
const (
	challengeMAC    = 8 + 16
	challengeLength = challengeMAC + 32
)

// errNoBrowser refuses a zero bind, with which every browser could answer.
var errNoBrowser = errors.New("factor: a challenge needs the browser's token")

// challenges makes and checks challenges without storing them.
type challenges struct {
	keys secret.Subkeys
	now  func() time.Time
}

// give returns a new challenge for one browser and one user; uuid.Nil is any user.
func (c challenges) give(purpose string, bind secret.Hash, user uuid.UUID) ([]byte, error) {
	if bind.IsZero() {
		return nil, errNoBrowser
	}
	head := binary.BigEndian.AppendUint64(make([]byte, 0, challengeLength), uint64(c.now().Add(challengeLife).Unix()))
	head = append(head, secret.Random(challengeMAC-8)...)
	mac := c.keys.MAC([]byte(purpose), bind[:], user[:], head)
	return append(head, mac[:]...), nil
}

// answered is a challenge that came back and has to be spent.
type answered struct {
	text    string
	hash    secret.Hash
	expires time.Time
}

// take checks that a challenge that came back, in base64url, was given for the same purpose, browser and user and has
// not expired. Only spending it shows whether it was answered before.
func (c challenges) take(text, purpose string, bind secret.Hash, user uuid.UUID) (*answered, error) {
	if len(text) > 2*challengeLength { // before the work of decoding it
		return nil, ErrChallenge
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != challengeLength || bind.IsZero() {
		return nil, ErrChallenge
	}
	head, mac := raw[:challengeMAC], raw[challengeMAC:]
	if !c.keys.Verify(mac, []byte(purpose), bind[:], user[:], head) {
		return nil, ErrChallenge
	}
	expires := time.Unix(int64(binary.BigEndian.Uint64(head)), 0).UTC()
	if !c.now().Before(expires) {
		return nil, ErrChallenge
	}
	// The bytes are hashed: text can be written in more than one way.
	return &answered{text: text, hash: secret.HashOf("WebAuthn challenge " + string(raw)), expires: expires}, nil
}
