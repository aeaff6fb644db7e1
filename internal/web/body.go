package web

import (
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxFields bounds the parameters of a form or query: each costs an entry in a map, and more never help.
const maxFields = 1000

// Form reads a POST's parameters from its body alone, which must be application/x-www-form-urlencoded in UTF-8 and at
// most 64 KiB: parameters in the URL of a POST end up in logs and are not the form's. A parameter may occur once, except
// for those named in repeatable (RFC 6749 section 3.2). The result is also put into r.PostForm and r.Form, so that what
// parses the request later sees the same. Refusals are *Error with 400, 413 or 415.
func Form(r *http.Request, repeatable ...string) (url.Values, error) {
	if err := checkFormHeader(r); err != nil {
		return nil, err
	}
	if r.ContentLength > maxBody {
		return nil, &Error{Status: http.StatusRequestEntityTooLarge}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, &Error{Status: http.StatusRequestEntityTooLarge, Err: err}
		}
		return nil, &Error{Status: http.StatusBadRequest, Message: "the body could not be read", Err: err}
	}
	if len(body) > maxBody {
		return nil, &Error{Status: http.StatusRequestEntityTooLarge}
	}
	values, err := parseParams(string(body), repeatable)
	if err != nil {
		return nil, err
	}
	r.PostForm, r.Form = values, maps.Clone(values)
	return values, nil
}

// Query reads the parameters in the URL under the rules of [Form].
func Query(r *http.Request, repeatable ...string) (url.Values, error) {
	return parseParams(r.URL.RawQuery, repeatable)
}

func checkFormHeader(r *http.Request) error {
	unsupported := func(message string) error {
		return &Error{Status: http.StatusUnsupportedMediaType, Message: message}
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" || len(r.Header["Content-Type"]) != 1 {
		return unsupported("the body must be application/x-www-form-urlencoded")
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return unsupported("the body must be in UTF-8")
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return unsupported("the body must not be compressed")
	}
	return nil
}

// parseParams refuses what databases and apps would read differently or not at all: repeated parameters, bytes that are
// not UTF-8, and NUL.
func parseParams(raw string, repeatable []string) (url.Values, error) {
	bad := func(message string) error { return &Error{Status: http.StatusBadRequest, Message: message} }
	if strings.Count(raw, "&") >= maxFields {
		return nil, bad("there are too many parameters")
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, bad("the parameters are not properly encoded")
	}
	for name, all := range values {
		if !isText(name) {
			return nil, bad("the name of a parameter is not text in UTF-8")
		}
		if len(all) > 1 && !slices.Contains(repeatable, name) {
			return nil, bad("the parameter " + shown(name) + " occurs more than once")
		}
		for _, v := range all {
			if !isText(v) {
				return nil, bad("the parameter " + shown(name) + " is not text in UTF-8")
			}
		}
	}
	return values, nil
}

func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// shown keeps what a message repeats of a request short and to the characters RFC 6749 allows in error_description.
func shown(name string) string {
	if len(name) > 40 || strings.ContainsFunc(name, func(c rune) bool { return c < 0x20 || c > 0x7e || c == '"' || c == '\\' }) {
		return "given"
	}
	return name
}
