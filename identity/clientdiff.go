package identity

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/sallyport-id/sallyport/storage"
)

// DiffMetadata has a line for each field in which two registrations differ. If have is empty, it has a line for each
// field with a value.
func DiffMetadata(have, want *storage.Metadata) []string {
	var lines []string
	before, after := MetadataFields(have), MetadataFields(want)
	for n, f := range after {
		was, is := before[n].Value, f.Value
		if was.IsZero() && is.IsZero() || was.Kind() == reflect.Slice && was.Len() == 0 && is.Len() == 0 ||
			reflect.DeepEqual(was.Interface(), is.Interface()) {
			continue
		}
		line := f.Name + ": " + displayValue(is)
		if have.TokenEndpointAuthMethod != "" { // there was one
			line = f.Name + ": " + displayValue(was) + " → " + displayValue(is)
		}
		lines = append(lines, line)
	}
	return lines
}

// ChangedFields are the names of the fields in a diff, for the audit log.
func ChangedFields(details []string) []string {
	names := make([]string, len(details))
	for n, d := range details {
		names[n], _, _ = strings.Cut(d, ":")
	}
	return names
}

// displayValue is a value as one line of text.
func displayValue(v reflect.Value) string {
	if text, ok := v.Interface().(fmt.Stringer); ok { // require_pkce, whose zero value is false
		return text.String()
	}
	if v.IsZero() && v.Kind() != reflect.Bool || v.Kind() == reflect.Slice && v.Len() == 0 {
		return "none"
	}
	switch v := v.Interface().(type) {
	case []string:
		return strings.Join(v, ", ")
	case *int64:
		return fmt.Sprint(*v)
	case json.RawMessage:
		return string(v)
	default:
		return fmt.Sprint(v)
	}
}

// MetadataField is one field of a registration under its name in the standards.
type MetadataField struct {
	Name  string
	Value reflect.Value // settable
}

// MetadataFields lists the fields of m. The names in clients.yaml are those of the JSON form, so that both have the
// same fields.
func MetadataFields(m *storage.Metadata) []MetadataField {
	v := reflect.ValueOf(m).Elem()
	fields := make([]MetadataField, v.NumField())
	for n := range fields {
		name, _, _ := strings.Cut(v.Type().Field(n).Tag.Get("json"), ",")
		fields[n] = MetadataField{name, v.Field(n)}
	}
	return fields
}
