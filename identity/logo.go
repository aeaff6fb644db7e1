package identity

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"strings"
)

const (
	// MaxLogoBytes is how large a logo may be: every page carries it.
	MaxLogoBytes = 32 << 10
	// maxLogoSide keeps a small file from becoming a huge picture in a browser.
	maxLogoSide = 2048
)

// CheckLogo returns a picture as a data: URL whose type is what the content is, not
// what somebody says. PNG, JPEG and SVG will do; the last without whatever could run
// or be fetched, though pages show it as a picture only, where neither happens.
// The error is FieldErrors.
func CheckLogo(picture []byte) (dataURL string, err error) {
	var faults FieldErrors
	kind, problem := logoKind(picture)
	switch {
	case len(picture) > MaxLogoBytes:
		faults.Add("logo", fmt.Sprintf("is larger than %d KiB", MaxLogoBytes>>10), "save it smaller, or as SVG")
	case problem != nil:
		faults.Add("logo", problem.Error(), "choose a PNG, JPEG or SVG")
	}
	if len(faults) > 0 {
		return "", faults
	}
	return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(picture), nil
}

// ParseLogo is CheckLogo for a data: URL as a browser's script makes it.
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
	case "image/png":
		size, err := png.DecodeConfig(bytes.NewReader(picture))
		return kind, checkSides(size, err)
	case "image/jpeg":
		size, err := jpeg.DecodeConfig(bytes.NewReader(picture))
		return kind, checkSides(size, err)
	}
	return "image/svg+xml", checkSVG(picture)
}

func checkSides(size image.Config, err error) error {
	switch {
	case err != nil:
		return errors.New("is damaged")
	case size.Width > maxLogoSide || size.Height > maxLogoSide:
		return fmt.Errorf("is more than %d pixels wide or high", maxLogoSide)
	}
	return nil
}

// checkSVG lets drawings pass. A document type could declare entities that grow
// without end, or that are files.
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
