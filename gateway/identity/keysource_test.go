package identity

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What a server may answer, over a real socket.
func TestKeyURL(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(esSet("evil")) }))
	defer elsewhere.Close()
	var asked int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch r.URL.Path {
		case "/good":
			w.Write(esSet("a"))
		case "/redirect":
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		case "/here":
			http.Redirect(w, r, "/good", http.StatusMovedPermanently)
		case "/large":
			w.Write([]byte(`{"keys":[`))
			for range 10 << 10 {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<10)); err != nil {
					return
				}
			}
		case "/cut":
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte(`{"keys":[`))
		case "/compressed":
			w.Header().Set("Content-Encoding", "gzip")
			w.Write([]byte{0x1f, 0x8b})
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	for _, test := range []struct{ path, want string }{
		{"/good", ""},
		{"/redirect", "302 Found"},
		{"/here", "301 Moved"},
		{"/large", "larger than 1 MiB"},
		{"/cut", "unexpected EOF"},
		{"/compressed", "parse key set"},
		{"/missing", "404 Not Found"},
	} {
		asked = 0
		v, err := NewVerifier(VerifierOptions{Issuers: []Issuer{{Name: testIssuer, JWKSURL: server.URL + test.path}}})
		if err != nil {
			t.Fatal(err)
		}
		err = v.Load(t.Context())
		if (test.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.path, err, test.want)
		}
		if v.Ready() != (test.want == "") || asked != 1 {
			t.Errorf("%s: ready %v after %d requests", test.path, v.Ready(), asked)
		}
	}
}

// A server whose certificate nobody vouches for can't give keys.
func TestKeyURLCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(esSet("a")) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	issuers := []Issuer{{Name: testIssuer, JWKSURL: server.URL}}
	v, err := NewVerifier(VerifierOptions{Issuers: issuers})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("unknown authority: %v", err)
	}
	v, err = NewVerifier(VerifierOptions{Issuers: issuers, Transport: server.Client().Transport})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Load(t.Context()); err != nil {
		t.Errorf("known authority: %v", err)
	}
}
