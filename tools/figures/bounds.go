package main

import (
	"fmt"
	"go/ast"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// The bounds that the product code keeps.
const (
	maxOneStatement = 12  // percent of the functions, without methods of interfaces and functions that fill a table
	maxWidth        = 140 // columns of a line
	maxInterfaces   = 12
	maxMethods      = 40 // exported ones of a type
	maxStoreMethods = 150
)

// renamesPage lists the names that the code had before, in a table of two columns: `package.OldName` and the new one.
const renamesPage = "docs/decisions/0040-renames.md"

// riddle matches the begin of a comment's sentence whose subject is a clause, or nobody in particular.
var riddle = regexp.MustCompile(`(?:^|[.!?] )(Who|Whoever|What is|Nobody|Somebody|Anybody)\b`)

// printBounds prints each bound with what exceeds it, and returns how many bounds are exceeded.
func printBounds(w io.Writer, dir string, files []file, loaded []*packages.Package) (exceeded int, err error) {
	product := filter(files, func(f file) bool { return f.isProduct() })
	bound := func(name string, n, most int, places []string) {
		verdict := "kept"
		if n > most {
			verdict = "EXCEEDED"
			exceeded++
		}
		fmt.Fprintf(w, "%-8s  %s: %d, at most %d\n", verdict, name, n, most)
		for _, p := range places {
			fmt.Fprintf(w, "          %s\n", p)
		}
	}
	fmt.Fprint(w, "\nBOUNDS\n")
	short, all := oneStatement(loaded)
	bound("one-statement functions in 1,000 functions", 1000*len(short)/max(1, all), 10*maxOneStatement, nil)
	var riddles, wide []string
	for _, f := range files {
		riddles = append(riddles, f.riddles()...)
	}
	for _, f := range product {
		for n, width := range f.widths {
			if width > maxWidth {
				wide = append(wide, fmt.Sprintf("%s:%d", f.name, n+1))
			}
		}
	}
	bound("comment sentences that begin with Who, Whoever, What is, Nobody, Somebody or Anybody", len(riddles), 0, riddles)
	bound(fmt.Sprintf("product lines over %d columns", maxWidth), len(wide), 0, wide)
	bound("interfaces", sum(product, func(f file) int { return len(f.interfaces) }), maxInterfaces, nil)
	for _, t := range methodCounts(product) {
		most := maxMethods
		if t.name == "storage.Store" {
			most = maxStoreMethods
		}
		if t.methods > maxMethods {
			bound("exported methods of "+t.name, t.methods, most, nil)
		}
	}
	old, err := oldNames(dir, files)
	if err != nil {
		return exceeded, err
	}
	bound("names of "+renamesPage+" that are declared again", len(old), 0, old)
	return exceeded, nil
}

// riddles returns the places of the file's comments that match riddle.
func (f *file) riddles() (places []string) {
	for _, group := range f.tree.Comments {
		if m := riddle.FindString(strings.ReplaceAll(group.Text(), "\n", " ")); m != "" {
			places = append(places, fmt.Sprintf("%s:%d %s", f.name, f.line(group.Pos()), strings.TrimLeft(m, ".!? ")))
		}
	}
	return places
}

// typeMethods is a type with the number of its exported methods.
type typeMethods struct {
	name    string
	methods int
}

func methodCounts(files []file) (all []typeMethods) {
	for _, f := range files {
		for _, fn := range f.funcs {
			if fn.recv == "" || !fn.exported {
				continue
			}
			name := f.pkg + "." + fn.recv
			i := slices.IndexFunc(all, func(t typeMethods) bool { return t.name == name })
			if i < 0 {
				i, all = len(all), append(all, typeMethods{name: name})
			}
			all[i].methods++
		}
	}
	return all
}

// oneStatement returns the functions of one statement of the product, and how many functions it has. It leaves out both
// from the first: methods by which a type satisfies an interface of the module or of a library that the type's package
// imports, and functions that are used as values, such as the rows of a table.
func oneStatement(loaded []*packages.Package) (short []string, all int) {
	values := usedAsValues(loaded)
	for _, p := range loaded {
		folder := strings.TrimPrefix(p.PkgPath, module)
		if f := (file{pkg: folder}); !f.isProduct() {
			continue
		}
		interfaces := interfacesFor(p, loaded)
		for _, f := range p.Syntax {
			for _, decl := range f.Decls {
				d, ok := decl.(*ast.FuncDecl)
				if !ok {
					continue
				}
				all++
				fn := p.TypesInfo.Defs[d.Name].(*types.Func)
				if countStatements(d) == 1 && !values[fn] && !satisfies(fn, interfaces) {
					short = append(short, folder+"."+qualified(d))
				}
			}
		}
	}
	return short, all
}

// usedAsValues returns the functions and methods that are named without being called.
func usedAsValues(loaded []*packages.Package) map[types.Object]bool {
	values := map[types.Object]bool{}
	for _, p := range loaded {
		called := map[*ast.Ident]bool{}
		for _, f := range p.Syntax {
			ast.Inspect(f, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					switch f := ast.Unparen(call.Fun).(type) {
					case *ast.Ident:
						called[f] = true
					case *ast.SelectorExpr:
						called[f.Sel] = true
					}
				}
				return true
			})
		}
		for ident, object := range p.TypesInfo.Uses {
			if fn, ok := object.(*types.Func); ok && !called[ident] {
				values[fn.Origin()] = true
			}
		}
	}
	return values
}

// interfacesFor returns the interfaces of the module, of the packages that p imports, and error.
func interfacesFor(p *packages.Package, loaded []*packages.Package) []*types.Interface {
	scopes := []*types.Scope{types.Universe}
	for _, other := range loaded {
		scopes = append(scopes, other.Types.Scope())
	}
	for _, imported := range p.Types.Imports() {
		scopes = append(scopes, imported.Scope())
	}
	var all []*types.Interface
	for _, scope := range scopes {
		for _, name := range scope.Names() {
			t, ok := scope.Lookup(name).(*types.TypeName)
			if !ok {
				continue
			}
			if i, ok := t.Type().Underlying().(*types.Interface); ok && i.NumMethods() > 0 && i.IsMethodSet() {
				all = append(all, i)
			}
		}
	}
	return all
}

// satisfies reports whether a method is one of those by which its type satisfies one of the interfaces.
func satisfies(fn *types.Func, interfaces []*types.Interface) bool {
	recv := fn.Signature().Recv()
	if recv == nil {
		return false
	}
	t := recv.Type()
	if _, ok := t.(*types.Pointer); !ok {
		t = types.NewPointer(t)
	}
	return slices.ContainsFunc(interfaces, func(i *types.Interface) bool {
		has := false
		for n := range i.NumMethods() {
			has = has || i.Method(n).Name() == fn.Name()
		}
		return has && types.Implements(t, i)
	})
}

var renameRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")

// oldNames returns the names of renamesPage that are declared again: as a top-level name, a method or a field of that
// package. A checkout without the page has none.
func oldNames(dir string, files []file) (again []string, err error) {
	page, err := os.ReadFile(filepath.Join(dir, renamesPage))
	if os.IsNotExist(err) {
		return nil, nil
	}
	declared := map[string]string{}
	for _, f := range filter(files, func(f file) bool { return !f.test }) {
		for name, line := range f.declared() {
			// A row names the package by its last element or by its folder.
			place := fmt.Sprintf("%s:%d", f.name, line)
			declared[f.pkg+"."+name] = place
			declared[f.pkg[strings.LastIndexByte(f.pkg, '/')+1:]+"."+name] = place
		}
	}
	for _, row := range renameRow.FindAllStringSubmatch(string(page), -1) {
		if place := declared[row[1]]; place != "" {
			again = append(again, place+" "+row[1])
		}
	}
	return again, err
}

// declared returns the names that the file declares, each with its line: Name, Type.method and Type.Field.
func (f *file) declared() map[string]int {
	names := map[string]int{}
	for _, decl := range f.tree.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			names[qualified(d)] = f.line(d.Pos())
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.ValueSpec:
					for _, name := range s.Names {
						names[name.Name] = f.line(name.Pos())
					}
				case *ast.TypeSpec:
					names[s.Name.Name] = f.line(s.Pos())
					t, ok := s.Type.(*ast.StructType)
					for i := 0; ok && i < len(t.Fields.List); i++ {
						for _, name := range t.Fields.List[i].Names {
							names[s.Name.Name+"."+name.Name] = f.line(name.Pos())
						}
					}
				}
			}
		}
	}
	return names
}
