package project

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/policy"
)

// An Application is what is written into an applications.yaml.
type Application = identity.Application

// A Subscription is one of an Application.
type Subscription = identity.Subscription

// KeyOptions say what key is to be made.
type KeyOptions struct {
	// Application is the name of the application that gets the key; required.
	Application string
	Type        weir.KeyType
	// Create, if not nil, is written into applications.yaml if that has no
	// application of the name: with its Owner, Tier and Subscriptions. Tiers and
	// APIs that the project does not have are faults.
	Create *Application
}

// CreateKey makes an API key, stores its hash in the applications.yaml of the
// project in dir, and returns the key, which is kept nowhere. The file stays as
// it is but for the new lines: comments and the order of things are kept. If
// anything is wrong with it, it stays as it is and the error is [Faults].
func CreateKey(dir string, o KeyOptions) (string, error) {
	if _, err := projectName(dir); err != nil {
		return "", err
	}
	path := filepath.Join(dir, applicationName)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("create key: %w", err)
	}
	key, hash := identity.NewKey()
	edited, err := addKey(path, text, o, hash)
	if err != nil {
		return "", err
	}
	if o.Create != nil {
		if err := lacksFor(dir, o.Create); err != nil {
			return "", err
		}
	}
	if err := writeFile(path, edited); err != nil {
		return "", fmt.Errorf("create key: %w", err)
	}
	return key, nil
}

// lacksFor returns an error if the project in dir lacks what a names: a tier, or
// an API to which it subscribes.
func lacksFor(dir string, a *Application) error {
	l := newLoader(dir)
	l.policies = &policyFile{}
	if text, ok := l.read(policyFileName, false); ok {
		l.policies = readPolicies(l.place(policyFileName), text, &l.report)
	}
	if len(a.Subscriptions) > 0 {
		l.definitions()
	}
	if l.report.failed() {
		return l.report.err()
	}
	policies := policy.Merge(policy.Defaults(), l.policies.definition.Policies)
	lacks := func(name, lack string) {
		if lack != "" {
			l.fault(name, "%s", lack)
		}
	}
	lacks(policyFileName, lacksTier(policies, policy.Application, a.Tier))
	for _, s := range a.Subscriptions {
		lacks(definitionDir, l.lacksAPI(s.API, s.Version))
		lacks(policyFileName, lacksTier(policies, policy.Subscription, s.Tier))
	}
	return l.report.err()
}

// addKey returns an applications.yaml with one more hash in it.
func addKey(path string, text []byte, o KeyOptions, hash string) ([]byte, error) {
	before, err := applicationsIn(path, text)
	if err != nil {
		return nil, err
	}
	want := slices.Clone(before)
	i := slices.IndexFunc(want, func(a identity.Application) bool { return a.Name == o.Application })
	if i < 0 {
		if o.Create == nil {
			return nil, noApplication(path, o.Application, before)
		}
		fresh := *o.Create
		fresh.Name = o.Application
		if text, err = addApplication(path, text, &fresh); err != nil {
			return nil, err
		}
		if want, err = applicationsIn(path, text); err != nil {
			return nil, err
		}
		i = len(want) - 1
	}
	want[i].Keys = append(slices.Clone(want[i].Keys), identity.Key{Type: o.Type, Hash: hash})
	for _, edit := range []func(string, []byte, int, string, string) ([]byte, bool){insertKey, insertKeyNode} {
		out, ok := edit(path, text, i, o.Type.String(), hash)
		if !ok {
			continue
		}
		if got, err := applicationsIn(path, out); err == nil && reflect.DeepEqual(got, want) {
			return out, nil
		}
	}
	return nil, Faults{{File: path, Message: fmt.Sprintf("cannot be edited: add by hand the key {type: %s, hash: %q}", o.Type, hash)}}
}

// applicationsIn returns the applications in a file without faults.
func applicationsIn(path string, text []byte) ([]identity.Application, error) {
	r := &report{}
	f := readApplications(path, text, r)
	return f.applications, r.err()
}

func noApplication(path, name string, there []identity.Application) error {
	var names []string
	for _, a := range there {
		names = append(names, a.Name)
	}
	hint := "; there is none yet"
	if len(names) > 0 {
		hint = didYouMean(name, names)
	}
	if !strings.HasSuffix(hint, "?") {
		hint += "; --create makes it"
	}
	return Faults{{File: path, Message: fmt.Sprintf("no application is called %s%s", quoted(name), hint)}}
}

// insertKey adds a key to the i-th application as lines of text.
func insertKey(name string, text []byte, i int, keyType, hash string) ([]byte, bool) {
	root, err := parseYAML(name, text)
	if err != nil {
		return nil, false
	}
	list := child(root, "applications")
	if list == nil || list.Kind != yaml.SequenceNode || i >= len(list.Content) {
		return nil, false
	}
	app := list.Content[i]
	keys := child(app, "keys")
	item := fmt.Sprintf("- {type: %s, hash: %q}\n", keyType, hash)
	lines := strings.SplitAfter(string(text), "\n")
	switch {
	case app.Kind != yaml.MappingNode || app.Style&yaml.FlowStyle != 0:
		return nil, false
	case keys == nil:
		column := strings.Repeat(" ", app.Content[0].Column-1)
		return insertLines(lines, lastLine(app), column+"keys:\n"+column+"  "+item), true
	case keys.Kind == yaml.SequenceNode && keys.Style&yaml.FlowStyle == 0 && len(keys.Content) > 0:
		return insertLines(lines, lastLine(keys), strings.Repeat(" ", keys.Column-1)+item), true
	}
	return nil, false
}

// child returns the value at key of a mapping, nil if there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// lastLine returns the last line in which something of n begins. That is its last
// one, unless a text goes over several: whoever inserts there looks at the result.
func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}

// insertLines puts text after a line, which counts from 1.
func insertLines(lines []string, after int, text string) []byte {
	after = min(after, len(lines))
	head := strings.Join(lines[:after], "")
	if head != "" && !strings.HasSuffix(head, "\n") {
		head += "\n"
	}
	return []byte(head + text + strings.Join(lines[after:], ""))
}

// insertKeyNode adds a key to the i-th application of the tree and writes the
// file anew.
func insertKeyNode(name string, text []byte, i int, keyType, hash string) ([]byte, bool) {
	root, err := parseDocument(name, text)
	if err != nil {
		return nil, false
	}
	list := child(root, "applications")
	if list == nil || i >= len(list.Content) || list.Content[i].Kind != yaml.MappingNode {
		return nil, false
	}
	app := list.Content[i]
	keys := child(app, "keys")
	if keys == nil {
		keys = new(yaml.Node)
		app.Content = append(app.Content, scalar("keys", 0), keys)
	}
	if keys.Kind != yaml.SequenceNode { // nothing stands after "keys:"
		*keys = yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	}
	keys.Content = append(keys.Content, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: yaml.FlowStyle, Content: []*yaml.Node{
		scalar("type", 0), scalar(keyType, 0), scalar("hash", 0), scalar(hash, yaml.DoubleQuotedStyle),
	}})
	return encodeYAML(root)
}

func scalar(text string, style yaml.Style) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: style}
}

// addApplication returns an applications.yaml with one more application at its end.
func addApplication(path string, text []byte, a *Application) ([]byte, error) {
	var item strings.Builder
	fmt.Fprintf(&item, "  - name: %s\n    owner: %s\n    tier: %s\n", strconv.Quote(a.Name), strconv.Quote(a.Owner), strconv.Quote(a.Tier))
	for i, s := range a.Subscriptions {
		if i == 0 {
			item.WriteString("    subscriptions:\n")
		}
		version := "" // all of them
		if s.Version != "" {
			version = "version: " + strconv.Quote(s.Version) + ", "
		}
		fmt.Fprintf(&item, "      - {api: %s, %stier: %s}\n", strconv.Quote(s.API), version, strconv.Quote(s.Tier))
	}
	before, err := applicationsIn(path, text)
	if err != nil {
		return nil, err
	}
	root, err := parseYAML(path, text)
	if err != nil {
		return nil, err
	}
	var out []byte
	lines := strings.SplitAfter(string(text), "\n")
	list := child(root, "applications")
	switch {
	case root == nil:
		out = insertLines(lines, len(lines), "applications:\n"+item.String())
	case len(before) == 0 && list != nil && list.Line > 0:
		line := lines[list.Line-1] // applications: [], or nothing after the colon
		lines[list.Line-1] = strings.Replace(strings.Replace(line, "[]", "", 1), "null", "", 1)
		out = insertLines(lines, list.Line, item.String())
	case list != nil:
		shift := strings.Repeat(" ", max(list.Column-1, 0))
		out = insertLines(lines, lastLine(list), indentBy(item.String(), shift))
	}
	want := append(slices.Clone(before), identity.Application{ID: a.Name, Name: a.Name, Owner: a.Owner, Tier: a.Tier, Subscriptions: a.Subscriptions})
	if got, err := applicationsIn(path, out); err == nil && reflect.DeepEqual(got, want) {
		return bytes.TrimLeft(out, "\n"), nil
	}
	return nil, Faults{{File: path, Message: fmt.Sprintf("cannot be edited: add the application %s by hand", quoted(a.Name))}}
}

// indentBy returns lines that begin with two spaces with shift in their place.
func indentBy(text, shift string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(shift + strings.TrimPrefix(line, "  "))
	}
	return b.String()
}
