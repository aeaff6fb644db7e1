package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/sallyport-id/sallyport/internal/oauth"
	"github.com/sallyport-id/sallyport/storage"
)

// snapshot is all keys at one moment. It is immutable.
type snapshot struct {
	version int64
	pairs   []*keyPair // by algorithm, newest first
	byKID   map[string]*keyPair
	signers map[string]*keyPair // by algorithm
	jwks    []byte
	etag    string
}

// build parses rows. Private halves that former has opened are taken from it.
//
// At the first reading a private half that does not open is an error. Later it is
// not, as long as the key that signed before is still published: another node may
// have an ENCRYPTION_KEY that this one gets with its next restart.
func (k *Keyset) build(rows []storage.SigningKey, version int64, former *snapshot) (*snapshot, error) {
	s := &snapshot{version: version, byKID: map[string]*keyPair{}, signers: map[string]*keyPair{}}
	for _, row := range byAlg(rows) {
		p, err := parse(row)
		if err != nil {
			return nil, err
		}
		if p.isSigning() {
			switch err := p.openOnce(k.Sealer, former); {
			case err == nil:
			case former == nil:
				return nil, err
			default:
				k.Log.Error("a signing key cannot be used on this node", "kid", row.KID, "error", err)
			}
		}
		s.pairs = append(s.pairs, p)
		s.byKID[row.KID] = p
	}
	for _, p := range s.pairs {
		if p.row.State == storage.KeyActive {
			s.signers[p.row.Alg] = s.ableToSign(p, former)
		}
	}
	return s, s.publish()
}

// byAlg orders rows by algorithm, and leaves out the algorithms of a newer release.
func byAlg(rows []storage.SigningKey) []storage.SigningKey {
	var known []storage.SigningKey
	for _, alg := range oauth.SigningAlgs() {
		for _, row := range rows {
			if row.Alg == alg {
				known = append(known, row)
			}
		}
	}
	return known
}

// ableToSign is p, or the key that signed before if p cannot and that one still is published.
func (s *snapshot) ableToSign(p *keyPair, former *snapshot) *keyPair {
	if p.private != nil || former == nil {
		return p
	}
	before := former.signers[p.row.Alg]
	if before == nil || s.byKID[before.row.KID] == nil || !s.byKID[before.row.KID].isPublished() {
		return p
	}
	return before
}

// publish renders the published set.
func (s *snapshot) publish() error {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, p := range s.pairs {
		if p.isPublished() {
			set.Keys = append(set.Keys, p.public)
		}
	}
	body, err := json.Marshal(set)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	s.jwks, s.etag = body, `"`+hex.EncodeToString(sum[:16])+`"`
	return nil
}

// missing are the algorithms that have no active key.
func (s *snapshot) missing() []string {
	return slices.DeleteFunc(oauth.SigningAlgs(), func(alg string) bool { return s.signers[alg] != nil })
}

// generation is the newest generation of alg, 0 if there is none.
func (s *snapshot) generation(alg string) int64 {
	var newest int64
	for _, p := range s.pairs {
		if p.row.Alg == alg {
			newest = max(newest, p.row.Generation)
		}
	}
	return newest
}

// pending is the key of alg that waits for its time, nil if none does.
func (s *snapshot) pending(alg string) *keyPair {
	for _, p := range s.pairs {
		if p.row.Alg == alg && p.row.State == storage.KeyPending {
			return p
		}
	}
	return nil
}
