package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/weir-project/weir"
)

// draw returns v as lines of at most so many columns, and as many of them as fit
// into so many rows; 0 has no bound.
func (v *topView) draw(columns, rows int) []string {
	lines := []string{v.summary()}
	section := func(more []string) { lines = append(append(lines, ""), more...) }
	if len(v.Managers) > 0 {
		section(v.drawManagers(columns))
		section(v.drawGateways(columns))
	}
	if len(v.Sharing) > 0 {
		most := 0
		if rows > 0 {
			most = max(rows/6, 3) // the keys want room, too
		}
		section(v.drawSharing(columns, most))
		section(v.drawLimits(columns, most))
	}
	if len(v.Managers) > 0 {
		section(v.drawKeys(columns))
	}
	for i := range lines {
		if columns > 0 {
			lines[i] = fit(lines[i], columns)
		}
	}
	if rows > 0 {
		lines = lines[:min(len(lines), rows)]
	}
	return lines
}

func (v *topView) summary() string {
	now := v.Time.Format(time.TimeOnly)
	if len(v.Managers) == 0 {
		return fmt.Sprintf("%s%s   asked: %d", now, v.store(), len(v.Sharing))
	}
	var throttled, keys int64
	there := 0
	for i := range v.Managers {
		m := &v.Managers[i]
		throttled, keys = max(throttled, m.Throttled), max(keys, m.Keys)
		if m.Error == "" {
			there++
		}
	}
	refused := 0.0
	for i := range v.Gateways {
		refused += v.Gateways[i].RefusedRate
	}
	return fmt.Sprintf("%s%s   refused a second: %s   keys: %d, throttled: %d   gateways: %d   traffic managers: %d of %d",
		now, v.store(), perSecond(&refused), keys, throttled, len(v.Gateways), there, len(v.Managers))
}

func (v *topView) drawManagers(width int) []string {
	columns := []column{
		{title: "TRAFFIC MANAGER", least: 12},
		{title: "STATE", least: 10},
		{title: "EVENTS", right: true},
		{title: "A SECOND", right: true, rank: 2},
		{title: "LATE", right: true, rank: 3},
		{title: "WRONG", right: true, rank: 4},
		{title: "BATCHES", right: true, rank: 5},
		{title: "DECISIONS", right: true, rank: 1},
		{title: "KEYS", right: true, rank: 2},
		{title: "THROTTLED", right: true, rank: 1},
	}
	var rows [][]string
	for i := range v.Managers {
		m := &v.Managers[i]
		state := "ready"
		switch {
		case m.Error != "":
			state = printable(m.Error)
		case !m.Ready:
			state = "no policies"
		}
		rows = append(rows, []string{
			printable(m.URL), state, number(m.Events), perSecond(m.rate), number(m.Late), number(m.Wrong),
			number(m.Batches), number(m.Decisions), number(m.Keys), number(m.Throttled),
		})
	}
	return drawGrid(width, columns, rows)
}

func (v *topView) drawGateways(width int) []string {
	columns := []column{
		{title: "GATEWAY", least: 12},
		{title: "STATE", rank: 1},
		{title: "EVENTS", right: true},
		{title: "A SECOND", right: true, rank: 4},
		{title: "LAG", right: true},
		{title: "REFUSED", right: true, rank: 3},
		{title: "REFUSED/S", right: true, rank: 1},
		{title: "CLOCK", right: true, rank: 5},
		{title: "SILENT FOR", right: true, rank: 2},
		{title: "RUN", rank: 6},
	}
	var rows [][]string
	for i := range v.Gateways {
		g := &v.Gateways[i]
		state := "counted"
		if !g.Known {
			state = "restating"
		}
		rows = append(rows, []string{
			printable(g.Name), state, number(g.Events), perSecond(g.rate), brief(g.Lag),
			number(g.Refused), perSecond(&g.RefusedRate), clockOff(g.Skew), span(g.Silent), printable(g.Incarnation),
		})
	}
	if len(rows) == 0 {
		return []string{"No gateway has told of anything yet."}
	}
	return drawGrid(width, columns, rows)
}

func (v *topView) drawKeys(width int) []string {
	columns := []column{
		{title: "KEY", least: 16},
		{title: "LEVEL", rank: 4},
		{title: "POLICY", least: 8, rank: 5},
		{title: "USED", right: true},
		{title: "LIMIT", right: true},
		{title: "PER", rank: 3},
		{title: "%", right: true},
		{title: "REFUSED", right: true, rank: 2},
		{title: "REFUSED/S", right: true, rank: 1},
		{title: "THROTTLED", rank: 0},
	}
	var rows [][]string
	for i := range v.Keys {
		k := &v.Keys[i]
		used := k.use()
		rows = append(rows, []string{
			printable(k.Key), printable(k.Level), k.policy(), used[0], used[1], used[2], used[3],
			number(k.Refused), perSecond(&k.RefusedRate), k.throttled(),
		})
	}
	if len(rows) == 0 {
		return []string{"No key has been used in a window that is still open."}
	}
	return drawGrid(width, columns, rows)
}

// use returns what was used, of what limit, in what window, and the share in percent.
func (k *topKey) use() [4]string {
	if k.Local {
		return [4]string{"–", "–", "", "–"}
	}
	per := k.Window
	if k.Unit != "requests" {
		per = k.Unit + " per " + k.Window
	}
	return [4]string{number(k.Used), number(k.Limit), printable(per), strconv.FormatFloat(100*k.Share, 'f', 1, 64)}
}

func (k *topKey) policy() string { return groupOf(k.Policy, k.Group) }

// groupOf names a policy, and the group of conditions in it if that is not nil.
func groupOf(policy string, group *int) string {
	text := printable(policy)
	if group != nil {
		text += " group " + strconv.Itoa(*group+1)
	}
	return text
}

func (k *topKey) throttled() string {
	switch {
	case k.Local && k.Level == weir.LevelDeny.String():
		return "denied"
	case k.Local:
		return "by each gateway"
	case k.Throttled && k.Shadow:
		return "would be, for " + span(k.Left)
	case k.Throttled:
		return "for " + span(k.Left)
	case k.Shadow:
		return "never: shadow"
	}
	return ""
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func perSecond(rate *float64) string {
	if rate == nil {
		return "–"
	}
	return strconv.FormatFloat(*rate, 'f', 1, 64)
}

// clockOff says by how much a clock is behind or ahead. Below it is the way of
// messages, and not the clock.
func clockOff(ms float64) string {
	switch {
	case ms > -10 && ms < 10:
		return "right"
	case ms < 0:
		return brief(-ms) + " ahead"
	}
	return brief(ms) + " behind"
}

// span returns a time in milliseconds for people.
func span(ms float64) string {
	d := time.Duration(ms * float64(time.Millisecond))
	switch {
	case d < time.Second:
		return brief(ms)
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	}
	return d.Round(time.Second).String()
}
