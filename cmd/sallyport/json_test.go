package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

// Text from strangers that a command prints as JSON moves no cursor of a terminal, and reads back as it was.
func TestJSONMovesNoCursor(t *testing.T) {
	want := map[string]string{"csi": "a\u009b31mb", "delete": "a\u007fb", "next line": "a\u0085b", "escape": "a\x1b[31mb", "osc\u009d": "x", "letters": "é ü 日本 🙂 \u00a0"}
	var out bytes.Buffer
	p := &program{out: &out}
	if err := p.printJSON(want); err != nil {
		t.Fatal(err)
	}
	for _, r := range out.String() {
		if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0) {
			t.Errorf("%U is printed", r)
		}
	}
	var got map[string]string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s: got %q, want %q", name, got[name], text)
		}
	}
}
