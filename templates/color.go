package templates

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
)

// rgb is a colour of the sRGB space.
type rgb [3]uint8

var (
	white = rgb{255, 255, 255}
	black = rgb{}
)

// The surfaces that text and buttons lie on; the same values as --surface and
// --canvas in css/tokens.css; a test compares them.
var (
	surfaceLight = rgb{0xff, 0xff, 0xff}
	canvasLight  = rgb{0xf5, 0xf6, 0xf8}
	surfaceDark  = rgb{0x1a, 0x1c, 0x20}
	canvasDark   = rgb{0x11, 0x12, 0x15}
)

const defaultColor = "#0b6b5d"

// WCAG 2.2 contrast: 1.4.3 for text, 1.4.11 for the edge of a control.
const (
	textContrast = 4.5
	edgeContrast = 3
)

// accent is what one brand colour becomes in one colour scheme.
type accent struct {
	fill  rgb // the primary button
	hover rgb // and under the pointer
	text  rgb // on the button
	edge  rgb // the button's border, told apart from the surface
	ink   rgb // the colour as text, link and focus ring on surface and canvas
}

// accents are the two schemes' accents.
type accents struct{ light, dark accent }

// newAccent derives readable accents from any brand colour ("" for the default).
func newAccent(color string) (accents, error) {
	brand, err := parseColor(cmp.Or(color, defaultColor))
	if err != nil {
		return accents{}, err
	}
	light := accent{
		fill: brand, // exactly the brand's, even where pale: the edge tells the button apart
		edge: brand.towards(black, edgeContrast, surfaceLight),
		ink:  brand.towards(black, textContrast, surfaceLight, canvasLight),
	}
	fill := brand.lighter(edgeContrast, surfaceDark)
	dark := accent{
		fill: fill,
		edge: fill,
		ink:  brand.lighter(textContrast, surfaceDark, canvasDark),
	}
	for _, a := range []*accent{&light, &dark} {
		// Black or white always reaches 4.58: sqrt(21) is the worst case.
		a.text, a.hover = white, a.fill.mix(black, 0.12)
		if contrast(white, a.fill) < textContrast {
			a.text, a.hover = black, a.fill.mix(white, 0.16)
		}
	}
	return accents{light, dark}, nil
}

// css writes the accents as custom properties: plain ones for browsers without
// light-dark(), which stay light.
func (a accents) css() string {
	var plain, both strings.Builder
	for _, t := range []struct {
		name        string
		light, dark rgb
	}{
		{"--accent", a.light.fill, a.dark.fill},
		{"--accent-hover", a.light.hover, a.dark.hover},
		{"--accent-text", a.light.text, a.dark.text},
		{"--accent-edge", a.light.edge, a.dark.edge},
		{"--accent-ink", a.light.ink, a.dark.ink},
	} {
		fmt.Fprintf(&plain, "%s:%s;", t.name, t.light)
		fmt.Fprintf(&both, "%s:light-dark(%s,%s);", t.name, t.light, t.dark)
	}
	return fmt.Sprintf(":root{%s}\n@supports (color:light-dark(red,red)){:root{%s}}\n", plain.String(), both.String())
}

func parseColor(s string) (rgb, error) {
	digits, ok := strings.CutPrefix(s, "#")
	if len(digits) == 3 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	b, err := hex.DecodeString(digits)
	if !ok || err != nil || len(b) != 3 {
		return rgb{}, fmt.Errorf("brand colour %q: want #rgb or #rrggbb, such as %s", s, defaultColor)
	}
	return rgb(b), nil
}

func (c rgb) String() string { return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]) }

// mix returns c with a share (0 to 1) of other.
func (c rgb) mix(other rgb, share float64) rgb {
	var m rgb
	for i := range c {
		m[i] = uint8(math.Round(float64(c[i])*(1-share) + float64(other[i])*share))
	}
	return m
}

// towards returns the colour nearest to c, on the way to end, that has at least
// the given contrast with every background; end if none has.
func (c rgb) towards(end rgb, least float64, backgrounds ...rgb) rgb {
	for step := 0.0; step < 1; step += 0.02 {
		mixed, ok := c.mix(end, step), true
		for _, b := range backgrounds {
			ok = ok && contrast(mixed, b) >= least
		}
		if ok {
			return mixed
		}
	}
	return end
}

// lighter returns the brand's colour made light enough: first at full strength
// of the same hue, which keeps it a colour, then towards white.
func (c rgb) lighter(least float64, backgrounds ...rgb) rgb {
	top := float64(max(c[0], c[1], c[2], 1))
	var full rgb
	for i, v := range c {
		full[i] = uint8(float64(v) / top * 255)
	}
	for _, b := range backgrounds {
		if contrast(full, b) < least {
			return full.towards(white, least, backgrounds...)
		}
	}
	return c.towards(full, least, backgrounds...)
}

// contrast is the ratio of WCAG 2.2, 1 to 21.
func contrast(a, b rgb) float64 {
	la, lb := a.luminance(), b.luminance()
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// luminance is WCAG's relative luminance, 0 to 1.
func (c rgb) luminance() float64 {
	var l [3]float64
	for i, v := range c {
		s := float64(v) / 255
		if s <= 0.04045 {
			l[i] = s / 12.92
		} else {
			l[i] = math.Pow((s+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*l[0] + 0.7152*l[1] + 0.0722*l[2]
}
