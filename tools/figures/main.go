package main

import (
	"flag"
	"fmt"
	"os"
)

// loginHandler is the handler of POST /login, where the walk of a password begins.
const loginHandler = "consent/login.Pages.login"

func main() {
	dir := flag.String("C", "..", "folder of the checkout to measure")
	handler := flag.String("handler", loginHandler, "handler of POST /login, as package.Type.method")
	strict := flag.Bool("strict", false, "fail if a bound is exceeded")
	flag.Parse()
	if err := run(*dir, *handler, *strict); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func run(dir, handler string, strict bool) error {
	files, err := readModule(dir)
	if err != nil {
		return err
	}
	printTotals(os.Stdout, files)
	printPackages(os.Stdout, files)
	printLargest(os.Stdout, files)
	printClones(os.Stdout, findClones(files))
	printImports(os.Stdout, files)
	loaded, err := loadTypes(dir)
	if err != nil {
		return err
	}
	near, deep, err := walkPassword(loaded, handler)
	if err != nil {
		return err
	}
	near.print(os.Stdout, "WALK OF A PASSWORD")
	deep.print(os.Stdout, "WITH ALL THAT IS CALLED ON THE WAY")
	exceeded, err := printBounds(os.Stdout, dir, files, loaded)
	if err == nil && strict && exceeded > 0 {
		err = fmt.Errorf("%d bounds are exceeded", exceeded)
	}
	return err
}
