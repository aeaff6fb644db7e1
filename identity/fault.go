package identity

import (
	"errors"
	"fmt"
	"strings"
)

// FieldError is one thing that is wrong with an input. It never contains a secret.
type FieldError struct {
	// Field is the name of the input in its own standard: redirect_uris, email, slug.
	Field string
	// Item is the position in a list, from 1; 0 is the whole field.
	Item    int
	Problem string
	Remedy  string
}

func (f FieldError) String() string {
	s := f.Field
	if f.Item > 0 {
		s += fmt.Sprintf("[%d]", f.Item)
	}
	return s + ": " + f.Text()
}

// Text is the problem and, if there is one, the remedy.
func (f FieldError) Text() string {
	if f.Remedy == "" {
		return f.Problem
	}
	return f.Problem + "; " + f.Remedy
}

// FieldErrors is everything that is wrong with one input, as an error.
type FieldErrors []FieldError

func (f FieldErrors) Error() string {
	lines := make([]string, len(f))
	for i, x := range f {
		lines[i] = x.String()
	}
	return strings.Join(lines, "\n")
}

// Add adds what is wrong with a field.
func (f *FieldErrors) Add(field, problem, remedy string) {
	*f = append(*f, FieldError{Field: field, Problem: problem, Remedy: remedy})
}

// AddIf adds what is wrong with a field, if wrong is true.
func (f *FieldErrors) AddIf(wrong bool, field, problem, remedy string) {
	if wrong {
		f.Add(field, problem, remedy)
	}
}

// AddItem adds what is wrong with one entry of a list, counted from 1.
func (f *FieldErrors) AddItem(field string, item int, problem, remedy string) {
	*f = append(*f, FieldError{Field: field, Item: item, Problem: problem, Remedy: remedy})
}

// AddAll adds the FieldErrors in err; nil has none.
func (f *FieldErrors) AddAll(err error) {
	var more FieldErrors
	if errors.As(err, &more) {
		*f = append(*f, more...)
	}
}

// err returns nil if there are none. A nil FieldErrors in an error would not be nil.
func (f FieldErrors) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
