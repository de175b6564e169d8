package project

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/weir-project/weir/policy"
)

// A Content is what a file that [Validate] looked at holds.
type Content string

// What there is to validate.
const (
	ContentProject       Content = "project"
	ContentDefinition    Content = "API definition"
	ContentPolicies      Content = "policies"
	ContentApplications  Content = "applications"
	ContentConfiguration Content = "configuration"
	ContentArtifact      Content = "artifact"
	contentUnknown       Content = ""
)

// A Report is what [Validate] found at a path.
type Report struct {
	Content  Content
	Warnings Faults // what is doubtful
	// Sharing are, for people, the limits that say themselves how a fleet is held to them.
	Sharing []string
}

// Validate finds out what is at path, and returns that, and as an error what is
// wrong. A project is checked as a whole, with its
// configuration; a file on its own is checked as far as it does not depend on
// others. config checks a micro-gw.conf.
func Validate(path string, config func(path string) error) (Report, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Report{}, Faults{{File: path, Message: fmt.Sprintf("cannot be read: %v", reason(err))}}
	}
	switch {
	case info.IsDir():
		return validateProject(path, config)
	case !info.Mode().IsRegular():
		return Report{}, Faults{{File: path, Message: "cannot be read: is no regular file"}}
	}
	if ext := filepath.Ext(path); ext == ".conf" || ext == ".toml" {
		return Report{Content: ContentConfiguration}, config(path)
	}
	if isArtifact(path) {
		return validateArtifact(path)
	}
	text, err := readFile(path)
	if err != nil {
		return Report{}, err
	}
	return validateFile(path, text)
}

// validateFile checks one file of a project.
func validateFile(path string, text []byte) (Report, error) {
	l := &loader{dir: filepath.Dir(path), applications: &applicationFile{}}
	r := &l.report
	out := Report{Content: contentOf(path, text)}
	switch out.Content {
	case ContentDefinition:
		readDefinition(path, text, r)
	case ContentApplications:
		readApplications(path, text, r)
	case ContentPolicies:
		l.policies = readPolicies(path, text, r)
		d := l.policies.definition
		d.Policies = policy.Merge(policy.Defaults(), d.Policies)
		l.checkPolicies(&d)
		out.Sharing = sharingOf(&d)
	default:
		if _, err := readDocument(path, text, r); err != nil {
			return out, err
		}
		r.fault(&Fault{File: path, Message: "is nothing that can be validated: it is no API definition, has no policies and no applications"})
	}
	r.warnings.sort()
	out.Warnings = r.warnings
	return out, r.err()
}

// sharingOf says for people which limits of d say how a fleet is held to them.
func sharingOf(d *policy.Definition) (texts []string) {
	for _, s := range d.Sharing() {
		texts = append(texts, s.String())
	}
	return texts
}

// validateProject checks a project and its configuration.
func validateProject(dir string, config func(path string) error) (Report, error) {
	out := Report{Content: ContentProject}
	p, err := Load(dir)
	if err == nil {
		out.Warnings, out.Sharing = p.Warnings, sharingOf(&p.Definition.Policies)
	}
	conf := filepath.Join(dir, confDir, confName)
	if _, statErr := os.Stat(conf); statErr == nil {
		err = errors.Join(err, config(conf))
	}
	return out, err
}

// isArtifact reports whether the file at path is an artifact, or is called one.
func isArtifact(path string) bool {
	if filepath.Ext(path) == artifactSuffix {
		return true
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(artifactMagic))
	n, _ := f.Read(head)
	return n == len(head) && string(head) == artifactMagic
}

// validateArtifact reads an artifact and makes of it what a gateway makes.
func validateArtifact(path string) (Report, error) {
	out := Report{Content: ContentArtifact}
	d, err := Open(path)
	if err != nil {
		return out, err
	}
	l := &loader{policies: &policyFile{}}
	l.checkCompiled(&d)
	for _, f := range l.report.faults {
		f.File = path
	}
	out.Sharing = sharingOf(&d.Policies)
	return out, l.report.err()
}

// contentOf tells what is in a YAML or JSON file by the keys at its top.
func contentOf(path string, text []byte) Content {
	keys := map[string]Content{
		"openapi": ContentDefinition, "swagger": ContentDefinition, "applications": ContentApplications,
		"resourcePolicies": ContentPolicies, "applicationPolicies": ContentPolicies, "subscriptionPolicies": ContentPolicies,
		"customRules": ContentPolicies, "denyPolicies": ContentPolicies,
	}
	root, err := parseDocument(path, text)
	if err == nil && root != nil && root.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(root.Content); i += 2 {
			if c := keys[root.Content[i].Value]; c != contentUnknown {
				return c
			}
		}
	}
	// By its name: an empty file, one that is misspelt, one that cannot be read.
	switch base := strings.ToLower(filepath.Base(path)); {
	case base == policyFileName:
		return ContentPolicies
	case base == applicationName:
		return ContentApplications
	case isDefinition(path) && slices.Contains(strings.Split(filepath.ToSlash(path), "/"), definitionDir),
		err != nil && bytes.Contains(text, []byte("openapi")):
		return ContentDefinition
	}
	return contentUnknown
}
