// Package rule compiles the conditions of custom rules, which are written in CEL,
// the Common Expression Language (https://cel.dev).
//
// A condition is true or false of a request. It can ask for
//
//	request.method       string     the method in capitals: 'GET'
//	request.resource     string     the path template as the API declares it: '/pets/{id}'
//	request.headers      map        request.headers['x-plan'], the first value; names in any case
//	request.query        map        request.query['verbose'], the first value
//	request.size         int        bytes of the body as declared, -1 if that is not known
//	request.time         timestamp  when the request came: request.time.getHours('Europe/Berlin')
//	api.name             string
//	api.version          string
//	api.context          string     the base path
//	application.id       string
//	application.name     string
//	application.owner    string
//	application.tier     string     the application's policy
//	subscription.tier    string     the subscription's policy
//	user                 string     the end user, 'anonymous' without credentials
//	client_ip            string     the client's address in canonical form
//	key_type             string     'PRODUCTION' or 'SANDBOX'
//	claims               map        claims['plan'], of the access token
//
// and has all of CEL's operators, functions and macros, optional values, and
//
//	client_ip.inNetwork('10.0.0.0/8')   whether an address is in a network
//
// A map can only be asked for one name at a time. To read a name that is not
// there is an error: the rule then does not apply, and the gateway counts it.
// Where absence is to mean something, say so:
//
//	'x-plan' in request.headers && request.headers['x-plan'] != 'gold'
//	request.headers[?'x-plan'].orValue('') != 'gold'
//
// Patterns, time zones and networks must be literal, so that a wrong one is found
// when the rule is written, and no request can bring its own. What a condition
// may cost is bounded when it is compiled.
package rule

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"

	"github.com/weir-project/weir/policy"
)

const (
	maxLength  = 4000   // of an expression, in characters
	maxNesting = 60     // of an expression
	maxCost    = 50_000 // of one evaluation, in CEL's units of some ten nanoseconds
)

// A Compiler compiles conditions. It is safe for concurrent use.
type Compiler struct {
	env func() (*cel.Env, error)
}

var _ policy.Compiler = (*Compiler)(nil)

// New returns a Compiler. What it needs it makes when it is first used.
func New() *Compiler {
	return &Compiler{sync.OnceValues(environment)}
}

// Compile checks expr and makes an Expression of it, which is safe for concurrent
// use. It refuses what is not a bool, what may cost too much and what this
// package's comment excludes; the error begins with line:column of the fault.
func (c *Compiler) Compile(expr string) (policy.Expression, error) {
	tree, program, err := c.program(expr)
	if err != nil {
		return nil, err
	}
	e := &expression{Expression: newInterpreted(program)}
	if f := (planner{tree}).bool(tree.Expr()); f != nil {
		e.Expression = native(f)
	}
	e.fields, e.all = reads(tree)
	return e, nil
}

// program checks expr. The program is made even of what will not be interpreted,
// as making it finds faults of its own.
func (c *Compiler) program(expr string) (*celast.AST, cel.Program, error) {
	env, err := c.env()
	if err != nil {
		return nil, nil, fmt.Errorf("CEL environment: %w", err)
	}
	if strings.TrimSpace(expr) == "" {
		return nil, nil, errors.New("1:1: empty expression")
	}
	checked, issues := env.Compile(expr)
	if issues.Err() != nil {
		return nil, nil, issuesError(issues)
	}
	tree := checked.NativeRep()
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) {
		return nil, nil, fmt.Errorf("1:1: is of type %s, not bool", t)
	}
	if err := review(tree); err != nil {
		return nil, nil, err
	}
	estimate, err := env.EstimateCost(checked, sizes{}, cost.PresenceTestHasCost(true))
	if err != nil {
		return nil, nil, fmt.Errorf("1:1: cost: %w", err)
	}
	if estimate.Max > maxCost {
		return nil, nil, fmt.Errorf("1:1: too expensive: it may cost %d, of which at most %d is allowed", estimate.Max, maxCost)
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, nil, fmt.Errorf("1:1: %w", err)
	}
	return tree, program, nil
}

// issuesError makes one line of what CEL found.
func issuesError(issues *cel.Issues) error {
	var lines []string
	for _, e := range issues.Errors() {
		message := strings.Join(strings.Fields(e.Message), " ")
		message, _, _ = strings.Cut(message, " expecting {") // all that could stand there
		// CEL counts columns from 0, and has line -1 for the whole.
		line, column := max(1, e.Location.Line()), max(1, e.Location.Column()+1)
		lines = append(lines, fmt.Sprintf("%d:%d: %s", line, column, message))
		if len(lines) == 3 {
			break // the rest is mostly the consequence
		}
	}
	return errors.New(strings.Join(lines, "; "))
}

// at returns an error with the place of e.
func at(tree *celast.AST, e celast.Expr, format string, args ...any) error {
	l := tree.SourceInfo().GetStartLocation(e.ID())
	return fmt.Errorf("%d:%d: %s", l.Line(), l.Column()+1, fmt.Sprintf(format, args...))
}
