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

// decode reads a JSON body into v, a pointer to a struct. It refuses unknown and repeated members, wrong types, null
// where v has no pointer, broken UTF-8, NUL and anything after the value. A member that was ignored would look
// accepted to the caller, and no database stores a NUL as text.
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
	if err := checkBody(body, reflect.TypeOf(v).Elem()); err != nil {
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
	return notValid(map[string][]string{field: {problem}})
}

func notValid(details map[string][]string) error {
	return &web.Error{Status: http.StatusBadRequest, Code: web.CodeValidation, Message: "The input is not valid.",
		Details: details}
}

// requireEmptyBody refuses a body other than an empty JSON object.
func requireEmptyBody(c *call) error {
	body, err := io.ReadAll(c.r.Body)
	if err != nil {
		return err
	}
	const space = " \t\r\n"
	text := strings.Trim(string(body), space)
	if len(text) > 1 && text[0] == '{' && text[len(text)-1] == '}' {
		text = strings.Trim(text[1:len(text)-1], space)
	}
	if text != "" {
		return malformed("This request takes no body.")
	}
	return nil
}
