package storage

import (
	"database/sql/driver"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// usec is t as a column value: microseconds since the epoch, nil for the zero time.
func usec(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// Storable returns a text from elsewhere as every database keeps it, in at most most bytes and "…" in the place of the
// rest: PostgreSQL takes neither NUL nor what is not UTF-8.
func Storable(text string, most int) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", "?")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// instant scans a column of microseconds into *t; NULL is the zero time.
type instant struct{ t *time.Time }

func (i instant) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*i.t = time.Time{}
	case int64:
		*i.t = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("a time column holds %T", v)
	}
	return nil
}

// id is u as a column value, nil for the nil UUID.
func id(u uuid.UUID) any {
	if u == uuid.Nil {
		return nil
	}
	return u.String()
}

// optional scans a nullable text or UUID column; NULL leaves the zero value.
type optional[T any] struct{ to *T }

func (o optional[T]) Scan(v any) error {
	var zero T
	*o.to = zero
	if v == nil {
		return nil
	}
	switch to := any(o.to).(type) {
	case *string:
		switch v := v.(type) {
		case string:
			*to = v
		case []byte:
			*to = string(v)
		default:
			return fmt.Errorf("a text column holds %T", v)
		}
	case *bool:
		switch v := v.(type) {
		case bool:
			*to = v
		case int64:
			*to = v != 0
		default:
			return fmt.Errorf("a boolean column holds %T", v)
		}
	case *uuid.UUID:
		return to.Scan(v)
	default:
		return fmt.Errorf("optional[%T] is not supported", zero)
	}
	return nil
}

// words is a set of space-separated words (scopes, audiences, roles, amr) as one
// text column. Order is kept.
type words []string

func (w words) Value() (driver.Value, error) { return strings.Join(w, " "), nil }

// list scans a column of space-separated words; NULL and "" are nil.
type list struct{ to *[]string }

func (l list) Scan(v any) error {
	var s string
	if err := (optional[string]{&s}).Scan(v); err != nil {
		return err
	}
	*l.to = nil
	if s != "" {
		*l.to = strings.Split(s, " ")
	}
	return nil
}
