package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode"

	"github.com/google/uuid"
	"github.com/sallyport-id/sallyport/identity"
)

// The bounds of a body. The largest valid one holds a WebAuthn credential.
const (
	maxDepth  = 16
	maxParts  = 1000 // members and elements, all together
	maxMember = 1024 // bytes of a name, before the work of folding it
)

// bodyChecker reads a body token by token, before anything is decoded.
type bodyChecker struct {
	d     *json.Decoder
	parts int // members and elements seen
}

// checkBody accepts one object of bounded depth and size in which no member occurs twice. Where the object is decoded
// into a struct, only members of that struct are accepted, spelled exactly: encoding/json would also accept names that
// differ in case or, by Unicode's folding, in more than case.
func checkBody(body []byte, t reflect.Type) error {
	s := &bodyChecker{d: json.NewDecoder(bytes.NewReader(body))}
	s.d.UseNumber()
	first, err := s.d.Token()
	if err != nil || first != json.Delim('{') {
		return malformed("The body must be a JSON object.")
	}
	if err := s.object("", t, 1); err != nil {
		return err
	}
	if _, err := s.d.Token(); !errors.Is(err, io.EOF) {
		return malformed("There is something after the JSON object.")
	}
	return nil
}

// object checks the rest of an object whose opening brace was read. The object is at path and is decoded into a t.
func (s *bodyChecker) object(path string, t reflect.Type, depth int) error {
	known := members(t)
	seen := map[string]bool{}
	for s.d.More() {
		token, err := s.d.Token()
		if err != nil {
			return malformed("The body is not JSON.")
		}
		name, _ := token.(string)
		if strings.IndexByte(name, 0) >= 0 {
			return malformed("There is a NUL in the body.")
		}
		at := path + identity.Clip(name)
		if len(name) > maxMember {
			return invalid(at, "is too long a name")
		}
		if known != nil && known[name] == nil {
			return invalid(at, "is not known here")
		}
		if seen[folded(name)] {
			return invalid(at, "is there twice")
		}
		seen[folded(name)] = true
		if err := s.value(at, known[name], depth); err != nil {
			return err
		}
	}
	return s.closing()
}

// value checks the value at path, which is decoded into a t; nil is any type.
func (s *bodyChecker) value(path string, t reflect.Type, depth int) error {
	if s.parts++; s.parts > maxParts {
		return malformed(fmt.Sprintf("The body has more than %d members and elements.", maxParts))
	}
	token, err := s.d.Token()
	if err != nil {
		return malformed("The body is not JSON.")
	}
	if err := checkScalar(path, t, token); err != nil {
		return err
	}
	if _, nested := token.(json.Delim); nested && depth >= maxDepth {
		return malformed("The body nests too deep.")
	}
	if t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch token {
	case json.Delim('{'):
		return s.object(path+".", t, depth+1)
	case json.Delim('['):
		if t != nil && t.Kind() == reflect.Slice && t != rawType {
			t = t.Elem()
		}
		for s.d.More() {
			if err := s.value(path, t, depth+1); err != nil {
				return err
			}
		}
		return s.closing()
	}
	return nil
}

func (s *bodyChecker) closing() error {
	if _, err := s.d.Token(); err != nil {
		return malformed("The body is not JSON.")
	}
	return nil
}

var (
	rawType = reflect.TypeFor[json.RawMessage]()
	idType  = reflect.TypeFor[uuid.UUID]()
)

// checkScalar refuses what encoding/json accepts, null for any type, and wrong ids, for which it would not name the
// member.
func checkScalar(path string, t reflect.Type, token json.Token) error {
	text, isText := token.(string)
	switch {
	case isText && strings.IndexByte(text, 0) >= 0:
		return malformed("There is a NUL in the body.")
	case t == nil:
		return nil
	case token == nil && t.Kind() != reflect.Pointer:
		return invalid(path, "must not be null")
	case isText && (t == idType || t == reflect.PointerTo(idType)):
		if _, err := uuid.Parse(text); err != nil || len(text) != len(uuid.UUID{}.String()) {
			return invalid(path, "is not an id")
		}
	}
	return nil
}

// members are the types of an object's members by name, if it is decoded into a t; nil if any member is accepted.
func members(t reflect.Type) map[string]reflect.Type {
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	known := make(map[string]reflect.Type, t.NumField())
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		known[name] = t.Field(i).Type
	}
	return known
}

// folded is equal for names that encoding/json could confuse.
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r {
				return next
			}
			r = next
		}
	}, name)
}
