package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/internal/web"
)

// maxDepth bounds how deep a body nests; none of ours nests deeper than a WebAuthn credential.
const maxDepth = 16

// decode reads a JSON body into v. Unknown and repeated members, wrong types,
// broken UTF-8, NUL and anything after the value are refused: what is not understood
// must not seem to be, and no database keeps a NUL as text.
func decode(c *call, v any) error {
	kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return &web.Error{Status: http.StatusUnsupportedMediaType, Message: "The body must be application/json."}
	}
	if c.r.ContentLength > web.MaxAPIBody {
		return &web.Error{Status: http.StatusRequestEntityTooLarge}
	}
	body, err := io.ReadAll(c.r.Body)
	if err != nil {
		return err
	}
	if !utf8.Valid(body) {
		return malformed("The body is not UTF-8.")
	}
	if err := checkShape(body); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return decodeError(err)
	}
	return nil
}

func malformed(message string) error {
	return &web.Error{Status: http.StatusBadRequest, Message: message}
}

// decodeError says which member is wrong without repeating its value.
func decodeError(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return invalid(t.Field, fmt.Sprintf("must not be a JSON %s", t.Value))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return invalid(strings.Trim(name, `"`), "is not known here")
	}
	return malformed("The body is not the JSON object that is wanted.")
}

func invalid(field, problem string) error {
	return &web.Error{Status: http.StatusBadRequest, Code: web.CodeValidation, Message: "The input is not valid.", Details: map[string][]string{field: {problem}}}
}

// checkShape walks over a body once: one object, no member twice, not too deep.
func checkShape(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	first, err := d.Token()
	if err != nil || first != json.Delim('{') {
		return malformed("The body must be a JSON object.")
	}
	if err := checkObject(d, 1); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return malformed("There is something after the JSON object.")
	}
	return nil
}

// checkObject has read the opening brace.
func checkObject(d *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return malformed("The body is not JSON.")
		}
		// Members are matched whatever their case, so they may not differ in case alone.
		text, _ := name.(string)
		if strings.IndexByte(text, 0) >= 0 {
			return malformed("There is a NUL in the body.")
		}
		if seen[strings.ToLower(text)] {
			return invalid(text, "is there twice")
		}
		seen[strings.ToLower(text)] = true
		if err := checkValue(d, depth); err != nil {
			return err
		}
	}
	return closing(d)
}

func checkValue(d *json.Decoder, depth int) error {
	token, err := d.Token()
	if err != nil {
		return malformed("The body is not JSON.")
	}
	if text, ok := token.(string); ok && strings.IndexByte(text, 0) >= 0 {
		return malformed("There is a NUL in the body.")
	}
	if depth >= maxDepth {
		if _, nested := token.(json.Delim); nested {
			return malformed("The body nests too deep.")
		}
	}
	switch token {
	case json.Delim('{'):
		return checkObject(d, depth+1)
	case json.Delim('['):
		for d.More() {
			if err := checkValue(d, depth+1); err != nil {
				return err
			}
		}
		return closing(d)
	}
	return nil
}

func closing(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return malformed("The body is not JSON.")
	}
	return nil
}

// empty refuses a body where none is wanted, but for an empty object.
func empty(c *call) error {
	body, err := io.ReadAll(c.r.Body)
	if err != nil {
		return err
	}
	if text := strings.TrimSpace(string(body)); text != "" && text != "{}" {
		return malformed("This request takes no body.")
	}
	return nil
}
