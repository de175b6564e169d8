// Package petstore is the sample that 'weir demo' runs: a project, as files that
// can be read and changed, and the backend of its API.
package petstore

import (
	"embed"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Files is the project: what 'weir init' makes and its owner then fills in.
//
//go:embed api_definitions conf policies.yaml applications.yaml
var Files embed.FS

// Origin is where the project's API definition says that the backend is.
const Origin = "http://127.0.0.1:9091"

// API is the name of the project's API, Context where a gateway serves it, and
// Application the application that is subscribed to it.
const (
	API         = "Petstore"
	Context     = "/petstore/v1"
	Application = "demo"
)

// maxPets bounds what the shop takes in.
const maxPets = 1000

type pet struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
	Kind string `json:"kind"`
}

// A shop is the pets of one backend.
type shop struct {
	mu   sync.Mutex
	pets []pet
}

// Backend returns the backend of the API: two shops, one for production and one
// for the sandbox, each under its own path. It keeps its pets in memory.
func Backend() http.Handler {
	m := http.NewServeMux()
	for _, stage := range []string{"production", "sandbox"} {
		s := &shop{pets: []pet{{1, "Rex", "dog"}, {2, "Minka", "cat"}, {3, "Hansi", "bird"}}}
		m.HandleFunc("GET /"+stage+"/pets", s.list)
		m.HandleFunc("POST /"+stage+"/pets", s.add)
		m.HandleFunc("GET /"+stage+"/pets/{id}", s.get)
		m.HandleFunc("GET /"+stage+"/health", func(w http.ResponseWriter, _ *http.Request) {
			write(w, http.StatusOK, map[string]string{"status": "open", "stage": stage})
		})
	}
	return m
}

func (s *shop) list(w http.ResponseWriter, r *http.Request) {
	kind := r.FormValue("kind")
	found := []pet{}
	s.mu.Lock()
	for _, p := range s.pets {
		if kind == "" || strings.EqualFold(p.Kind, kind) {
			found = append(found, p)
		}
	}
	s.mu.Unlock()
	write(w, http.StatusOK, found)
}

func (s *shop) get(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		write(w, http.StatusBadRequest, map[string]string{"error": "the number of a pet is a whole number"})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if id < 1 || id > len(s.pets) {
		write(w, http.StatusNotFound, map[string]string{"error": "there is no such pet"})
		return
	}
	write(w, http.StatusOK, s.pets[id-1])
}

func (s *shop) add(w http.ResponseWriter, r *http.Request) {
	var p pet
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&p); err != nil || p.Name == "" || p.Kind == "" {
		write(w, http.StatusBadRequest, map[string]string{"error": "a pet has a name and a kind"})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pets) >= maxPets {
		write(w, http.StatusInsufficientStorage, map[string]string{"error": "the shop is full"})
		return
	}
	p.ID = len(s.pets) + 1
	s.pets = append(s.pets, p)
	write(w, http.StatusCreated, p)
}

// write answers with v as JSON. A client that went away is no fault of the shop.
func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
