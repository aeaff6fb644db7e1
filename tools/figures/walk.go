package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/types"
	"io"
	"strings"

	"golang.org/x/tools/go/packages"
)

// hashPackage is where the walk of a password ends.
const hashPackage = "golang.org/x/crypto/argon2"

// walk is the way from a handler to the hash, as doc.go defines it.
type walk struct {
	code    map[string]source // every declared function of the module by its full name
	types   []types.Type      // every concrete type of the module, for calls through interfaces
	leads   map[string]bool   // whether a function leads to the hash
	deep    bool              // follow the functions too that do not lead there
	read    map[string]bool
	here    string // package of the last station
	done    bool
	steps   []string // stations in order
	files   map[string]bool
	returns int
}

// source is a declared function with what is needed to follow its calls.
type source struct {
	decl *ast.FuncDecl
	pkg  *packages.Package
	file string
}

// loadTypes type-checks the packages of the checkout at dir.
func loadTypes(dir string) ([]*packages.Package, error) {
	loaded, err := packages.Load(&packages.Config{Dir: dir, Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax |
		packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports}, "./...")
	for _, p := range loaded {
		for _, fault := range p.Errors {
			return nil, fault
		}
	}
	return loaded, err
}

// walkPassword follows the handler of POST /login until argon2 is called, without and with the
// functions that do not lead there.
func walkPassword(loaded []*packages.Package, handler string) (near, deep *walk, err error) {
	w := &walk{code: map[string]source{}, leads: map[string]bool{}}
	var start string
	for _, p := range loaded {
		w.addTypes(p)
		for _, f := range p.Syntax {
			for _, decl := range f.Decls {
				d, ok := decl.(*ast.FuncDecl)
				if !ok || d.Body == nil {
					continue
				}
				name := p.TypesInfo.Defs[d.Name].(*types.Func).FullName()
				w.code[name] = source{d, p, strings.TrimPrefix(p.PkgPath, module) + "/" + fileName(p, d)}
				if handler == strings.TrimPrefix(p.PkgPath, module)+"."+qualified(d) {
					start = name
				}
			}
		}
	}
	if start == "" {
		return nil, nil, fmt.Errorf("no function %s: which handles POST /login now?", handler)
	}
	w.findLeads()
	if !w.leads[start] {
		return nil, nil, fmt.Errorf("%s does not lead to %s by calls that can be followed", handler, hashPackage)
	}
	near, deep = w.from(start, false), w.from(start, true)
	if !near.done || !deep.done {
		return nil, nil, errors.New("the walk passed over every branch that leads to the hash")
	}
	return near, deep, nil
}

// from returns a walk over the same code that begins at start.
func (w walk) from(start string, deep bool) *walk {
	w.deep, w.read, w.files = deep, map[string]bool{}, map[string]bool{}
	w.visit(start, "")
	return &w
}

func (w *walk) addTypes(p *packages.Package) {
	scope := p.Types.Scope()
	for _, name := range scope.Names() {
		if t, ok := scope.Lookup(name).(*types.TypeName); ok && !t.IsAlias() && !types.IsInterface(t.Type()) {
			w.types = append(w.types, t.Type())
		}
	}
}

func fileName(p *packages.Package, d *ast.FuncDecl) string {
	name := p.Fset.Position(d.Pos()).Filename
	return name[strings.LastIndexByte(name, '/')+1:]
}

func qualified(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	return typeName(d.Recv.List[0].Type) + "." + d.Name.Name
}

// findLeads marks the functions from which calls lead to the hash.
func (w *walk) findLeads() {
	for changed := true; changed; {
		changed = false
		for name, s := range w.code {
			if !w.leads[name] && w.leadsFrom(s, s.decl.Body, nil) {
				w.leads[name], changed = true, true
			}
		}
	}
}

// leadsFrom reports whether a call below node leads to the hash, without those below except.
func (w *walk) leadsFrom(s source, node, except ast.Node) (leads bool) {
	ast.Inspect(node, func(n ast.Node) bool {
		if n == except && n != nil {
			return false
		}
		if call, ok := n.(*ast.CallExpr); ok {
			callee := w.callee(s, call)
			leads = leads || w.leads[callee] || isHash(callee)
		}
		return !leads
	})
	return leads
}

func isHash(name string) bool { return strings.HasPrefix(name, hashPackage+".") }

// callee returns the full name of the function that is called, "" if that is not known from the source.
func (w *walk) callee(s source, call *ast.CallExpr) string {
	fun := ast.Unparen(call.Fun)
	switch f := fun.(type) { // of an instantiated generic function
	case *ast.IndexExpr:
		fun = f.X
	case *ast.IndexListExpr:
		fun = f.X
	}
	var id *ast.Ident
	switch f := fun.(type) {
	case *ast.Ident:
		id = f
	case *ast.SelectorExpr:
		id = f.Sel
	default:
		return ""
	}
	fn, ok := s.pkg.TypesInfo.Uses[id].(*types.Func)
	if !ok {
		return ""
	}
	fn = fn.Origin()
	if recv := fn.Signature().Recv(); recv != nil && types.IsInterface(recv.Type()) {
		return w.implementation(fn, recv.Type().Underlying().(*types.Interface))
	}
	return fn.FullName()
}

// implementation returns the method of the only type of the module that implements an interface.
func (w *walk) implementation(fn *types.Func, i *types.Interface) string {
	var found string
	for _, t := range w.types {
		p := types.NewPointer(t)
		if !types.Implements(p, i) {
			continue
		}
		method, _, _ := types.LookupFieldOrMethod(p, true, fn.Pkg(), fn.Name())
		if m, ok := method.(*types.Func); ok {
			if found != "" {
				return ""
			}
			found = m.FullName()
		}
	}
	return found
}

// visit comes to a function for the first time, from where it is called. What it calls is followed if it leads to the
// hash, or if the walk is deep.
func (w *walk) visit(name, callerPkg string) {
	s, ours := w.code[name]
	if !ours || w.read[name] || w.done {
		return
	}
	w.read[name] = true
	if callerPkg != "" && w.here != callerPkg {
		w.returns++
	}
	w.here = s.pkg.PkgPath
	w.files[s.file] = true
	w.steps = append(w.steps, s.file+" "+qualified(s.decl))
	if w.deep || w.leads[name] {
		w.follow(s, s.decl.Body)
	}
}

// follow passes the calls below node in the order of the source.
func (w *walk) follow(s source, node ast.Node) {
	ast.Inspect(node, func(n ast.Node) bool {
		if w.done {
			return false
		}
		switch x := n.(type) {
		case *ast.IfStmt:
			w.followIf(s, x)
			return false
		case *ast.CaseClause:
			return !w.isPassedOver(s, x, x.Body)
		case *ast.DeferStmt:
			w.followAll(s, x.Call.Args)
			return false
		case *ast.GoStmt:
			return false
		case *ast.CallExpr:
			w.follow(s, x.Fun)
			w.followAll(s, x.Args)
			callee := w.callee(s, x)
			if isHash(callee) && !w.done {
				w.done = true
			}
			w.visit(callee, s.pkg.PkgPath)
			return false
		}
		return true
	})
}

func (w *walk) followAll(s source, args []ast.Expr) {
	for _, arg := range args {
		w.follow(s, arg)
	}
}

func (w *walk) followIf(s source, x *ast.IfStmt) {
	if x.Init != nil {
		w.follow(s, x.Init)
	}
	w.follow(s, x.Cond)
	if !w.isPassedOver(s, x.Body, x.Body.List) {
		w.follow(s, x.Body)
	}
	if x.Else != nil {
		w.follow(s, x.Else)
	}
}

// isPassedOver reports whether a branch ends in a return and is not the only way to the hash.
func (w *walk) isPassedOver(s source, branch ast.Node, list []ast.Stmt) bool {
	if len(list) == 0 {
		return false
	}
	if _, ok := list[len(list)-1].(*ast.ReturnStmt); !ok {
		return false
	}
	return !w.leadsFrom(s, branch, nil) || w.leadsFrom(s, s.decl.Body, branch)
}

func (w *walk) print(out io.Writer, title string) {
	fmt.Fprintf(out, "\n%s: %d stations, %d files, %d returns\n", title, len(w.steps), len(w.files), w.returns)
	for i, step := range w.steps {
		fmt.Fprintf(out, "%4d  %s\n", i+1, step)
	}
}
