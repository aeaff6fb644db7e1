package web

import (
	"net/url"
	"strings"
)

// LocalPath returns to if it is a path of this server, with or without a query, and "/" otherwise: for parameters such
// as return_to, which must not lead elsewhere. The path may only have the characters that our own paths have, so that no
// two readers (proxy, browser, router) can differ over it, however often they decode.
func LocalPath(to string) string {
	const fallback = "/"
	path, query, _ := strings.Cut(to, "?")
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") ||
		strings.ContainsFunc(path, func(c rune) bool { return !isPathChar(c) }) ||
		strings.ContainsFunc(query, func(c rune) bool { return c <= 0x20 || c >= 0x7f || c == '\\' || c == '#' }) {
		return fallback
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return fallback
		}
	}
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil {
		return fallback
	}
	return to
}

func isPathChar(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("/-._~", c)
}
