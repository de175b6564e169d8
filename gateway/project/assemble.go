package project

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/gateway/route"
	"github.com/weir-project/weir/policy"
	"github.com/weir-project/weir/policy/rule"
)

// assemble puts together what the files say, and reports what is wrong between
// them.
func (l *loader) assemble() gateway.Definition {
	own := l.policies.definition
	d := gateway.Definition{Applications: l.applications.applications, Policies: own}
	d.Policies.Policies = policy.Merge(policy.Defaults(), own.Policies)
	for _, f := range l.apis {
		d.APIs = append(d.APIs, f.api)
		if f.backend != nil {
			d.Policies.Backends = append(d.Policies.Backends, *f.backend)
		}
	}
	l.checkAPIs()
	l.checkPolicies(&d.Policies)
	l.checkTiers(d.Policies.Policies)
	l.checkSubscriptions()
	l.checkDenies()
	if !l.report.failed() {
		l.checkRest(&d)
	}
	return d
}

// checkAPIs reports APIs that are the same, or that would be served under the
// same path.
func (l *loader) checkAPIs() {
	for i, a := range l.apis {
		for _, b := range l.apis[:i] {
			if a.api.Name == b.api.Name && a.api.Version == b.api.Version {
				a.identityAt.fault("the API %s %s is defined in %s too", a.api.Name, a.api.Version, b.file)
			}
			switch outer, inner := b, a; {
			case a.api.Context == "" || b.api.Context == "": // at fault already
			case a.api.Context == b.api.Context:
				a.contextAt.fault("the context %s is taken by %s; x-wso2-basePath sets another", a.api.Context, b.file)
			default:
				if len(outer.api.Context) > len(inner.api.Context) {
					outer, inner = inner, outer
				}
				l.checkNested(outer, inner)
			}
		}
	}
}

// checkNested reports resources of an API that would never be reached, as
// requests to them go to another API whose context lies within.
func (l *loader) checkNested(outer, inner *definitionFile) {
	below, ok := strings.CutPrefix(inner.api.Context, strings.TrimSuffix(outer.api.Context, "/")+"/")
	if !ok {
		return
	}
	segments := strings.Split(below, "/")
	for i, r := range outer.api.Resources {
		if reaches(r.Template, segments) {
			outer.resources[i].fault("%s %s lies within the context %s of %s, which would answer in its place",
				r.Method, strings.TrimSuffix(outer.api.Context, "/")+r.Template, inner.api.Context, inner.file)
			return
		}
	}
}

// reaches reports whether a template can match a path that begins with segments.
func reaches(template string, segments []string) bool {
	parts := strings.Split(strings.TrimPrefix(template, "/"), "/")
	for i, s := range segments {
		switch {
		case i == len(parts):
			return false
		case i == len(parts)-1 && parts[i] == "*":
			return true
		case parts[i] != s && !strings.Contains(parts[i], "{"):
			return false
		}
	}
	return true
}

// checkPolicies compiles the policies as a gateway will, and reports its faults
// at the lines that they are about.
func (l *loader) checkPolicies(d *policy.Definition) {
	_, err := policy.Compile(*d, policy.Options{Compiler: rule.New()})
	faults, ok := errors.AsType[policy.Faults](err)
	if err != nil && !ok {
		l.fault(policyFileName, "%v", err)
		return
	}
	for _, f := range faults {
		at := l.policyPlace(f, len(d.Policies))
		text := f.Error()
		at.fault("%s", text)
	}
}

// policyPlace returns where the subject of a fault stands: n is how many policies
// there are, the project's own being the last of them.
func (l *loader) policyPlace(f *policy.Fault, n int) value {
	otherwise := value{place{file: l.place(policyFileName)}, &l.report}
	switch f.List {
	case policy.Policies:
		i := f.Index - (n - len(l.policies.policies))
		if i < 0 {
			return otherwise
		}
		at := l.policies.policies[i]
		switch {
		case f.Group < 0 || f.Group >= len(at.groups):
			return at.value
		case f.Condition < 0 || f.Condition >= len(at.conditions[f.Group]):
			return at.groups[f.Group]
		}
		return at.conditions[f.Group][f.Condition]
	case policy.Rules:
		return fieldOf(l.policies.rules[f.Index], f.Field)
	case policy.Denies:
		return fieldOf(l.policies.denies[f.Index], f.Field)
	case policy.Backends:
		i := 0
		for _, api := range l.apis {
			if api.backend != nil {
				if i == f.Index {
					return api.contextAt
				}
				i++
			}
		}
	}
	return otherwise
}

// fieldOf returns the value of a field of v, or v if it has none.
func fieldOf(v value, field string) value {
	if at, ok := v.at(field); ok && field != "" {
		return at
	}
	return v
}

// checkTiers reports tiers that no policy has.
func (l *loader) checkTiers(policies []policy.Policy) {
	if l.policies.unread {
		return
	}
	uses := slices.Clone(l.applications.tiers)
	for _, f := range l.apis {
		uses = append(uses, f.tiers...)
	}
	for _, u := range uses {
		if lack := lacksTier(policies, u.kind, u.name); lack != "" && !l.policies.named[policyName{u.kind, u.name}] {
			u.fault("%s", lack)
		}
	}
}

// lacksTier says that no policy is of that kind and name, "" if one is.
func lacksTier(policies []policy.Policy, kind policy.Kind, name string) string {
	if tierExists(policies, kind, name) {
		return ""
	}
	var names []string
	for _, p := range policies {
		if p.Kind == kind {
			names = append(names, p.Name)
		}
	}
	return fmt.Sprintf("no %s policy is called %s%s", kindNames[kind], quoted(name), didYouMean(name, names))
}

// kindNames are the kinds of policies as the lists of policies.yaml name them.
var kindNames = map[policy.Kind]string{
	policy.Advanced: "resource", policy.Subscription: "subscription", policy.Application: "application",
}

// checkSubscriptions reports subscriptions to what is not there.
func (l *loader) checkSubscriptions() {
	for _, s := range l.applications.subscriptions {
		if lack := l.lacksAPI(s.api, s.version); lack != "" {
			s.fault("%s", lack)
		}
	}
}

// lacksAPI says that no definition is of an API of that name and version, where
// an empty version stands for any; "" if one is, or if none could be read.
func (l *loader) lacksAPI(name, version string) string {
	var names, versions []string
	for _, f := range l.apis {
		if !slices.Contains(names, f.api.Name) {
			names = append(names, f.api.Name)
		}
		if f.api.Name == name {
			versions = append(versions, f.api.Version)
		}
	}
	switch {
	case len(names) == 0:
	case len(versions) == 0:
		return fmt.Sprintf("no API is called %s%s", quoted(name), didYouMean(name, names))
	case version != "" && !slices.Contains(versions, version):
		return fmt.Sprintf("the API %s has no version %s%s", quoted(name), quoted(version), thereAre(versions))
	}
	return ""
}

// checkDenies warns of deny policies for APIs that are not there.
func (l *loader) checkDenies() {
	for i, d := range l.policies.definition.Denies {
		if d.Kind == policy.DenyAPI && !slices.ContainsFunc(l.apis, func(f *definitionFile) bool { return f.api.Context == d.Value }) {
			fieldOf(l.policies.denies[i], "value").warn("no API has the context %s, so nothing is denied", quoted(d.Value))
		}
	}
}

// checkRest makes what a gateway makes of a definition. What is wrong then has
// no line of its own.
func (l *loader) checkRest(d *gateway.Definition) {
	apis := make([]route.API, len(d.APIs))
	for i, a := range d.APIs {
		apis[i] = route.API{Name: a.Name, Context: a.Context, Resources: make([]route.Resource, len(a.Resources))}
		for j, r := range a.Resources {
			apis[i].Resources[j] = route.Resource{Method: r.Method, Template: r.Template}
		}
	}
	if _, err := route.Build(apis); err != nil {
		l.each(definitionDir, err)
	}
	if _, err := identity.NewDirectory(d.Applications); err != nil {
		for line := range strings.Lines(err.Error()) {
			l.directoryFault(strings.TrimSpace(line))
		}
	}
}

// directoryPlace is how the faults of a directory begin: with the number of the
// application.
var directoryPlace = regexp.MustCompile(`^application (\d+) `)

func (l *loader) directoryFault(text string) {
	if m := directoryPlace.FindStringSubmatch(text); m != nil && l.applications != nil {
		if i, err := strconv.Atoi(m[1]); err == nil && i <= len(l.applications.places) {
			l.applications.places[i-1].fault("%s", text)
			return
		}
	}
	l.fault(applicationName, "%s", text)
}

// checkCompiled makes what a gateway makes of a definition that is not a
// project's.
func (l *loader) checkCompiled(d *gateway.Definition) {
	if _, err := policy.Compile(d.Policies, policy.Options{Compiler: rule.New()}); err != nil {
		l.each("", err)
	}
	l.checkRest(d)
}

// each reports the lines of an error as faults of a file.
func (l *loader) each(name string, err error) {
	for line := range strings.Lines(err.Error()) {
		l.fault(name, "%s", strings.TrimSpace(line))
	}
}
