package cli

import (
	"slices"
	"strings"
	"testing"
)

func TestDrawGrid(t *testing.T) {
	columns := []column{{title: "KEY", least: 6}, {title: "USED", right: true}, {title: "LEVEL", rank: 1}, {title: "POLICY", rank: 2}}
	rows := [][]string{{"a long key, indeed", "7", "api", "Gold"}, {"東京", "12345", "application", ""}}
	for _, tt := range []struct {
		width int
		want  []string
	}{
		{0, []string{
			"KEY                  USED  LEVEL        POLICY",
			"a long key, indeed      7  api          Gold",
			"東京                12345  application",
		}},
		{40, []string{
			"KEY            USED  LEVEL        POLICY",
			"a long key,…      7  api          Gold",
			"東京          12345  application",
		}},
		{30, []string{"KEY          USED  LEVEL", "a long ke…      7  api", "東京        12345  application"}},
		{20, []string{"KEY             USED", "a long key, …      7", "東京           12345"}},
		{13, []string{"KEY      USED", "a lon…      7", "東京    12345"}},
		{9, []string{"KEY     …", "a lon…  …", "東京    …"}},
		{1, []string{"…", "…", "…"}},
	} {
		got := drawGrid(tt.width, columns, rows)
		for _, line := range got {
			if tt.width > 0 && columnsOfText(line) > tt.width {
				t.Errorf("width %d: %q takes %d", tt.width, line, columnsOfText(line))
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("width %d: got\n%s\nwant\n%s", tt.width, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
		if len(got) != 3 {
			t.Errorf("width %d: %d lines", tt.width, len(got))
		}
	}
}
