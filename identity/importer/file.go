package importer

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
)

// maxImportLine is in bytes.
const maxImportLine = 64 << 10

// importLine is a user in a file. CSV columns have the same names.
type importLine struct {
	identity.ProfilePatch
	// PreferredUsername becomes the nickname, the only claim for a name that a user chose.
	PreferredUsername   *string  `json:"preferred_username"`
	PhoneNumberVerified bool     `json:"phone_number_verified"`
	Email               string   `json:"email"`
	EmailVerified       *bool    `json:"email_verified"`
	PasswordHash        string   `json:"password_hash"`
	TOTPSecret          jsonText `json:"totp_secret"`
	Disabled            bool     `json:"disabled"`
	// Organization is a slug, Role the role in it; Organizations maps slugs to roles.
	Organization  string            `json:"organization"`
	Role          string            `json:"role"`
	Organizations map[string]string `json:"organizations"`
}

// jsonText is a JSON string, or the text of another JSON value: databases export a column of JSON in either form.
type jsonText string

// UnmarshalJSON takes any value but null.
func (t *jsonText) UnmarshalJSON(value []byte) error {
	if string(value) == "null" {
		return nil
	}
	if value[0] != '"' {
		*t = jsonText(value)
		return nil
	}
	return json.Unmarshal(value, (*string)(t))
}

// importColumns are the columns of CSV with text; importFlags are true or false.
var (
	importColumns = []string{
		"email", "name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile",
		"picture", "website",
		"gender", "birthdate", "zoneinfo", "locale", "phone_number", "address", "password_hash", "totp_secret",
		"organization", "role",
	}
	importFlags = []string{"email_verified", "phone_number_verified", "disabled"}
)

// roles maps the slugs of the organizations in the line to the roles.
func (l *importLine) roles() (map[string]string, identity.FieldErrors) {
	var faults identity.FieldErrors
	roles := map[string]string{}
	maps.Copy(roles, l.Organizations)
	switch {
	case l.Organization == "" && l.Role != "":
		faults.Add("role", "is given without an organization", "add its slug: organization")
	case l.Organization != "" && roles[l.Organization] != "":
		faults.Add("organization", "is among organizations too", "write it once")
	case l.Organization != "":
		if roles[l.Organization] = l.Role; l.Role == "" {
			roles[l.Organization] = storage.RoleMember
		}
	}
	return roles, faults
}

// heard is called for each line of a file with its number, its content or nil, what is wrong with it, and how many
// bytes were read.
type heard func(line int, l *importLine, faults identity.FieldErrors, at int64) error

// readImport reads a file from the start. Its error is that of each or of the file.
func readImport(file io.ReadSeeker, each heard) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	counted := &countingReader{r: file}
	in := bufio.NewReaderSize(counted, maxImportLine)
	if head, _ := in.Peek(3); bytes.Equal(head, []byte("\ufeff")) {
		in.Discard(3)
	}
	head, _ := in.Peek(1024)
	switch head = bytes.TrimSpace(head); {
	case len(head) == 0:
		return nil
	case head[0] == '[':
		return each(1, nil, identity.FieldErrors{{Field: "file", Problem: "is a JSON array",
			Remedy: "write one object a line: jq -c '.[]'"}}, 0)
	case head[0] == '{':
		return readJSONLines(in, counted, each)
	}
	return readCSV(in, counted, each)
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func readJSONLines(in io.Reader, at *countingReader, each heard) error {
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 0, maxImportLine), maxImportLine)
	n := 0
	for s.Scan() {
		n++
		if text := bytes.TrimSpace(s.Bytes()); len(text) > 0 {
			l, faults := parseLine(text)
			if err := each(n, l, faults, at.n); err != nil {
				return err
			}
		}
	}
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		return each(n+1, nil, identity.FieldErrors{{Field: "line", Problem: fmt.Sprintf("has more than %d bytes",
			maxImportLine)}}, at.n)
	}
	return s.Err()
}

// parseLine reads one JSON object. Its errors do not repeat values, which may be hashes.
func parseLine(text []byte) (*importLine, identity.FieldErrors) {
	refuse := func(field, problem, remedy string) (*importLine, identity.FieldErrors) {
		return nil, identity.FieldErrors{{Field: identity.Clip(field), Problem: problem, Remedy: remedy}}
	}
	if !utf8.Valid(text) {
		return refuse("line", "is not UTF-8", "")
	}
	var l importLine
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&l)
	if err == nil && d.More() {
		return refuse("line", "has something behind the object", "write one object a line")
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field == "" {
			return refuse("line", "is no object", "write one object a line")
		}
		return refuse(wrong.Field, "has a value of the wrong type, "+wrong.Value, "")
	}
	if err != nil {
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return refuse(strings.Trim(name, `"`), "is not known", "leave it out; docs/import.md lists what is known")
		}
		return refuse("line", "is not JSON", "write one object a line")
	}
	return &l, nil
}

func readCSV(in io.Reader, at *countingReader, each heard) error {
	r := csv.NewReader(in)
	header, err := r.Read()
	if err != nil {
		return eachCSVFault(err, 1, at.n, each)
	}
	if faults := checkHeader(header); len(faults) > 0 {
		return each(1, nil, faults, at.n)
	}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if wrong, ok := errors.AsType[*csv.ParseError](err); ok && errors.Is(err, csv.ErrFieldCount) {
			faults := identity.FieldErrors{{Field: "line", Problem: fmt.Sprintf("has %d columns instead of %d", len(record),
				len(header)), Remedy: "put values with commas in quotes"}}
			if err := each(wrong.StartLine, nil, faults, at.n); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return eachCSVFault(err, 0, at.n, each)
		}
		line, _ := r.FieldPos(0)
		l, faults := parseRecord(header, record)
		if err := each(line, l, faults, at.n); err != nil {
			return err
		}
	}
}

// eachCSVFault reports an error after which the rest of the file cannot be read.
func eachCSVFault(err error, line int, at int64, each heard) error {
	wrong, ok := errors.AsType[*csv.ParseError](err)
	if !ok {
		return err
	}
	return each(max(line, wrong.StartLine), nil, identity.FieldErrors{{Field: "line",
		Problem: "is not CSV: " + wrong.Err.Error()}}, at)
}

func checkHeader(header []string) identity.FieldErrors {
	var faults identity.FieldErrors
	for n, name := range header {
		header[n] = strings.ToLower(strings.TrimSpace(name))
		switch name := header[n]; {
		case !slices.Contains(importColumns, name) && !slices.Contains(importFlags, name):
			faults.AddItem("column", n+1, fmt.Sprintf("%q is not known", identity.Clip(name)),
				"the first line names the columns; docs/import.md lists those that are known")
		case slices.Contains(header[:n], name):
			faults.AddItem("column", n+1, fmt.Sprintf("%q is there twice", name), "")
		}
	}
	faults.AddIf(!slices.Contains(header, "email"), "column", "email is missing", "")
	return faults
}

// parseRecord reads a line of CSV as the equivalent JSON object.
func parseRecord(header, record []string) (*importLine, identity.FieldErrors) {
	var faults identity.FieldErrors
	object := map[string]any{}
	for n, name := range header {
		switch value := strings.TrimSpace(record[n]); {
		case value == "":
		case slices.Contains(importFlags, name):
			flag, ok := map[string]bool{"true": true, "yes": true, "1": true, "false": false, "no": false,
				"0": false}[strings.ToLower(value)]
			faults.AddIf(!ok, name, fmt.Sprintf("%q is neither true nor false", identity.Clip(value)), "")
			object[name] = flag
		case name == "address":
			object[name] = storage.Address{Formatted: value}
		case !utf8.ValidString(value):
			faults.Add(name, "is not UTF-8", "")
		default:
			object[name] = value
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	text, err := json.Marshal(object)
	if err != nil {
		return nil, identity.FieldErrors{{Field: "line", Problem: "cannot be read"}}
	}
	return parseLine(text)
}
