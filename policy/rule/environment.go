package rule

import (
	"net/netip"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/weir-project/weir"
)

// strs are the variables that are strings, but for client_ip, which is made of an
// address.
var strs = map[string]func(*weir.Request) string{
	"request.method":    func(r *weir.Request) string { return r.Verb },
	"request.resource":  func(r *weir.Request) string { return r.Resource },
	"api.name":          func(r *weir.Request) string { return r.API },
	"api.version":       func(r *weir.Request) string { return r.Version },
	"api.context":       func(r *weir.Request) string { return r.Context },
	"application.id":    func(r *weir.Request) string { return r.Application.ID },
	"application.name":  func(r *weir.Request) string { return r.Application.Name },
	"application.owner": func(r *weir.Request) string { return r.Application.Owner },
	"application.tier":  func(r *weir.Request) string { return r.Application.Tier },
	"subscription.tier": func(r *weir.Request) string { return r.SubscriptionTier },
	"user":              func(r *weir.Request) string { return r.User },
	"key_type":          func(r *weir.Request) string { return r.KeyType.String() },
}

// maps are the variables that are maps of strings.
var maps = map[string]func(*weir.Request) weir.Values{
	"request.headers": func(r *weir.Request) weir.Values { return r.Headers },
	"request.query":   func(r *weir.Request) weir.Values { return r.Query },
	"claims":          func(r *weir.Request) weir.Values { return r.Claims },
}

const (
	clientIP    = "client_ip"
	requestSize = "request.size"
	requestTime = "request.time"
	inNetwork   = "inNetwork"
)

// environment makes what expressions are compiled in.
func environment() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.ParserExpressionSizeLimit(maxLength),
		cel.ParserRecursionLimit(maxNesting),
		cel.ASTValidators(
			cel.ValidateTimestampLiterals(),
			cel.ValidateDurationLiterals(),
			cel.ValidateHomogeneousAggregateLiterals(),
			cel.ValidateComprehensionNestingLimit(2),
		),
		cel.OptionalTypes(),
		cel.Variable(clientIP, cel.StringType),
		cel.Variable(requestSize, cel.IntType),
		cel.Variable(requestTime, cel.TimestampType),
		cel.Function(inNetwork, cel.MemberOverload("string_in_network",
			[]*cel.Type{cel.StringType, cel.StringType}, cel.BoolType,
			cel.BinaryBinding(interpretInNetwork))),
	}
	for name := range strs {
		options = append(options, cel.Variable(name, cel.StringType))
	}
	for name := range maps {
		options = append(options, cel.Variable(name, cel.MapType(cel.StringType, cel.StringType)))
	}
	return cel.NewEnv(options...)
}

// interpretInNetwork is inNetwork where an expression is interpreted. What is no
// address is in no network.
func interpretInNetwork(address, network ref.Val) ref.Val {
	a, err := netip.ParseAddr(string(address.(types.String)))
	if err != nil {
		return types.False
	}
	p, err := parseNetwork(string(network.(types.String)))
	if err != nil {
		return types.WrapErr(err)
	}
	return types.Bool(p.Contains(plain(a)))
}

// parseNetwork parses a prefix, or an address as the prefix that has only it.
func parseNetwork(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		a = plain(a)
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, err
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// plain returns a without a zone and, if it is an IPv4 address in IPv6 form, as
// the IPv4 address.
func plain(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	return a.Unmap().WithZone("")
}

// sizes says how large what comes with a request can be, for the estimate of what
// an expression costs.
type sizes struct{}

const (
	maxValue = 8 << 10 // of a header, a parameter or a claim
	maxField = 1 << 10 // of any other text
)

// EstimateSize returns the size of a variable or of a value in it.
func (sizes) EstimateSize(node cost.AstNode) *cost.SizeEstimate {
	path := node.Path()
	if len(path) == 0 {
		return nil
	}
	size := cost.RangedSizeEstimate(0, maxField)
	if _, ok := maps[path[0]]; ok {
		if size = cost.RangedSizeEstimate(0, 100); len(path) > 1 {
			size = cost.RangedSizeEstimate(0, maxValue)
		}
	}
	return &size
}

// EstimateCallCost returns the cost of this package's own function.
func (sizes) EstimateCallCost(function, _ string, _ *cost.AstNode, _ []cost.AstNode) *cost.CallEstimate {
	if function != inNetwork {
		return nil
	}
	return cost.NewCallEstimate(cost.FixedCostEstimate(10), nil)
}
