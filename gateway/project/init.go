package project

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/policy"
)

// skeleton is what a new project has in it.
//
//go:embed skeleton
var skeleton embed.FS

// defaultBackend is the backend of an API whose file names none that could be one.
const defaultBackend = "http://127.0.0.1:8080"

// InitOptions say what a new project has in it.
type InitOptions struct {
	// API is an OpenAPI file that is copied into the project, checked before
	// anything is written. Empty: the project has no API yet.
	API string
	// Backend is the address of the API's backend, if its file names no
	// endpoints; empty means the file's first server or, if that is no address,
	// http://127.0.0.1:8080.
	Backend string
	// Force writes the files of a new project over those of one that is there.
	// Other files stay.
	Force bool
}

// An Initialized is what came of Init.
type Initialized struct {
	// Name is the project's name, the base name of its folder.
	Name string
	// Definition is the file that the API was copied to; empty without an API.
	Definition string
	// Notes say, a line each, what was written into that file, and what the
	// project's owner should look at.
	Notes []string
}

// Init makes a project in the folder dir, which must not be there, or be empty.
//
// A gateway takes backends from x-wso2-production-endpoints alone: servers in an
// OpenAPI file are addresses for clients, and an API must not be sent anywhere
// without its owner seeing it. So into the copy of a file that names no endpoints
// Init writes some, and the base path, where they can be read and changed.
func Init(dir string, o InitOptions) (*Initialized, error) {
	if dir == "" {
		return nil, errors.New("init: a project needs a name")
	}
	dir = filepath.Clean(dir)
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("init: %w", err)
	}
	out := &Initialized{Name: filepath.Base(full)}
	if out.Name == string(filepath.Separator) || strings.ContainsFunc(out.Name, isControl) {
		return nil, fmt.Errorf("init: %q is no name for a project", out.Name)
	}
	files, err := skeletonFiles()
	if err != nil {
		return nil, fmt.Errorf("init: %w", err)
	}
	application := exampleApplication
	if o.API != "" {
		c, err := adopt(o.API, o.Backend)
		if err != nil {
			return nil, err
		}
		name := path.Join(definitionDir, c.name)
		files[name] = c.text
		out.Definition = filepath.Join(dir, filepath.FromSlash(name))
		out.Notes = c.notes
		application = fmt.Sprintf(firstApplication, strconv.Quote(c.api), strconv.Quote(c.version))
	}
	files[applicationName] = append(files[applicationName], application...)
	if err := createProject(dir, files, o.Force); err != nil {
		return nil, err
	}
	return out, nil
}

// The end of a new project's applications.yaml: with an API, and without.
const (
	firstApplication = `applications:
  - name: default
    owner: admin
    tier: 50PerMin
    subscriptions:
      - {api: %s, version: %s, tier: Gold}
`
	exampleApplication = `applications: []
#  - name: default
#    owner: admin
#    tier: 50PerMin
#    subscriptions:
#      - {api: Petstore, version: "1.0.0", tier: Gold}
`
)

// skeletonFiles returns the text of a new project's files by their names.
func skeletonFiles() (map[string][]byte, error) {
	files := map[string][]byte{}
	err := fs.WalkDir(skeleton, "skeleton", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := skeleton.ReadFile(name)
		files[strings.TrimPrefix(name, "skeleton/")] = text
		return err
	})
	return files, err
}

// createProject writes the files of a project: into a folder that then appears as
// a whole or, if it is there and force says so, one by one.
func createProject(dir string, files map[string][]byte, force bool) error {
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil && len(entries) > 0 && !force:
		return Faults{{File: dir, Message: "is there already and not empty; --force writes a new project over it"}}
	case err == nil && len(entries) > 0:
		return writeProject(dir, files)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("init: %w", err)
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("init: %w", err)
	}
	fresh, err := os.MkdirTemp(parent, ".weir-init-*")
	if err != nil {
		return fmt.Errorf("init: %w", err)
	}
	defer os.RemoveAll(fresh) // does nothing once it has its name
	if err := writeProject(fresh, files); err != nil {
		return err
	}
	// An empty folder makes room; one that is not stays, and the rename fails.
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return writeProject(dir, files) // the working directory, a mount: it cannot be replaced
	}
	if err := errors.Join(os.Chmod(fresh, 0o755), os.Rename(fresh, dir)); err != nil {
		return fmt.Errorf("init: %w", err)
	}
	return nil
}

func writeProject(dir string, files map[string][]byte) error {
	for _, sub := range []string{definitionDir, confDir, targetDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return fmt.Errorf("init: %w", err)
		}
	}
	for name, text := range files {
		if err := writeFile(filepath.Join(dir, filepath.FromSlash(name)), text); err != nil {
			return fmt.Errorf("init: %w", err)
		}
	}
	return nil
}

// An adopted is an OpenAPI file as it goes into a new project.
type adopted struct {
	name         string // of the file
	api, version string
	text         []byte
	notes        []string
}

func (a *adopted) note(format string, args ...any) {
	a.notes = append(a.notes, fmt.Sprintf(format, args...))
}

// adopt reads an OpenAPI file for a new project, and puts into it what a gateway
// needs to be told.
func adopt(file, backend string) (*adopted, error) {
	text, err := readFile(file)
	if err != nil {
		return nil, err
	}
	r := &report{}
	doc := readOpenAPI(file, text, r)
	if doc == nil {
		return nil, r.err()
	}
	d := newOpenAPI(doc)
	if d.info() {
		d.readAPI()
		d.readPaths()
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	a := &adopted{name: definitionName(file, text), api: d.out.api.Name, version: d.out.api.Version, text: text}
	var entries []entry
	if _, ok := d.at("x-wso2-basePath"); !ok {
		context := d.out.api.Context
		quoted := strconv.Quote(context)
		entries = append(entries, entry{"x-wso2-basePath", "where the gateway serves the API", []string{" " + quoted}, quoted})
		a.note("x-wso2-basePath: the API is served under %s", context)
	}
	if _, lacks := d.lacksEndpoints(); lacks {
		e, err := d.chooseBackend(a, backend)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	for _, u := range d.out.tiers {
		if !tierExists(policy.Defaults(), policy.Advanced, u.name) {
			a.note("line %d names the tier %s: define it in %s, under resourcePolicies", u.node.Line, u.name, policyFileName)
		}
	}
	if len(entries) > 0 {
		if a.text, err = setEntries(file, text, entries); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// chooseBackend returns the endpoints of an API that names none.
func (d *openAPI) chooseBackend(a *adopted, backend string) (entry, error) {
	const key = "x-wso2-production-endpoints"
	switch server := d.server(); {
	case backend != "":
		if fault := checkURL(backend); fault != "" {
			return entry{}, fmt.Errorf("init: the backend %q %s", backend, fault)
		}
		a.note("%s: calls of %s keys go to %s", key, weir.Production, backend)
	case server != "":
		backend = server
		a.note("%s: calls of %s keys go to %s, the file's first server; change it if the backend is elsewhere", key, weir.Production, backend)
	default:
		backend = defaultBackend
		a.note("%s: calls of %s keys go to %s, as the file names no address; put the backend's there", key, weir.Production, backend)
	}
	return entry{
		key, "where calls go that the gateway lets pass",
		[]string{"", "  urls:", "    - " + strconv.Quote(backend)},
		`{"urls": [` + strconv.Quote(backend) + `]}`,
	}, nil
}

// definitionName returns the name of the copy of an OpenAPI file.
func definitionName(file string, text []byte) string {
	base := strings.TrimLeft(filepath.Base(file), ".")
	if isDefinition(base) {
		return base
	}
	if base == "" {
		base = "api"
	}
	if _, err := parseJSON(file, text); err == nil {
		return base + ".json"
	}
	return base + ".yaml"
}

// readFile returns the text of a file that a command names.
func readFile(name string) ([]byte, error) {
	dir, base := filepath.Split(name)
	if dir == "" {
		dir = "."
	}
	l := &loader{files: os.DirFS(dir), dir: dir}
	if text, ok := l.text(base, true); ok {
		return text, nil
	}
	l.report.faults[0].File = name
	return nil, l.report.err()
}
