// Package project makes and reads the projects that a gateway serves: OpenAPI
// definitions, policies and applications in files that people edit.
//
//	api_definitions/*.yaml  one OpenAPI file for each version of an API
//	policies.yaml           limits, conditions, custom rules, deny policies
//	applications.yaml       who may call what, in which tier, with which keys
//	conf/micro-gw.conf      the configuration of the gateway (package config)
//	target/petstore.weir    what Build makes of it all: the artifact
//
// [Load] reads a project as a whole, checks it as a whole, and returns what a
// gateway needs, or every fault with its file and line. [Build] stores that in
// the artifact, which [Open] reads without looking at any of the files again.
package project

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weir-project/weir/gateway"
)

// The layout of a project.
const (
	definitionDir   = "api_definitions"
	policyFileName  = "policies.yaml"
	applicationName = "applications.yaml"
	confDir         = "conf"
	confName        = "micro-gw.conf"
	targetDir       = "target"
	artifactSuffix  = ".weir"
)

// maxDefinitions is how many API definitions a project may have.
const maxDefinitions = 1000

// A Project is what the files of a project say.
type Project struct {
	// Name is the base name of the project's folder.
	Name string
	// Definition is what a gateway serves: checked as a whole, with the default
	// policies in it that the project does not replace.
	Definition gateway.Definition
	// Warnings are what is not served although it stands in a file.
	Warnings Faults
}

// Load reads the project in the folder dir. The error is [Faults]: all that is
// wrong with it, each with its file (below dir) and, where there is one, its line.
func Load(dir string) (*Project, error) {
	name, err := projectName(dir)
	if err != nil {
		return nil, err
	}
	return LoadFS(os.DirFS(dir), dir, name)
}

// LoadFS is Load for a project with that name in the root of files. Faults name
// files below dir, which may be empty.
func LoadFS(files fs.FS, dir, name string) (*Project, error) {
	l := &loader{files: files, dir: dir}
	l.definitions()
	if text, ok := l.read(policyFileName, false); ok {
		l.policies = readPolicies(l.place(policyFileName), text, &l.report)
	} else {
		l.policies = &policyFile{}
	}
	if text, ok := l.read(applicationName, false); ok {
		l.applications = readApplications(l.place(applicationName), text, &l.report)
	} else {
		l.applications = &applicationFile{}
	}
	d := l.assemble()
	if err := l.report.err(); err != nil {
		return nil, err
	}
	l.report.warnings.sort()
	return &Project{Name: name, Definition: d, Warnings: l.report.warnings}, nil
}

// projectName returns the name of the project in dir, which must be a folder.
func projectName(dir string) (string, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", Faults{{File: dir, Message: "there is no such project; 'weir init' makes one"}}
	case err != nil:
		return "", fmt.Errorf("load project: %w", err)
	case !info.IsDir():
		return "", Faults{{File: dir, Message: "is no folder; a project is one"}}
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("load project: %w", err)
	}
	return filepath.Base(full), nil
}

// A loader reads one project.
type loader struct {
	files  fs.FS
	dir    string
	report report

	apis         []*definitionFile
	policies     *policyFile
	applications *applicationFile
}

// place returns the name of a file as faults have it.
func (l *loader) place(name string) string { return filepath.Join(l.dir, filepath.FromSlash(name)) }

// fault records what is wrong with a file as a whole.
func (l *loader) fault(name, format string, args ...any) {
	l.report.fault(place{file: l.place(name)}.saying(format, args...))
}

// read returns the text of a project's file. It reports false if there is none,
// which is a fault if it is required. It opens nothing that could keep it
// waiting, such as a pipe.
func (l *loader) read(name string, required bool) ([]byte, bool) {
	if info, err := fs.Stat(l.files, name); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		l.fault(name, "cannot be read: is no regular file")
		return nil, false
	}
	return l.text(name, required)
}

// text returns the text of a file of any kind.
func (l *loader) text(name string, required bool) ([]byte, bool) {
	f, err := l.files.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		if required {
			l.fault(name, "is missing")
		}
		return nil, false
	}
	if err == nil {
		defer f.Close()
		var text []byte
		if text, err = io.ReadAll(io.LimitReader(f, maxDocument+1)); err == nil {
			return text, true
		}
	}
	l.fault(name, "cannot be read: %v", reason(err))
	return nil, false
}

// reason returns what went wrong with a file, without the file's name.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// definitions reads the API definitions, in the order of their names.
func (l *loader) definitions() {
	entries, err := fs.ReadDir(l.files, definitionDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.fault(definitionDir, "cannot be read: %v", reason(err))
		return
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, "."):
		case !e.IsDir() && isDefinition(name):
			names = append(names, name)
		default:
			l.report.warn(place{file: l.place(path.Join(definitionDir, name))}.saying(
				"is not looked at: API definitions are files that end in .yaml, .yml or .json"))
		}
	}
	slices.Sort(names)
	switch {
	case len(names) == 0:
		l.fault(definitionDir, "has no API definition: put an OpenAPI file into it")
	case len(names) > maxDefinitions:
		l.fault(definitionDir, "has %d API definitions, at most %d are possible", len(names), maxDefinitions)
		return
	}
	for _, name := range names {
		name = path.Join(definitionDir, name)
		text, ok := l.read(name, true)
		if !ok {
			continue
		}
		if api := readDefinition(l.place(name), text, &l.report); api != nil {
			l.apis = append(l.apis, api)
		}
	}
}

// isDefinition reports whether a file of that name is an API definition.
func isDefinition(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}
