package identity

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/sallyport-id/sallyport/storage"
)

// DiffMetadata has a line for each field in which two registrations differ; if have is empty, for each field
// that has a value.
func DiffMetadata(have, want *storage.Metadata) []string {
	var lines []string
	before, after := MetadataFields(have), MetadataFields(want)
	for n, f := range after {
		was, is := before[n].Value, f.Value
		if was.IsZero() && is.IsZero() || was.Kind() == reflect.Slice && was.Len() == 0 && is.Len() == 0 ||
			reflect.DeepEqual(was.Interface(), is.Interface()) {
			continue
		}
		line := f.Name + ": " + display(is)
		if have.TokenEndpointAuthMethod != "" { // there was one
			line = f.Name + ": " + display(was) + " → " + display(is)
		}
		lines = append(lines, line)
	}
	return lines
}

// ChangedFields names what a diff changes, for the audit log.
func ChangedFields(details []string) []string {
	names := make([]string, len(details))
	for n, d := range details {
		names[n], _, _ = strings.Cut(d, ":")
	}
	return names
}

// display is a value as one line of text.
func display(v reflect.Value) string {
	switch v := v.Interface().(type) {
	case string:
		if v == "" {
			return "none"
		}
		return v
	case []string:
		if len(v) == 0 {
			return "none"
		}
		return strings.Join(v, ", ")
	case *int64:
		if v == nil {
			return "none"
		}
		return fmt.Sprint(*v)
	case json.RawMessage:
		if len(v) == 0 {
			return "none"
		}
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

// MetadataFields lists the fields of m: the names in clients.yaml are those of the
// JSON form, so that neither can have one that the other lacks.
func MetadataFields(m *storage.Metadata) []MetadataField {
	v := reflect.ValueOf(m).Elem()
	fields := make([]MetadataField, v.NumField())
	for n := range fields {
		name, _, _ := strings.Cut(v.Type().Field(n).Tag.Get("json"), ",")
		fields[n] = MetadataField{name, v.Field(n)}
	}
	return fields
}
