package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
)

// layout is the columns of a struct: those that its db tags name, in the order of the fields. sqlx hands the fields
// themselves to database/sql, which knows neither times as microseconds nor a NULL in a string; target does.
type layout[T any] struct {
	columns string // "u.id, u.sub, …"
	fields  [][]int
}

// layoutOf reads the db tags of T for a table that queries name by alias. A tag in parentheses is an expression.
func layoutOf[T any](alias string) layout[T] {
	var l layout[T]
	var columns []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		column, tagged := f.Tag.Lookup("db")
		if !tagged {
			continue
		}
		if !strings.HasPrefix(column, "(") {
			column = alias + "." + column
		}
		columns, l.fields = append(columns, column), append(l.fields, f.Index)
	}
	l.columns = strings.Join(columns, ", ")
	return l
}

// dest is where the columns of one row are scanned into.
func (l layout[T]) dest(row *T) []any {
	return l.appendDest(make([]any, 0, len(l.fields)), row)
}

// appendDest appends dest to those of other columns.
func (l layout[T]) appendDest(to []any, row *T) []any {
	v := reflect.ValueOf(row).Elem()
	for _, index := range l.fields {
		to = append(to, v.FieldByIndex(index).Addr().Interface())
	}
	return to
}

// column is the dest of a query for one column.
func column[T any](to *T) []any { return []any{to} }

// scanner is one row of a result. Its Scan converts columns by the types of what they are scanned into; see target.
type scanner interface {
	Scan(dest ...any) error
}

// executor is the Store, where a statement is a transaction of its own, or a tx.
type executor interface {
	exec(ctx context.Context, query string, args ...any) (int64, error)
	row(ctx context.Context, query string, args ...any) result
	rows(ctx context.Context, each func(scanner) error, query string, args ...any) error
}

// one returns the row of a query, or ErrNotFound.
func one[T any](ctx context.Context, q executor, op string, dest func(*T) []any, query string, args ...any) (*T, error) {
	var row T
	if err := q.row(ctx, query, args...).Scan(dest(&row)...); err != nil {
		return nil, fault(op, err)
	}
	return &row, nil
}

// list returns all rows of a query.
func list[T any](ctx context.Context, q executor, op string, dest func(*T) []any, query string, args ...any) ([]T, error) {
	var all []T
	err := q.rows(ctx, func(r scanner) error {
		var row T
		err := r.Scan(dest(&row)...)
		all = append(all, row)
		return err
	}, query, args...)
	return all, fault(op, err)
}

// converting is each for rows whose columns are converted.
func converting(each func(scanner) error) func(*sqlx.Rows) error {
	return func(r *sqlx.Rows) error { return each(convertedRow{r}) }
}

type convertedRow struct{ rows *sqlx.Rows }

func (r convertedRow) Scan(dest ...any) error { return r.rows.Scan(targets(dest)...) }

func targets(dest []any) []any {
	for n, to := range dest {
		dest[n] = target(to)
	}
	return dest
}

// target is what a column is scanned into so that to gets its value: a time from microseconds, a list from words
// separated by spaces, a struct, map or slice from JSON, and the zero value from NULL, as after a LEFT JOIN.
func target(to any) any {
	switch to := to.(type) {
	case *string:
		return nullable[string]{to}
	case *time.Time:
		return instant{to}
	case *bool:
		return nullable[bool]{to}
	case *int64:
		return nullable[int64]{to}
	case *[]string:
		return wordList{to}
	case *json.RawMessage:
		return verbatim{to}
	case sql.Scanner, *[]byte:
		return to
	}
	switch reflect.TypeOf(to).Elem().Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Pointer:
		return document{to}
	}
	return to
}

// nullable scans a column that may be NULL.
type nullable[T string | bool | int64] struct{ to *T }

func (n nullable[T]) Scan(v any) error {
	var zero T
	*n.to = zero
	switch to := any(n.to).(type) {
	case *string:
		switch v := v.(type) {
		case nil:
			return nil
		case string:
			*to = v
			return nil
		case []byte:
			*to = string(v)
			return nil
		}
	case *bool:
		switch v := v.(type) {
		case nil:
			return nil
		case bool:
			*to = v
			return nil
		case int64:
			*to = v != 0
			return nil
		}
	case *int64:
		switch v := v.(type) {
		case nil:
			return nil
		case int64:
			*to = v
			return nil
		}
	}
	return fmt.Errorf("a column for a %T holds %T", zero, v)
}

// instant scans a column of microseconds; NULL is the zero time.
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

// wordList scans a column of space-separated words; NULL and "" are nil.
type wordList struct{ to *[]string }

func (l wordList) Scan(v any) error {
	var s string
	err := (nullable[string]{&s}).Scan(v)
	*l.to = nil
	if s != "" {
		*l.to = strings.Split(s, " ")
	}
	return err
}

// verbatim scans a text column of JSON as it is.
type verbatim struct{ to *json.RawMessage }

func (r verbatim) Scan(v any) error {
	var s string
	err := (nullable[string]{&s}).Scan(v)
	*r.to = json.RawMessage(s)
	return err
}

// document scans a column of JSON text; NULL, "" and {} leave the value as it is.
type document struct{ to any }

func (d document) Scan(v any) error {
	var s string
	if err := (nullable[string]{&s}).Scan(v); err != nil || s == "" || s == "{}" {
		return err
	}
	return json.Unmarshal([]byte(s), d.to)
}

// usec is t as a column value: microseconds since the epoch, nil for the zero time.
func usec(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// id is u as a column value, nil for the nil UUID.
func id(u uuid.UUID) any {
	if u == uuid.Nil {
		return nil
	}
	return u.String()
}

// textOrNull is s as a column value, nil for "".
func textOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// words is a set of space-separated words (scopes, audiences, roles, amr) as one
// column value. Order is kept.
type words []string

// Value joins the words.
func (w words) Value() (driver.Value, error) { return strings.Join(w, " "), nil }

// Storable returns a text from elsewhere as every database keeps it, in at most most bytes and "…" in the place of the
// rest: PostgreSQL takes neither NUL nor what is not UTF-8.
func Storable(text string, most int) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", "?")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
