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
)

// The bounds of a body. None of ours nests deeper, or has more in it, than a WebAuthn credential.
const (
	maxDepth  = 16
	maxParts  = 1000 // members and elements, all together
	maxMember = 1024 // bytes of a name, before the work of folding it
	maxEchoed = 64   // characters of a name that an answer repeats
)

// shape walks over a body once, before anything is made of it.
type shape struct {
	d     *json.Decoder
	parts int // members and elements seen
}

// checkShape: one object, not too deep nor too much in it, no member twice; and
// where it is read into a struct, only the members of that, spelled as they are:
// encoding/json would take others for them that differ in case or, by Unicode's
// folding, in more than that.
func checkShape(body []byte, t reflect.Type) error {
	s := &shape{d: json.NewDecoder(bytes.NewReader(body))}
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

// object has read the opening brace of what is at path, for a t.
func (s *shape) object(path string, t reflect.Type, depth int) error {
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
		at := path + clipped(name)
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

// value reads what is at path, for a t; nil for anything.
func (s *shape) value(path string, t reflect.Type, depth int) error {
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

func (s *shape) closing() error {
	if _, err := s.d.Token(); err != nil {
		return malformed("The body is not JSON.")
	}
	return nil
}

var (
	rawType = reflect.TypeFor[json.RawMessage]()
	idType  = reflect.TypeFor[uuid.UUID]()
)

// checkScalar refuses what encoding/json lets by, null as anything, or does not name the member of.
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

// members are the types of what may be in an object for a t, by name; nil if anything may.
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

// folded is the same for names that encoding/json could take for each other.
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

// clipped keeps what an answer repeats of a request short.
func clipped(name string) string {
	characters := 0
	for at := range name {
		if characters++; characters > maxEchoed {
			return name[:at] + "…"
		}
	}
	return name
}
