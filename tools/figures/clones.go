package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/scanner"
	"go/token"
	"hash/maphash"
	"slices"
)

// minTokens is the shortest run of equal tokens that is reported: about eight lines.
const minTokens = 70

// clone is two places whose tokens agree.
type clone struct {
	tokens int
	a, b   place
}

type place struct {
	file        string
	first, last int // lines
}

func (p place) String() string { return fmt.Sprintf("%s:%d-%d", p.file, p.first, p.last) }

// body is a function's tokens: their kinds alone, so that names and values may differ.
type body struct {
	file   string
	kinds  []token.Token
	lines  []int
	hashes []uint64 // of the minTokens kinds that begin at each position
}

// findClones compares all function bodies of non-test files with each other and with themselves.
func findClones(files []file) []clone {
	var bodies []body
	for _, f := range files {
		if f.test {
			continue
		}
		for _, decl := range f.tree.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && d.Body != nil {
				bodies = append(bodies, newBody(&f, d.Body))
			}
		}
	}
	seen := make(map[uint64][][2]int) // hash → body and position
	var found []clone
	for i := range bodies {
		b := &bodies[i]
		for at := 0; at < len(b.hashes); at++ {
			best := clone{}
			for _, other := range seen[b.hashes[at]] {
				o := &bodies[other[0]]
				n := agree(o.kinds[other[1]:], b.kinds[at:])
				if o == b {
					n = min(n, at-other[1]) // a place does not overlap itself
				}
				if n >= minTokens && n > best.tokens {
					best = clone{n, o.place(other[1], n), b.place(at, n)}
				}
			}
			if best.tokens == 0 {
				seen[b.hashes[at]] = append(seen[b.hashes[at]], [2]int{i, at})
				continue
			}
			found = append(found, best)
			at += best.tokens - 1
		}
	}
	slices.SortFunc(found, func(x, y clone) int { return cmp.Compare(y.tokens, x.tokens) })
	return found
}

func newBody(f *file, block *ast.BlockStmt) body {
	begin, end := f.set.Position(block.Lbrace).Offset+1, f.set.Position(block.Rbrace).Offset
	b := body{file: f.name}
	var s scanner.Scanner
	set := token.NewFileSet()
	in := set.AddFile("", set.Base(), end-begin)
	first := f.line(block.Lbrace)
	s.Init(in, f.content[begin:end], nil, 0)
	for {
		pos, kind, _ := s.Scan()
		if kind == token.EOF {
			break
		}
		if kind.IsLiteral() && kind != token.IDENT {
			kind = token.STRING
		}
		b.kinds = append(b.kinds, kind)
		b.lines = append(b.lines, first+in.Line(pos)-1)
	}
	for at := 0; at+minTokens <= len(b.kinds); at++ {
		var h maphash.Hash
		h.SetSeed(seed)
		for _, kind := range b.kinds[at : at+minTokens] {
			h.WriteByte(byte(kind))
		}
		b.hashes = append(b.hashes, h.Sum64())
	}
	return b
}

var seed = maphash.MakeSeed()

func (b *body) place(at, tokens int) place {
	return place{b.file, b.lines[at], b.lines[at+tokens-1]}
}

// agree returns how many tokens a and b begin with in common.
func agree(a, b []token.Token) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
