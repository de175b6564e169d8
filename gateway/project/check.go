package project

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v3"

	"github.com/weir-project/weir/gateway/route"
)

// maxCheck is how long the check of one document may take.
const maxCheck = 30 * time.Second

// check reports what is wrong with an OpenAPI document, as far as it can be told
// without asking the API's backends. Examples, default values and patterns of
// schemas are not looked at: no request is held to them here.
func (v value) check(of specification) {
	ctx, cancel := context.WithTimeout(context.Background(), maxCheck)
	defer cancel()
	if of == openAPI32 {
		asOlder(v.node, inDocument, "")
	}
	text := toJSON(v.node)
	type found struct{ fault, doubt error }
	done := make(chan found, 1)
	go func() {
		var f found
		f.doubt, f.fault = checkOpenAPI(ctx, text, of)
		done <- f
	}()
	select {
	case f := <-done:
		v.reportAll(f.doubt, value.doubtful)
		v.reportAll(f.fault, func(v value, err error) { v.wrong(of, err) })
	case <-ctx.Done():
		// The check ends by itself, since the document's size is bounded.
		v.fault("takes more than %v to check: it is too intricate", maxCheck)
	}
}

// checkOpenAPI loads and validates a document. Besides what is wrong it returns
// what is doubtful: fields that the specification does not have. The library's
// panics, if there are any on some malformed document, are that document's fault.
func checkOpenAPI(ctx context.Context, text []byte, of specification) (doubt, fault error) {
	defer func() {
		if p := recover(); p != nil {
			fault = errMalformed
		}
	}()
	doc, err := loadOpenAPI(ctx, text, of)
	if err != nil {
		return nil, err
	}
	const rounds = 10
	known := of.newFields()
	for range rounds {
		err := doc.Validate(ctx,
			openapi3.EnableMultiError(), openapi3.DisableExamplesValidation(), openapi3.DisableSchemaDefaultsValidation(),
			openapi3.DisableSchemaPatternValidation(), openapi3.AllowExtraSiblingFields(known...))
		var extra []error
		for _, e := range flatten(err) {
			if more, ok := errors.AsType[*openapi3.ExtraSiblingFieldsError](e); ok {
				extra = append(extra, e)
				known = append(known, more.Fields...)
			}
		}
		if len(extra) == 0 {
			return doubt, err
		}
		doubt = errors.Join(append(extra, doubt)...)
	}
	return nil, doubt
}

// errMalformed is the fault of a document on which the library panics.
var errMalformed = errors.New("is no valid OpenAPI definition: it is malformed in a way that cannot be told more exactly")

// loadOpenAPI loads a document and resolves its references.
func loadOpenAPI(ctx context.Context, text []byte, of specification) (*openapi3.T, error) {
	loader := openapi3.NewLoader() // reads no other file or URL
	loader.Context = ctx
	if of == openAPI20 {
		var doc openapi2.T
		if err := json.Unmarshal(text, &doc); err != nil {
			return nil, err
		}
		doc3, err := openapi2conv.ToV3WithLoader(&doc, loader, nil)
		if err == nil && doc3.Paths == nil {
			doc3.Paths = openapi3.NewPaths() // the conversion drops an empty one
		}
		return doc3, err
	}
	doc := new(openapi3.T)
	if err := json.Unmarshal(text, doc); err != nil {
		return nil, err
	}
	return doc, loader.ResolveRefsIn(doc, nil)
}

// flatten returns the errors that err is made of.
func flatten(err error) (all []error) {
	switch e := err.(type) { //nolint:errorlint // one that is wrapped keeps its wrapping, which says where
	case nil:
		return nil
	case openapi3.MultiError:
		for _, one := range e {
			all = append(all, flatten(one)...)
		}
		return all
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			all = append(all, flatten(one)...)
		}
		return all
	}
	return []error{err}
}

// reportAll reports what a check found, each at the place that it is about.
func (v value) reportAll(err error, say func(v value, err error)) {
	for _, one := range flatten(err) {
		say(v, one)
	}
}

// doubtful warns of fields that are not of the specification. No request is held
// to them, and another version of it may have them.
func (v value) doubtful(err error) {
	if e, ok := errors.AsType[*openapi3.ExtraSiblingFieldsError](err); ok {
		v.locate(err).warn("%s is no field that OpenAPI has here", quoted(strings.Join(e.Fields, ", ")))
	}
}

// wrong reports what makes a document invalid.
func (v value) wrong(of specification, err error) {
	text, before := err.Error(), len(v.report.faults)
	switch {
	case strings.Contains(text, "found unresolved ref"):
		return // the library does not follow all references, and we have
	case strings.Contains(text, "cannot unmarshal"):
		v.misshapen(of)
	case errors.Is(err, errMalformed), strings.Contains(text, "MUST be an object"):
		v.reportNulls(inDocument)
	}
	if e, ok := errors.AsType[*openapi3.SectionValidationError](err); ok {
		if _, there := v.at(e.Section); !there {
			v.fault("%s is missing", e.Section)
		}
	}
	if len(v.report.faults) == before {
		v.locate(err).fault("%s", plainly(err))
	}
}

// plainly returns the first line of an error, without what is only of interest
// to those who wrote the library.
func plainly(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	text = strings.TrimPrefix(text, "json: ")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return text
}

// locate returns the place that an error of the check is about, as near as the
// error tells.
func (v value) locate(err error) value {
	at := v
	if e, ok := errors.AsType[*openapi3.SectionValidationError](err); ok {
		at, _ = v.keyAt(e.Section)
	}
	if m := ofLater.FindStringSubmatch(err.Error()); m != nil {
		if key, ok := v.keyAt(m[1]); ok {
			return key
		}
	}
	// Some errors name their path only in words.
	for _, m := range inQuotes.FindAllStringSubmatch(err.Error(), 4) {
		if key, ok := v.keyAt("paths", m[1]); ok {
			at = key
			break
		}
	}
	path, method := "", ""
	if e, ok := errors.AsType[*openapi3.PathValidationError](err); ok {
		path = e.Path
	}
	if e, ok := errors.AsType[*openapi3.OperationValidationError](err); ok {
		method = e.Method
	}
	if e, ok := errors.AsType[*openapi3.PathParametersError](err); ok {
		path, method = e.Path, e.Method
	}
	if key, ok := v.keyAt("paths", path); ok {
		at = key
		if key, ok := v.keyAt("paths", path, strings.ToLower(method)); ok {
			at = key
		}
	}
	if e, ok := errors.AsType[*openapi3.ComponentValidationError](err); ok {
		if key, ok := v.keyAt("components", componentLists[e.Section], e.Name); ok {
			at = key
		}
	}
	if m := inQuotes.FindStringSubmatch(err.Error()); m != nil && at.node == v.node {
		if ref := withReference(v.node, m[1]); ref != nil {
			at.node = ref
		}
	}
	return at
}

// withReference returns a $ref below n that says text, nil if there is none.
func withReference(n *yaml.Node, text string) *yaml.Node {
	if ref := child(n, "$ref"); ref != nil && ref.Value == text {
		return ref
	}
	for _, c := range n.Content {
		if ref := withReference(c, text); ref != nil {
			return ref
		}
	}
	return nil
}

// ofLater finds the field of the top that an error says to be of a later version.
var ofLater = regexp.MustCompile(`^field (\w+) is for OpenAPI`)

// inQuotes finds what an error quotes.
var inQuotes = regexp.MustCompile(`"([^"]+)"`)

// keyAt returns the last key of a path of keys, and whether it is there.
func (v value) keyAt(keys ...string) (value, bool) {
	last := len(keys) - 1
	if v, ok := v.at(keys[:last]...); ok {
		pairs, _ := v.pairs()
		for _, p := range pairs {
			if p.name == keys[last] {
				return p.key, true
			}
		}
	}
	return v, false
}

// componentLists are where components stand, by what errors call them.
var componentLists = map[string]string{
	"schema": "schemas", "parameter": "parameters", "header": "headers", "request body": "requestBodies",
	"response": "responses", "security scheme": "securitySchemes", "example": "examples", "link": "links", "callback": "callbacks",
}

// reportNulls reports what has no value: a name without what it is the name of.
func (v value) reportNulls(in scope) {
	pairs, isMapping := v.pairs()
	if !isMapping && v.node.Kind == yaml.SequenceNode {
		for _, item := range v.list() {
			if item.isNull() {
				item.fault("%s has no value", item.name())
			}
			item.reportNulls(in)
		}
	}
	for _, p := range pairs {
		below := in.below(p.name)
		switch {
		case below == inData:
		case p.value.isNull():
			p.key.fault("%s has no value", p.name)
		default:
			p.value.reportNulls(below)
		}
	}
}

// checkTemplate says why the gateway cannot serve a path, if it cannot.
func checkTemplate(template string) error {
	_, err := route.Build([]route.API{{Context: "/", Resources: []route.Resource{{Method: "GET", Template: template}}}})
	if err == nil {
		return nil
	}
	_, reason, found := strings.Cut(err.Error(), ": template ")
	if !found {
		return err
	}
	return errors.New(reason)
}
