package project

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ImportOptions say where an import goes.
type ImportOptions struct {
	// API is the title of the API that the import is for, or title:version.
	// Empty means the one that the file names or, in a project with one API, that.
	API string
}

// An Imported is what came of an import.
type Imported struct {
	// File is the API definition that was changed, API and Version what it defines.
	File, API, Version string
	// Written is the line that now stands there; Replaced tells that there was
	// another.
	Written  string
	Replaced bool
	// Notes say, a line each, what of the file was not taken over, and why.
	Notes []string
}

// ImportSynapse takes the maximum backend throughput from a synapse configuration,
// a whole <api> or its <handlers>, into the definition of an API of the project
// in dir. The definition stays as it is otherwise. If anything is wrong, nothing
// is changed and the error is [Faults].
func ImportSynapse(file, dir string, o ImportOptions) (*Imported, error) {
	text, err := readFile(file)
	if err != nil {
		return nil, err
	}
	if _, err := projectName(dir); err != nil {
		return nil, err
	}
	r := &report{}
	s := readSynapse(file, text, r)
	if err := r.err(); err != nil {
		return nil, err
	}
	production, sandbox, notes := s.maxima(file, r)
	if err := r.err(); err != nil {
		return nil, err
	}
	l, err := openDefinitions(dir)
	if err != nil {
		return nil, err
	}
	f, err := l.choose(s, file, o.API)
	if err != nil {
		return nil, err
	}
	out := &Imported{File: f.file, API: f.api.Name, Version: f.api.Version, Notes: notes}
	_, out.Replaced = f.at("x-weir-max-throughput")
	e := throughputEntry(production, sandbox)
	out.Written = e.key + ": " + e.json
	old, err := readFile(f.file)
	if err != nil {
		return nil, err
	}
	edited, err := setEntries(f.file, old, []entry{e})
	if err != nil {
		return nil, err
	}
	if err := writeFile(f.file, edited); err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	return out, nil
}

// openDefinitions reads the API definitions of a project.
func openDefinitions(dir string) (*loader, error) {
	l := newLoader(dir)
	l.definitions()
	return l, l.report.err()
}

// throughputEntry returns the extension that holds a maximum throughput.
func throughputEntry(production, sandbox maximum) entry {
	e := entry{key: "x-weir-max-throughput", block: []string{""}}
	var fields []string
	for _, m := range []struct {
		of string
		maximum
	}{{"production", production}, {"sandbox", sandbox}} {
		if m.count == 0 {
			continue
		}
		e.block = append(e.block, fmt.Sprintf("  %sMaxCount: %d", m.of, m.count), fmt.Sprintf("  %sUnitTime: %d", m.of, m.unit))
		fields = append(fields, fmt.Sprintf(`"%sMaxCount": %d, "%sUnitTime": %d`, m.of, m.count, m.of, m.unit))
	}
	e.json = "{" + strings.Join(fields, ", ") + "}"
	return e
}

// choose returns the definition that an import is for.
func (l *loader) choose(s *synapse, file, api string) (*definitionFile, error) {
	fits := func(*definitionFile) bool { return true }
	wanted := "an API"
	switch {
	case api != "":
		wanted = quoted(api)
		fits = func(f *definitionFile) bool { return f.api.Name == api || f.api.Name+":"+f.api.Version == api }
	case s.context != "" || s.api != "":
		wanted = quoted(s.api) + " with the context " + quoted(s.context)
		fits = s.fits
	}
	var found []*definitionFile
	var names []string
	for _, f := range l.apis {
		names = append(names, f.api.Name+":"+f.api.Version)
		if fits(f) {
			found = append(found, f)
		}
	}
	slices.Sort(names)
	there := "; the project has " + strings.Join(names, ", ")
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, Faults{{File: file, Message: "the project has no API that is " + wanted + ": say which one it is for" + there}}
	}
	return nil, Faults{{File: file, Message: "does not say which API it is for: name it by title:version" + there}}
}

// fits reports whether a definition is of the API that the file names: one with
// its context, with or without the version, or with its name. Names there are
// owner--name:version.
func (s *synapse) fits(f *definitionFile) bool {
	context := "/" + strings.Trim(s.context, "/")
	if s.context != "" && (f.api.Context == context || f.api.Context == strings.TrimSuffix(context, "/")+"/"+s.version) {
		return true
	}
	name := s.api
	if _, after, ok := strings.Cut(name, "--"); ok {
		name = after
	}
	name, _, _ = strings.Cut(name, ":")
	return name != "" && name == f.api.Name && (s.version == "" || strings.TrimPrefix(s.version, "v") == strings.TrimPrefix(f.api.Version, "v"))
}

// newLoader returns a loader of the project in dir.
func newLoader(dir string) *loader { return &loader{files: os.DirFS(dir), dir: filepath.Clean(dir)} }
