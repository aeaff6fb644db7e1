package templates

import (
	"math"
	"math/rand/v2"
	"regexp"
	"testing"
)

// WCAG 2.2, definition of contrast ratio, with known pairs.
func TestContrastIsWCAGs(t *testing.T) {
	for _, tt := range []struct {
		a, b rgb
		want float64
	}{
		{white, black, 21},
		{white, white, 1},
		{rgb{0x76, 0x76, 0x76}, white, 4.54},
		{rgb{0xff, 0, 0}, white, 4.00},
	} {
		if got := contrast(tt.a, tt.b); math.Abs(got-tt.want) > 0.005 {
			t.Errorf("contrast(%v, %v): got %.2f, want %.2f", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestAnyBrandColorIsReadable(t *testing.T) {
	colors := []rgb{black, white, {1, 0, 0}, {255, 230, 0}, {255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {118, 118, 118}}
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		colors = append(colors, rgb{uint8(random.UintN(256)), uint8(random.UintN(256)), uint8(random.UintN(256))})
	}
	for _, c := range colors {
		a, err := newAccent(c.String())
		if err != nil {
			t.Fatal(err)
		}
		if a.light.fill != c {
			t.Errorf("%v: the light button is %v, want the brand's own colour", c, a.light.fill)
		}
		for _, pair := range []struct {
			what  string
			a, b  rgb
			least float64
		}{
			{"light button text", a.light.text, a.light.fill, textContrast},
			{"light button text, hover", a.light.text, a.light.hover, textContrast},
			{"light button edge", a.light.edge, surfaceLight, edgeContrast},
			{"light link", a.light.ink, surfaceLight, textContrast},
			{"light link on canvas", a.light.ink, canvasLight, textContrast},
			{"dark button text", a.dark.text, a.dark.fill, textContrast},
			{"dark button text, hover", a.dark.text, a.dark.hover, textContrast},
			{"dark button edge", a.dark.edge, surfaceDark, edgeContrast},
			{"dark link", a.dark.ink, surfaceDark, textContrast},
			{"dark link on canvas", a.dark.ink, canvasDark, textContrast},
		} {
			if got := contrast(pair.a, pair.b); got < pair.least {
				t.Errorf("brand %v, %s: got %.2f, want at least %.1f", c, pair.what, got, pair.least)
			}
		}
	}
}

func TestNeutralColorsOfTheStylesheetAreReadable(t *testing.T) {
	css, err := staticFiles.ReadFile("css/tokens.css")
	if err != nil {
		t.Fatal(err)
	}
	tokens := make(map[string][2]rgb)
	for _, m := range regexp.MustCompile(`(--[a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)`).FindAllStringSubmatch(string(css), -1) {
		light, err := parseColor(m[2])
		if err != nil {
			t.Fatal(err)
		}
		dark, err := parseColor(m[3])
		if err != nil {
			t.Fatal(err)
		}
		tokens[m[1]] = [2]rgb{light, dark}
	}
	if got, want := tokens["--surface"], [2]rgb{surfaceLight, surfaceDark}; got != want {
		t.Errorf("--surface: the stylesheet has %v, color.go %v", got, want)
	}
	if got, want := tokens["--canvas"], [2]rgb{canvasLight, canvasDark}; got != want {
		t.Errorf("--canvas: the stylesheet has %v, color.go %v", got, want)
	}
	for _, tt := range []struct {
		text, on string
		least    float64
	}{
		{"--text", "--surface", textContrast}, {"--text", "--canvas", textContrast}, {"--text", "--well", textContrast},
		{"--text", "--quiet", textContrast}, {"--text", "--danger-soft", textContrast},
		{"--muted", "--surface", textContrast}, {"--muted", "--canvas", textContrast}, {"--muted", "--well", textContrast}, {"--muted", "--quiet", textContrast},
		{"--control-line", "--surface", edgeContrast}, {"--danger", "--surface", edgeContrast},
		{"--danger", "--danger-soft", edgeContrast}, {"--success", "--success-soft", edgeContrast},
	} {
		for i, scheme := range []string{"light", "dark"} {
			if got := contrast(tokens[tt.text][i], tokens[tt.on][i]); got < tt.least {
				t.Errorf("%s on %s, %s: got %.2f, want at least %.1f", tt.text, tt.on, scheme, got, tt.least)
			}
		}
	}
}
