package identity

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"

	"golang.org/x/image/draw"
	"golang.org/x/image/riff"
	"golang.org/x/image/vp8"
	"golang.org/x/image/vp8l"
	"golang.org/x/image/webp"
)

const (
	// maxLogoPixels is a megapixel, 1024 × 1024. It bounds the work of decoding, which the size in bytes does not.
	maxLogoPixels = 1 << 20
	// logoSide is the longer side of a served logo, for tiles of 48 CSS pixels on dense screens.
	logoSide = 128
)

// normalizeLogo makes a PNG of at most logoSide from a foreign picture. Encoding it anew removes all other content of
// the file: metadata, and anything that another parser could take for something else. Its errors are sentences about
// the picture.
func normalizeLogo(picture []byte) (_ []byte, err error) {
	defer func() {
		if v := recover(); v != nil { // decoders of foreign bytes
			err = errors.New("it is damaged")
		}
	}()
	kind := http.DetectContentType(picture)
	codec, ok := logoCodecs[kind]
	switch {
	case !ok && looksLikeSVG(picture):
		return nil, errors.New("it is an SVG, which can hold scripts; register a PNG, JPEG or WebP")
	case !ok:
		return nil, fmt.Errorf("it is no PNG, JPEG or WebP but %s", kind)
	}
	if err := checkPixels(codec.config(picture)); err != nil {
		return nil, err
	}
	decoded, err := codec.decode(bytes.NewReader(picture))
	if err != nil {
		return nil, errors.New("it is damaged")
	}
	if err := checkPixels([]image.Point{decoded.Bounds().Size()}, nil); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, shrink(decoded))
	return out.Bytes(), err
}

// logoCodec reads one format: the sizes that the header names, and the picture.
type logoCodec struct {
	config func(picture []byte) ([]image.Point, error)
	decode func(io.Reader) (image.Image, error)
}

var logoCodecs = map[string]logoCodec{
	"image/png":  {sizeBy(png.DecodeConfig), png.Decode},
	"image/jpeg": {sizeBy(jpeg.DecodeConfig), jpeg.Decode},
	"image/webp": {webpSizes, webp.Decode},
}

func sizeBy(config func(io.Reader) (image.Config, error)) func([]byte) ([]image.Point, error) {
	return func(picture []byte) ([]image.Point, error) {
		c, err := config(bytes.NewReader(picture))
		return []image.Point{{X: c.Width, Y: c.Height}}, err
	}
}

// webpSizes are all sizes in a WebP. An extended file names the size of its canvas and, in the chunk that is decoded,
// a second size that the decoder does not compare with the first.
func webpSizes(picture []byte) ([]image.Point, error) {
	c, err := webp.DecodeConfig(bytes.NewReader(picture))
	sizes := []image.Point{{X: c.Width, Y: c.Height}}
	if err != nil {
		return nil, err
	}
	_, chunks, err := riff.NewReader(bytes.NewReader(picture))
	for err == nil {
		var id riff.FourCC
		var length uint32
		var data io.Reader
		if id, length, data, err = chunks.Next(); err != nil {
			break
		}
		switch string(id[:]) {
		case "VP8 ":
			d := vp8.NewDecoder()
			d.Init(data, int(length))
			var h vp8.FrameHeader
			h, err = d.DecodeFrameHeader()
			sizes = append(sizes, image.Pt(h.Width, h.Height))
		case "VP8L":
			var c image.Config
			c, err = vp8l.DecodeConfig(data)
			sizes = append(sizes, image.Pt(c.Width, c.Height))
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return sizes, err
}

func checkPixels(sizes []image.Point, err error) error {
	if err != nil {
		return errors.New("it is damaged")
	}
	for _, s := range sizes {
		if s.X < 1 || s.Y < 1 {
			return errors.New("it is empty")
		}
		if int64(s.X)*int64(s.Y) > maxLogoPixels {
			return fmt.Errorf("it has %d × %d pixels, and a megapixel is the most", s.X, s.Y)
		}
	}
	return nil
}

// shrink scales a picture down to fit a square of logoSide; a smaller one keeps its size.
func shrink(picture image.Image) image.Image {
	size := picture.Bounds().Size()
	longest := max(size.X, size.Y)
	to := image.Rect(0, 0, size.X, size.Y)
	if longest > logoSide {
		to = image.Rect(0, 0, max(1, size.X*logoSide/longest), max(1, size.Y*logoSide/longest))
	}
	out := image.NewNRGBA(to)
	draw.CatmullRom.Scale(out, to, picture, picture.Bounds(), draw.Src, nil)
	return out
}

// looksLikeSVG reports whether a file in no known format is probably an SVG.
func looksLikeSVG(picture []byte) bool {
	head := bytes.ToLower(picture[:min(len(picture), 1024)])
	return bytes.Contains(head, []byte("<svg")) || bytes.Contains(head, []byte("<!doctype svg"))
}
