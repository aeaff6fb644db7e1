package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// module is the path that imports of our own packages begin with.
const module = "github.com/sallyport-id/sallyport/"

// file is one Go file and what was counted in it.
type file struct {
	name    string // slash-separated, from the module's root
	pkg     string // its folder
	test    bool
	content []byte
	set     *token.FileSet
	tree    *ast.File

	lines, commentLines int
	widths              []int // of each line, without the text of string literals
	statements          int
	funcs               []function
	interfaces          []int // number of methods of each named interface
	exported, document  int   // names, and those with a doc comment
	imports             []string
}

// function is a declared function or method.
type function struct {
	name                         string // with the receiver's type: Type.method
	recv                         string
	file                         string
	lines, params, stmts, cyclo  int
	exported, documented, misdoc bool
}

// readModule parses every Go file of the module in dir.
func readModule(dir string) ([]file, error) {
	root := os.DirFS(dir)
	var files []file
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skipFolder(root, name)
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		f, err := readFile(root, name)
		files = append(files, f)
		return err
	})
	return files, err
}

func skipFolder(root fs.FS, name string) error {
	base := path.Base(name)
	if name == "." {
		return nil
	}
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules" {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func readFile(root fs.FS, name string) (file, error) {
	content, err := fs.ReadFile(root, name)
	if err != nil {
		return file{}, err
	}
	f := file{name: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), content: content,
		set: token.NewFileSet(), lines: bytes.Count(content, []byte("\n"))}
	if f.tree, err = parser.ParseFile(f.set, name, content, parser.ParseComments|parser.SkipObjectResolution); err != nil {
		return file{}, err
	}
	for _, spec := range f.tree.Imports {
		if imported, err := strconv.Unquote(spec.Path.Value); err == nil {
			f.imports = append(f.imports, imported)
		}
	}
	for _, group := range f.tree.Comments {
		f.commentLines += f.line(group.End()) - f.line(group.Pos()) + 1
	}
	f.statements = countStatements(f.tree)
	f.widths = f.lineWidths()
	for _, decl := range f.tree.Decls {
		f.countDecl(decl)
	}
	return f, nil
}

func (f *file) line(pos token.Pos) int { return f.set.Position(pos).Line }

// isProduct reports whether the server needs the file.
func (f *file) isProduct() bool {
	return !f.test && f.pkg != "internal/harness" && f.pkg != "internal/samplerp" && !strings.HasPrefix(f.pkg, "test") &&
		f.pkg != "templates/samples"
}

func (f *file) countDecl(decl ast.Decl) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		fn := f.newFunction(d)
		f.funcs = append(f.funcs, fn)
		f.countName(fn.exported, fn.documented)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				f.countName(s.Name.IsExported(), d.Doc != nil || s.Doc != nil)
				if i, ok := s.Type.(*ast.InterfaceType); ok && countMethods(i) > 0 {
					f.interfaces = append(f.interfaces, countMethods(i))
				}
			case *ast.ValueSpec:
				for _, name := range s.Names {
					f.countName(name.IsExported(), d.Doc != nil || s.Doc != nil || s.Comment != nil)
				}
			}
		}
	}
}

func (f *file) countName(exported, documented bool) {
	if exported {
		f.exported++
	}
	if exported && documented {
		f.document++
	}
}

// countMethods counts the methods of an interface; unions and embedded interfaces have none of their own.
func countMethods(i *ast.InterfaceType) (n int) {
	for _, field := range i.Methods.List {
		n += len(field.Names)
	}
	return n
}

func (f *file) newFunction(d *ast.FuncDecl) function {
	fn := function{name: d.Name.Name, file: f.name, lines: f.line(d.End()) - f.line(d.Pos()) + 1,
		params: d.Type.Params.NumFields(), stmts: countStatements(d), cyclo: cyclomatic(d), exported: d.Name.IsExported()}
	if d.Recv != nil {
		fn.recv = typeName(d.Recv.List[0].Type)
		fn.name = fn.recv + "." + fn.name
		fn.exported = fn.exported && ast.IsExported(fn.recv)
	}
	if fn.documented = d.Doc != nil; fn.documented {
		first, _, _ := strings.Cut(d.Doc.Text(), " ")
		first = strings.TrimSuffix(strings.TrimRight(first, "\n,.:;"), "'s")
		fn.misdoc = first != d.Name.Name
	}
	return fn
}

// typeName returns the name of a receiver's type without pointer and type parameters.
func typeName(e ast.Expr) string {
	switch t := e.(type) {
	case *ast.StarExpr:
		return typeName(t.X)
	case *ast.IndexExpr:
		return typeName(t.X)
	case *ast.IndexListExpr:
		return typeName(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}

func countStatements(node ast.Node) (n int) {
	ast.Inspect(node, func(node ast.Node) bool {
		switch node.(type) {
		case *ast.BlockStmt, *ast.CaseClause, *ast.CommClause, *ast.LabeledStmt, *ast.EmptyStmt:
		case ast.Stmt:
			n++
		}
		return true
	})
	return n
}

func cyclomatic(node ast.Node) int {
	n := 1
	ast.Inspect(node, func(node ast.Node) bool {
		switch x := node.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt, *ast.CommClause:
			n++
		case *ast.CaseClause:
			if x.List != nil { // default is no decision
				n++
			}
		case *ast.BinaryExpr:
			if x.Op == token.LAND || x.Op == token.LOR {
				n++
			}
		}
		return true
	})
	return n
}

// lineWidths returns the characters of each line without what stands between the quotes of string literals.
func (f *file) lineWidths() []int {
	blank := bytes.Clone(f.content)
	ast.Inspect(f.tree, func(node ast.Node) bool {
		lit, ok := node.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		begin := f.set.Position(lit.Pos()).Offset
		text := blank[begin+1 : begin+len(lit.Value)-1]
		for i := range text {
			if text[i] != '\n' {
				text[i] = 0
			}
		}
		return true
	})
	var widths []int
	for line := range bytes.Lines(blank) {
		line = bytes.ReplaceAll(bytes.TrimRight(line, "\n"), []byte{0}, nil)
		widths = append(widths, len([]rune(string(line))))
	}
	return widths
}
