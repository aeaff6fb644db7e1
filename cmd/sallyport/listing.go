package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// pageSize is how many items of a list are read and kept at once.
const pageSize = 500

// listing prints a list of any length page by page, as a table or as JSON. A column is as wide as the widest cell so
// far.
type listing struct {
	p      *program
	widths []int
	rows   [][]string // of the table, those of this page
	out    bytes.Buffer
	listed bool // JSON has begun
}

// listing begins a list with these columns.
func (p *program) listing(header ...string) *listing {
	l := &listing{p: p, widths: make([]int, len(header))}
	for n, h := range header {
		header[n] = strings.ToUpper(h)
	}
	if !p.json {
		l.rows = append(l.rows, header)
	}
	return l
}

// add adds a row: value as JSON, or cells in the order of the header.
func (l *listing) add(value any, cells ...string) error {
	if l.p.json {
		text, err := json.MarshalIndent(value, "  ", "  ")
		l.out.WriteString(map[bool]string{false: "[\n  ", true: ",\n  "}[l.listed])
		l.out.Write(text)
		l.listed = true
		return err
	}
	for n, cell := range cells {
		cells[n] = printable(cell)
	}
	l.rows = append(l.rows, cells)
	return nil
}

// flush prints what was added.
func (l *listing) flush() error {
	for _, row := range l.rows {
		for n, cell := range row {
			l.widths[n] = max(l.widths[n], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range l.rows {
		var line strings.Builder
		for n, cell := range row {
			fmt.Fprintf(&line, "%-*s  ", l.widths[n], cell)
		}
		l.out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	l.rows = l.rows[:0]
	_, err := l.out.WriteTo(l.p.out)
	return err
}

// end prints the rest.
func (l *listing) end() error {
	if l.p.json {
		l.out.WriteString(map[bool]string{false: "[]\n", true: "\n]\n"}[l.listed])
	}
	return l.flush()
}

// listAll lists up to limit items, all if it is 0. read returns a page of them; show returns for an item what is
// listed and the position after it, where read goes on. The zero position is the start.
func listAll[T, C any](l *listing, limit int, read func(after C, n int) ([]T, error),
	show func(T) (value any, cells []string, next C)) error {
	var after C
	for seen := 0; ; {
		n := pageSize
		if limit > 0 {
			n = min(pageSize, limit-seen)
		}
		all, err := read(after, n)
		if err != nil {
			return err
		}
		for _, v := range all {
			value, cells, next := show(v)
			if err := l.add(value, cells...); err != nil {
				return err
			}
			after = next
		}
		seen += len(all)
		if len(all) < n || seen == limit {
			return l.end()
		}
		if err := l.flush(); err != nil {
			return err
		}
	}
}
