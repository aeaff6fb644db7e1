package identity

import (
	"errors"
	"fmt"
	"strings"
)

// FieldError is one thing wrong with what somebody entered. It never holds a secret.
type FieldError struct {
	// Field is the name the input has in its own standard: redirect_uris, email, slug.
	Field string
	// Item is the place in a list, from 1; 0 is the field as a whole.
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

// Text is what is wrong and, if it is known, what to do.
func (f FieldError) Text() string {
	if f.Remedy == "" {
		return f.Problem
	}
	return f.Problem + "; " + f.Remedy
}

// FieldErrors is everything wrong with one input, as an error.
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

// AddItem adds what is wrong with one entry of a list, from 1.
func (f *FieldErrors) AddItem(field string, item int, problem, remedy string) {
	*f = append(*f, FieldError{Field: field, Item: item, Problem: problem, Remedy: remedy})
}

// AddAll adds the faults that err holds; nil holds none.
func (f *FieldErrors) AddAll(err error) {
	var more FieldErrors
	if errors.As(err, &more) {
		*f = append(*f, more...)
	}
}

// err is nil without faults: a nil FieldErrors in an error would not be.
func (f FieldErrors) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
