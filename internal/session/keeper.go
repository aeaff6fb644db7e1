package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/sessions"
	"github.com/rbcervilla/redisstore/v9"
	"github.com/sallyport-id/sallyport/internal/redis"
	"github.com/sallyport-id/sallyport/internal/secret"
)

// codecVersion is the first byte of every entry. Entries with another one are of
// another release and count as none.
const codecVersion = 1

// maxEntry bounds what is read as one entry, in bytes.
const maxEntry = 16 << 10

var (
	// errForeign: the bytes are not an entry of this installation.
	errForeign = errors.New("session: not an entry that was written here")
	// errUnavailable: Redis was not asked, because it failed just now.
	errUnavailable = errors.New("session: Redis is not available")
)

// codec writes a gorilla session's values, which are strings, as sealed JSON behind
// a version byte. It is redisstore's serializer in the place of its own, which is
// gob and should not meet bytes that others may have written. Sealing keeps secrets
// such as code verifiers from whoever can read Redis or the database, and entries
// from being forged there.
type codec struct {
	sealer *secret.Sealer
	now    func() time.Time
}

// entry is what is sealed. The name that it is bound to is the session's.
type entry struct {
	Expires time.Time         `json:"expires"` // by our clock; the stores' own expiry only cleans up
	Values  map[string]string `json:"values"`
}

// Serialize implements redisstore.SessionSerializer.
func (c codec) Serialize(s *sessions.Session) ([]byte, error) {
	e := entry{Expires: c.now().Add(time.Duration(s.Options.MaxAge) * time.Second), Values: map[string]string{}}
	for k, v := range s.Values {
		key, isString := k.(string)
		value, alsoString := v.(string)
		if !isString || !alsoString {
			return nil, fmt.Errorf("session: %T under %T, want strings", v, k)
		}
		e.Values[key] = value
	}
	plain, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	sealed, err := c.sealer.Seal(plain, []byte("browser_states:"+s.Name()))
	return append([]byte{codecVersion}, sealed...), err
}

// Deserialize implements redisstore.SessionSerializer. An entry that has expired is
// errForeign too.
func (c codec) Deserialize(b []byte, s *sessions.Session) error {
	if len(b) < 1 || len(b) > maxEntry || b[0] != codecVersion {
		return errForeign
	}
	plain, err := c.sealer.Open(b[1:], []byte("browser_states:"+s.Name()))
	var e entry
	if err != nil || json.Unmarshal(plain, &e) != nil || !c.now().Before(e.Expires) {
		return errForeign
	}
	for k, v := range e.Values {
		s.Values[k] = v
	}
	return nil
}

// redisKeeper keeps entries in Redis through redisstore. Of its hazards: an id comes
// from here, never from a cookie, so none can be planted; the cookies that it sends
// are dropped; what is kept is sealed. A nil *redisKeeper keeps nothing.
type redisKeeper struct {
	client *redis.Client
	store  *redisstore.RedisStore
}

func newRedisKeeper(client *redis.Client, c codec) *redisKeeper {
	if client == nil {
		return nil
	}
	k := &redisKeeper{client: client}
	// The error is that of a first ping, which the client has logged: the store works as soon as Redis does.
	_ = client.Do(context.Background(), func(ctx context.Context) (err error) {
		k.store, err = redisstore.NewRedisStore(ctx, client.UniversalClient)
		return err
	})
	k.store.KeyPrefix("sallyport:browser:")
	k.store.Serializer(c)
	return k
}

// load returns the values of an entry, nil if there is none.
func (k *redisKeeper) load(ctx context.Context, name string, id secret.Hash) (map[any]any, error) {
	var values map[any]any
	err := k.do(ctx, func(r *http.Request) error {
		r.AddCookie(&http.Cookie{Name: name, Value: name + ":" + id.String()}) // redisstore takes the id from a cookie
		s, err := k.store.New(r, name)
		if errors.Is(err, errForeign) {
			return nil
		}
		if err == nil && !s.IsNew {
			values = s.Values
		}
		return err
	})
	return values, err
}

// save keeps an entry for ttl, or removes it if that is 0.
func (k *redisKeeper) save(ctx context.Context, name string, id secret.Hash, values map[any]any, ttl time.Duration) error {
	return k.do(ctx, func(r *http.Request) error {
		s := sessions.NewSession(k.store, name)
		s.ID, s.Values, s.Options = name+":"+id.String(), values, &sessions.Options{MaxAge: int(ttl / time.Second)}
		return k.store.Save(r, discard{}, s)
	})
}

// available reports whether an entry can probably be kept.
func (k *redisKeeper) available() bool { return k != nil && k.client.Available() }

// do runs one use of Redis with the request that redisstore wants for its context.
func (k *redisKeeper) do(ctx context.Context, use func(*http.Request) error) error {
	if !k.available() {
		return errUnavailable
	}
	return k.client.Do(ctx, func(ctx context.Context) error {
		return use((&http.Request{Header: http.Header{}}).WithContext(ctx))
	})
}

// discard takes the Set-Cookie that redisstore would send: without HttpOnly,
// Secure and SameSite, and with an id in it.
type discard struct{ http.ResponseWriter }

// Header is written to by redisstore, and read by no one.
func (discard) Header() http.Header { return http.Header{} }
