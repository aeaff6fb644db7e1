package identity

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

func picture(t *testing.T, side int, encode func(*bytes.Buffer, image.Image) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b, image.NewGray(image.Rect(0, 0, side, side))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asPNG(b *bytes.Buffer, i image.Image) error  { return png.Encode(b, i) }
func asJPEG(b *bytes.Buffer, i image.Image) error { return jpeg.Encode(b, i, nil) }

const svg = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 1 1">`

func TestLogosAreWhatTheirContentIs(t *testing.T) {
	for want, content := range map[string][]byte{
		"data:image/png;base64,":     picture(t, 8, asPNG),
		"data:image/jpeg;base64,":    picture(t, 8, asJPEG),
		"data:image/svg+xml;base64,": []byte(`<?xml version="1.0"?><!-- by hand -->` + svg + `<a xlink:href="#x"><rect id="x" width="1" height="1"/></a></svg>`),
	} {
		got, err := ParseLogo("data:text/html;base64," + base64.StdEncoding.EncodeToString(content))
		if err != nil || got != want+base64.StdEncoding.EncodeToString(content) {
			t.Errorf("got %.40s, %v, want %s", got, err, want)
		}
	}
}

// IN-05: what could run, fetch, grow or be something else is no logo.
func TestWhatIsNoLogo(t *testing.T) {
	for name, content := range map[string][]byte{
		"nothing":           nil,
		"a page":            []byte("<html><body>hello</body></html>"),
		"a script":          []byte(svg + `<script>alert(1)</script></svg>`),
		"a handler":         []byte(svg + `<rect onload="alert(1)"/></svg>`),
		"a page in it":      []byte(svg + `<foreignObject><p>hi</p></foreignObject></svg>`),
		"a fetch":           []byte(svg + `<image href="https://evil.example/x.png"/></svg>`),
		"an xlink fetch":    []byte(svg + `<use xlink:href="//evil.example/x.svg#y"/></svg>`),
		"an import":         []byte(svg + `<style>@Import url(https://evil.example)</style></svg>`),
		"entities":          []byte(`<!DOCTYPE svg [<!ENTITY a "aaaa">]>` + svg + `&a;</svg>`),
		"another root":      []byte(`<html xmlns="http://www.w3.org/1999/xhtml">` + svg + `</svg></html>`),
		"another namespace": []byte(`<svg><rect/></svg>`),
		"half of one":       []byte(svg + `<rect/>`),
		"too large":         append(picture(t, 8, asPNG), make([]byte, MaxLogoBytes)...),
		"a bomb":            picture(t, maxLogoSide+1, asPNG),
		"damaged":           picture(t, 8, asPNG)[:20],
		"a GIF":             []byte("GIF89a" + strings.Repeat("\x00", 40)),
	} {
		_, err := CheckLogo(content)
		var faults FieldErrors
		if !errors.As(err, &faults) || faults[0].Field != "logo" {
			t.Errorf("%s: got %v, want a fault of the logo", name, err)
		}
	}
	for _, text := range []string{"", "x", "data:image/png;base64,!!!", "https://evil.example/;base64,AAAA", "data:image/png,AAAA"} {
		if _, err := ParseLogo(text); err == nil {
			t.Errorf("ParseLogo(%q): got no error", text)
		}
	}
}
