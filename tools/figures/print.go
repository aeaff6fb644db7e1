package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// largest is how many rows a list of the largest has.
const largest = 8

func printTotals(w io.Writer, files []file) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	defer t.Flush()
	fmt.Fprintf(t, "TOTALS\tproduct\tall\ttests\n")
	groups := [][]file{
		filter(files, func(f file) bool { return f.isProduct() }),
		filter(files, func(f file) bool { return !f.test }),
		filter(files, func(f file) bool { return f.test }),
	}
	row := func(name string, figure func([]file) any) {
		fmt.Fprint(t, name)
		for _, g := range groups {
			fmt.Fprintf(t, "\t%v", figure(g))
		}
		fmt.Fprintln(t)
	}
	row("lines", func(g []file) any { return sum(g, func(f file) int { return f.lines }) })
	row("statements", func(g []file) any { return sum(g, func(f file) int { return f.statements }) })
	row("files", func(g []file) any { return len(g) })
	row("file med/p90/max", func(g []file) any { return spread(each(g, func(f file) int { return f.lines })) })
	row("functions", func(g []file) any { return len(funcs(g)) })
	row("function med/p90/max", func(g []file) any { return spread(each(funcs(g), functionLines)) })
	row("cyclomatic med/p90/max", func(g []file) any { return spread(each(funcs(g), functionPaths)) })
	row("cyclomatic over 15", func(g []file) any { return count(funcs(g), func(f function) bool { return f.cyclo > 15 }) })
	row("one-stmt functions", func(g []file) any {
		n := count(funcs(g), func(f function) bool { return f.stmts == 1 })
		return fmt.Sprintf("%d (%s)", n, percent(n, len(funcs(g))))
	})
	row("comment lines", func(g []file) any {
		return percent(sum(g, func(f file) int { return f.commentLines }), sum(g, func(f file) int { return f.lines }))
	})
	row("exported functions documented", func(g []file) any {
		exported := filter(funcs(g), func(f function) bool { return f.exported })
		return percent(count(exported, func(f function) bool { return f.documented }), len(exported))
	})
	row("exported names documented", func(g []file) any {
		return percent(sum(g, func(f file) int { return f.document }), sum(g, func(f file) int { return f.exported }))
	})
	row("misnamed doc comments", func(g []file) any { return count(funcs(g), func(f function) bool { return f.misdoc }) })
	row("interfaces/methods", func(g []file) any {
		all := slices.Concat(each(g, func(f file) []int { return f.interfaces })...)
		return fmt.Sprintf("%d/%d", len(all), sum(all, func(n int) int { return n }))
	})
	row("lines over 120/140/180", func(g []file) any {
		widths := slices.Concat(each(g, func(f file) []int { return f.widths })...)
		over := func(n int) int { return count(widths, func(w int) bool { return w > n }) }
		return fmt.Sprintf("%d/%d/%d", over(120), over(140), over(180))
	})
}

func printPackages(w io.Writer, files []file) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	defer t.Flush()
	fmt.Fprintf(t, "\nPACKAGE\tfiles\tlines\tstmts\tfuncs\tmed/p90/max\tone-stmt\tcomments\tdocumented\ttest lines\tover 120\n")
	for _, pkg := range folders(files) {
		code := filter(files, func(f file) bool { return f.pkg == pkg && !f.test })
		tests := filter(files, func(f file) bool { return f.pkg == pkg && f.test })
		all := funcs(code)
		lines := sum(code, func(f file) int { return f.lines })
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\t%d\t%s\t%d/%d\t%d\t%d\n", pkg, len(code), lines,
			sum(code, func(f file) int { return f.statements }), len(all), spread(each(all, functionLines)),
			count(all, func(f function) bool { return f.stmts == 1 }),
			percent(sum(code, func(f file) int { return f.commentLines }), lines),
			sum(code, func(f file) int { return f.document }), sum(code, func(f file) int { return f.exported }),
			sum(tests, func(f file) int { return f.lines }),
			sum(code, func(f file) int { return count(f.widths, func(w int) bool { return w > 120 }) }))
	}
}

func printLargest(w io.Writer, files []file) {
	code := filter(files, func(f file) bool { return !f.test })
	all := funcs(code)
	methods := map[string]int{}
	for _, f := range code {
		for _, fn := range f.funcs {
			if fn.recv != "" && fn.exported {
				methods[f.pkg+"."+fn.recv]++
			}
		}
	}
	types := slices.Collect(maps.Keys(methods))
	itself := func(name string) string { return name }
	place := func(f function) string { return f.file + " " + f.name }
	list(w, "TYPES BY EXPORTED METHODS", types, func(name string) int { return methods[name] }, itself)
	list(w, "FUNCTIONS BY LINES", all, functionLines, place)
	list(w, "FUNCTIONS BY PARAMETERS", all, func(f function) int { return f.params }, place)
	list(w, "FUNCTIONS BY CYCLOMATIC COMPLEXITY", all, functionPaths, place)
	list(w, "FILES BY LINES", code, func(f file) int { return f.lines }, func(f file) string { return f.name })
}

func functionLines(f function) int { return f.lines }
func functionPaths(f function) int { return f.cyclo }

func list[T any](w io.Writer, title string, items []T, figure func(T) int, name func(T) string) {
	type row struct {
		n    int
		name string
	}
	rows := each(items, func(item T) row { return row{figure(item), name(item)} })
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.name, b.name)) })
	fmt.Fprintf(w, "\n%s\n", title)
	for _, r := range rows[:min(largest, len(rows))] {
		fmt.Fprintf(w, "%6d  %s\n", r.n, r.name)
	}
}

func printClones(w io.Writer, found []clone) {
	fmt.Fprintf(w, "\nCLONES: %d pairs, %d tokens\n", len(found), sum(found, func(c clone) int { return c.tokens }))
	for _, c := range found[:min(4*largest, len(found))] {
		fmt.Fprintf(w, "%6d  %s  %s\n", c.tokens, c.a, c.b)
	}
}

func printImports(w io.Writer, files []file) {
	fmt.Fprint(w, "\nIMPORTS OF OURS\n")
	for _, pkg := range folders(files) {
		ours := map[string]bool{}
		for _, f := range files {
			for _, imported := range f.imports {
				if name, ok := strings.CutPrefix(imported, module); ok && f.pkg == pkg && !f.test {
					ours[name] = true
				}
			}
		}
		fmt.Fprintf(w, "%-24s %s\n", pkg, strings.Join(slices.Sorted(maps.Keys(ours)), " "))
	}
}

// folders returns those that hold more than tests.
func folders(files []file) []string {
	names := map[string]bool{}
	for _, f := range files {
		if !f.test {
			names[f.pkg] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func funcs(files []file) (all []function) {
	for _, f := range files {
		all = append(all, f.funcs...)
	}
	return all
}

func filter[T any](items []T, keep func(T) bool) (kept []T) {
	for _, item := range items {
		if keep(item) {
			kept = append(kept, item)
		}
	}
	return kept
}

func each[T, U any](items []T, f func(T) U) []U {
	out := make([]U, len(items))
	for i, item := range items {
		out[i] = f(item)
	}
	return out
}

func sum[T any](items []T, f func(T) int) (n int) {
	for _, item := range items {
		n += f(item)
	}
	return n
}

func count[T any](items []T, is func(T) bool) int { return len(filter(items, is)) }

func percent(n, of int) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}

// spread returns the median, the 90th percentile and the maximum.
func spread(values []int) string {
	if len(values) == 0 {
		return "-"
	}
	slices.Sort(values)
	return fmt.Sprintf("%d/%d/%d", values[len(values)/2], values[len(values)*9/10], values[len(values)-1])
}
