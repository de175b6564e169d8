package ingest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-project/weir/policy"
)

// What WSO2 has a tenant for, and its number.
const (
	tenantDomain = "carbon.super"
	tenantID     = -1234
)

// An ipBlock is a deny policy on addresses.
type ipBlock struct {
	Type         string `json:"type"`
	FixedIP      string `json:"fixedIp,omitempty"`
	StartingIP   string `json:"startingIp,omitempty"`
	EndingIP     string `json:"endingIp,omitempty"`
	Invert       bool   `json:"invert"`
	TenantDomain string `json:"tenantDomain"`
	ID           any    `json:"id"`
}

// block answers with the deny policies that are on.
func (h *Handler) block(w http.ResponseWriter, _ *http.Request) {
	var out struct {
		API          []string  `json:"api"`
		Application  []string  `json:"application"`
		IP           []ipBlock `json:"ip"`
		User         []string  `json:"user"`
		Custom       []string  `json:"custom"`
		Subscription []string  `json:"subscription"`
	}
	none := []string{}
	out.API, out.Application, out.User, out.Custom, out.Subscription = none, none, none, none, none
	out.IP = []ipBlock{}
	for _, d := range h.definition().Denies {
		if d.Off {
			continue
		}
		switch d.Kind {
		case policy.DenyAPI:
			out.API = append(out.API, d.Value)
		case policy.DenyApplication:
			out.Application = append(out.Application, d.Value)
		case policy.DenyUser:
			out.User = append(out.User, d.Value)
		case policy.DenyIP, policy.DenyIPRange:
			out.IP = append(out.IP, showBlock(&d))
		}
	}
	answer(w, http.StatusOK, out)
}

func showBlock(d *policy.Deny) ipBlock {
	b := ipBlock{Type: "IP", Invert: d.Invert, TenantDomain: tenantDomain, ID: showID(d.ID)}
	if p := d.IP.Prefix; p.IsValid() {
		if b.FixedIP = p.String(); p.IsSingleIP() {
			b.FixedIP = p.Addr().String()
		}
		return b
	}
	b.Type, b.StartingIP, b.EndingIP = "IPRANGE", d.IP.From.String(), d.IP.To.String()
	return b
}

// showID returns an ID that is a number as one, as WSO2 has them.
func showID(id string) any {
	if n, err := strconv.ParseInt(id, 10, 64); err == nil && strconv.FormatInt(n, 10) == id {
		return n
	}
	return id
}

// keyTemplates answers with the key templates of the custom rules, each once.
func (h *Handler) keyTemplates(w http.ResponseWriter, _ *http.Request) {
	list := []string{}
	for _, r := range h.definition().Rules {
		if !slices.Contains(list, r.Key) {
			list = append(list, r.Key)
		}
	}
	answer(w, http.StatusOK, list)
}

// A policyItem is a policy in WSO2's shape; what a kind of policy lacks is nil.
type policyItem struct {
	ID           int        `json:"id"`
	TenantID     int        `json:"tenantId"`
	TenantDomain string     `json:"tenantDomain"`
	Name         string     `json:"name"`
	QuotaType    string     `json:"quotaType"`
	DefaultLimit limitShape `json:"defaultLimit"`

	*subscriptionPart
	*applicationPart
	*apiPart
	*globalPart
}

type subscriptionPart struct {
	GraphQLMaxComplexity int    `json:"graphQLMaxComplexity"`
	GraphQLMaxDepth      int    `json:"graphQLMaxDepth"`
	RateLimitCount       int64  `json:"rateLimitCount"`
	RateLimitTimeUnit    string `json:"rateLimitTimeUnit"`
	StopOnQuotaReach     bool   `json:"stopOnQuotaReach"`
}

type applicationPart struct {
	BurstLimit burstShape `json:"burstLimit"`
}

type apiPart struct {
	ApplicableLevel string       `json:"applicableLevel"`
	ConditionGroups []groupShape `json:"conditionGroups"`
}

type globalPart struct {
	SiddhiQuery string `json:"siddhiQuery"` // there is none: When is what decides
	When        string `json:"when"`
	KeyTemplate string `json:"keyTemplate"`
}

// policies answers with the policies of a kind.
func (h *Handler) policies(kind policy.Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		list := []policyItem{}
		for i, p := range h.definition().Policies {
			if p.Kind != kind || !asked(r, p.Name) {
				continue
			}
			item := newItem(i, p.Name, showLimit(p.Limit))
			burst := showBurst(p.Burst)
			switch kind {
			case policy.Subscription:
				item.subscriptionPart = &subscriptionPart{
					RateLimitCount: burst.Count, RateLimitTimeUnit: burst.Unit, StopOnQuotaReach: !p.PassOnQuotaReach,
				}
			case policy.Application:
				item.applicationPart = &applicationPart{burst}
			case policy.Advanced:
				item.apiPart = &apiPart{"apiLevel", showGroups(i+1, p.Groups)}
				if p.Per == policy.PerUser {
					item.ApplicableLevel = "userLevel"
				}
			}
			list = append(list, item)
		}
		answerList(w, list)
	}
}

// rules answers with the custom rules.
func (h *Handler) rules(w http.ResponseWriter, r *http.Request) {
	list := []policyItem{}
	for i, c := range h.definition().Rules {
		if asked(r, c.Name) {
			item := newItem(i, c.Name, showLimit(&c.Limit))
			item.globalPart = &globalPart{When: c.When, KeyTemplate: c.Key}
			list = append(list, item)
		}
	}
	answerList(w, list)
}

// asked reports whether r asks for all policies or for that of a name.
func asked(r *http.Request, name string) bool {
	q := r.URL.Query()["policyName"]
	return len(q) == 0 || strings.TrimSpace(q[0]) == name
}

func newItem(i int, name string, l limitShape) policyItem {
	return policyItem{ID: i + 1, TenantID: tenantID, TenantDomain: tenantDomain, Name: name, QuotaType: l.QuotaType, DefaultLimit: l}
}

func answerList(w http.ResponseWriter, list []policyItem) {
	type pagination struct {
		Offset   int    `json:"offset"`
		Limit    int    `json:"limit"`
		Total    int    `json:"total"`
		Next     string `json:"next"`
		Previous string `json:"previous"`
	}
	answer(w, http.StatusOK, struct {
		Count      int          `json:"count"`
		List       []policyItem `json:"list"`
		Pagination pagination   `json:"pagination"`
	}{len(list), list, pagination{Limit: len(list), Total: len(list)}})
}
