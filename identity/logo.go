package identity

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"io"
	"net/http"
	"strings"
)

const (
	// MaxLogoBytes bounds a logo, because every page contains it.
	MaxLogoBytes = 32 << 10
	// maxLogoSide keeps a small file from becoming a huge picture in the browser.
	maxLogoSide = 2048
)

// CheckLogo returns a picture as a data: URL with the type of its content, whatever its sender called it. PNG, JPEG
// and SVG are accepted. An SVG must not contain anything that runs or is fetched, although pages show it only as an
// image, where neither happens. The error is FieldErrors.
func CheckLogo(picture []byte) (dataURL string, err error) {
	kind, problem := logoKind(picture)
	switch {
	case len(picture) > MaxLogoBytes:
		return "", FieldErrors{{Field: "logo", Problem: fmt.Sprintf("is larger than %d KiB", MaxLogoBytes>>10),
			Remedy: "save it smaller, or as SVG"}}
	case problem != nil:
		return "", FieldErrors{{Field: "logo", Problem: problem.Error(), Remedy: "choose a PNG, JPEG or SVG"}}
	}
	return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(picture), nil
}

// ParseLogo is CheckLogo for a data: URL from a browser's script.
func ParseLogo(dataURL string) (string, error) {
	_, text, found := strings.Cut(dataURL, ";base64,")
	picture, err := base64.StdEncoding.DecodeString(text)
	if !found || err != nil || !strings.HasPrefix(dataURL, "data:") {
		return "", FieldErrors{{Field: "logo", Problem: "did not arrive whole", Remedy: "choose it again"}}
	}
	return CheckLogo(picture)
}

func logoKind(picture []byte) (kind string, err error) {
	switch kind = http.DetectContentType(picture); kind {
	case "image/png", "image/jpeg":
		return kind, checkSides(logoCodecs[kind].config(picture))
	}
	return "image/svg+xml", checkSVG(picture)
}

func checkSides(sizes []image.Point, err error) error {
	switch {
	case err != nil:
		return errors.New("is damaged")
	case sizes[0].X > maxLogoSide || sizes[0].Y > maxLogoSide:
		return fmt.Errorf("is more than %d pixels wide or high", maxLogoSide)
	}
	return nil
}

// checkSVG accepts drawings only. A document type could declare entities that expand without end or read files.
func checkSVG(picture []byte) error {
	d := xml.NewDecoder(bytes.NewReader(picture))
	root := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && root {
			return nil
		}
		if err != nil {
			return errors.New("is not a picture that we know")
		}
		switch x := token.(type) {
		case xml.Directive:
			if strings.HasPrefix(strings.ToUpper(strings.TrimSpace(string(x))), "DOCTYPE") {
				return errors.New("has a document type in it")
			}
		case xml.StartElement:
			if !root && (x.Name.Local != "svg" || x.Name.Space != "http://www.w3.org/2000/svg") {
				return errors.New("is not a picture that we know")
			}
			root = true
			if err := checkSVGElement(x); err != nil {
				return err
			}
		case xml.CharData:
			if strings.Contains(strings.ToLower(string(x)), "@import") {
				return errors.New("has a style in it that fetches something")
			}
		}
	}
}

func checkSVGElement(x xml.StartElement) error {
	switch strings.ToLower(x.Name.Local) {
	case "script", "foreignobject", "iframe", "embed", "object", "handler", "listener":
		return fmt.Errorf("has a <%s> in it", x.Name.Local)
	}
	for _, a := range x.Attr {
		name, value := strings.ToLower(a.Name.Local), strings.ToLower(strings.TrimSpace(a.Value))
		switch {
		case strings.HasPrefix(name, "on"):
			return errors.New("has a script in it")
		case (name == "href" || name == "src") && value != "" && !strings.HasPrefix(value, "#") &&
			!strings.HasPrefix(value, "data:image/"):
			return errors.New("fetches something from elsewhere")
		}
	}
	return nil
}
