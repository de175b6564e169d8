package petstore

import (
	"io/fs"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestBackend(t *testing.T) {
	h := Backend()
	tests := []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/production/pets", "", 200, `"Rex"`},
		{"GET", "/production/pets?kind=Cat", "", 200, `[{"id":2,"name":"Minka","kind":"cat"}]`},
		{"GET", "/production/pets?kind=fish", "", 200, `[]`},
		{"GET", "/production/pets/3", "", 200, `{"id":3,"name":"Hansi","kind":"bird"}`},
		{"GET", "/production/pets/4", "", 404, "no such pet"},
		{"GET", "/production/pets/x", "", 400, "whole number"},
		{"POST", "/production/pets", `{"name":"Nemo","kind":"fish"}`, 201, `{"id":4,"name":"Nemo","kind":"fish"}`},
		{"POST", "/production/pets", `{"name":"Nemo"}`, 400, "a name and a kind"},
		{"POST", "/production/pets", `{`, 400, "a name and a kind"},
		{"GET", "/production/pets/4", "", 200, `"Nemo"`},
		{"GET", "/sandbox/pets/4", "", 404, "no such pet"},
		{"GET", "/sandbox/health", "", 200, `"stage":"sandbox"`},
		{"DELETE", "/production/pets", "", 405, ""},
		{"GET", "/pets", "", 404, ""},
	}
	for _, tt := range tests {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body)))
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s %s: got %d %s, want %d and %s", tt.method, tt.path, w.Code, w.Body, tt.status, tt.want)
		}
	}
}

func TestBackendIsBounded(t *testing.T) {
	h := Backend()
	for i := range maxPets + 1 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/sandbox/pets", strings.NewReader(`{"name":"a","kind":"ant"}`)))
		want := 201
		if i >= maxPets-3 {
			want = 507
		}
		if w.Code != want {
			t.Fatalf("pet %d: got %d, want %d", i+4, w.Code, want)
		}
	}
}

func TestFiles(t *testing.T) {
	for _, name := range []string{"api_definitions/petstore.yaml", "policies.yaml", "applications.yaml", "conf/micro-gw.conf"} {
		if _, err := fs.Stat(Files, name); err != nil {
			t.Error(err)
		}
	}
	def, err := fs.ReadFile(Files, "api_definitions/petstore.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"title: " + API, "x-wso2-basePath: " + Context, Origin + "/production", Origin + "/sandbox"} {
		if !strings.Contains(string(def), want) {
			t.Errorf("the definition has no %q", want)
		}
	}
}
