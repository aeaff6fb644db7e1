// Package browser looks at every page in a real Chromium: how it looks
// (TestScreenshots, `make screenshots`), whether everybody can use it (axe,
// keyboard alone, no JavaScript), and whether its content security policy lets
// people through to their app. It holds only tests.
package browser
