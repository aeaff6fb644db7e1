package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/internal/web"
)

// decode reads a JSON body into v, a pointer to a struct. Unknown and repeated
// members, wrong types, null where v has no pointer, broken UTF-8, NUL and anything
// after the value are refused: what is not understood must not seem to be, and no
// database keeps a NUL as text.
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
	if err := checkShape(body, reflect.TypeOf(v).Elem()); err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
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
		kind, _, _ := strings.Cut(t.Value, " ") // a number comes with its digits
		return invalid(t.Field, "must not be a JSON "+kind)
	}
	return malformed("The body is not the JSON object that is wanted.")
}

func invalid(field, problem string) error {
	return &web.Error{Status: http.StatusBadRequest, Code: web.CodeValidation, Message: "The input is not valid.", Details: map[string][]string{field: {problem}}}
}

// empty refuses a body where none is wanted, but for an object with nothing in it.
func empty(c *call) error {
	body, err := io.ReadAll(c.r.Body)
	if err != nil {
		return err
	}
	const space = " \t\r\n"
	text := strings.Trim(string(body), space)
	if inner, ok := strings.CutPrefix(text, "{"); ok {
		if inner, ok = strings.CutSuffix(inner, "}"); ok {
			text = strings.Trim(inner, space)
		}
	}
	if text != "" {
		return malformed("This request takes no body.")
	}
	return nil
}
